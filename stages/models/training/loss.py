"""What training minimises, each objective with its equation. Pure: vectors in, a mean loss out.

For a batch of N triplets (x_k, x_k+, x_k-) with vectors h, cosine similarity and temperature tau:

`multicsr` (MultiCSR, eq. 7, with M of eq. 6; eq. 5 without it)

    loss_i = -log( exp(cos(h_i, h_i+)/tau) / sum_k sum_{s in {+,-}} M_iks exp(cos(h_i, h_k^s)/tau) )
    M_iks  = 0 if cos_P(x_i, x_k^s) >= sigma and k != i, else 1

P is the frozen mask model (`mask.py`). A masked term is -inf before the softmax, in float32, so it takes no probability.
Every contrastive objective below may be masked in this way.

`simcse` (SimCSE, supervised, eq. 5; SynCSE on triplets that an LLM wrote): the same with M = 1 everywhere.

`simcse-unsup` (SimCSE, eq. 4): a sentence is its own positive, h and h' two vectors of it under two draws of dropout.

    loss_i = -log( exp(cos(h_i, h'_i)/tau) / sum_k exp(cos(h_i, h'_k)/tau) )

RankCSE adds two terms to either of these (`ranking_loss`).

`multicsr-released`, the loss of the code that was released with MultiCSR, for comparison (`released_loss`). `clhaif` and
`claif` learn from the similarities that an AI gave (`scored_contrastive_loss`, `similarity_loss`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

# RankCSE's beta and gamma, and the temperatures tau_2 and tau_3 = tau_2 / 2: what its public implementation is run with.
CONSISTENCY, DISTILLATION = 1.0, 1.0
RANK_TAU = 0.05
TEACHER_TAU = RANK_TAU / 2


def masked_contrastive_loss(premise: Tensor, hypotheses: Tensor, masked: Tensor | None, tau: float) -> Tensor:
    """Mean loss over the batch (MultiCSR, eq. 7; without a mask its eq. 5, and SimCSE, eq. 4 and 5), a scalar in float32.

    premise (N, d), hypotheses (M, d) of which row i is the positive of premise i, masked (N, M) or None. M is 2N for
    triplets, all x+ then all x-, and N for sentences encoded twice. tau divides a cosine.
    """
    logits = _logits(premise, hypotheses, tau)
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    return functional.cross_entropy(logits, _own(premise))


def released_loss(premise: Tensor, hypotheses: Tensor, masked: Tensor | None, tau: float) -> Tensor:
    """The loss of the released MultiCSR code; shapes as above.

        p_i    = softmax over (k, s) of M_iks cos(h_i, h_k^s)/tau
        loss_i = -1/2N ( log p_ii+ + sum over every (k, s) but (i, +) of log(1 - p_iks) )

    It departs from the paper twice: a masked logit becomes 0 instead of -inf, so that it still adds exp(0) to the
    denominator; and the loss is a binary cross-entropy of each of the N x 2N cells. M is that of `mask.released_mask`.
    """
    logits = _logits(premise, hypotheses, tau)
    if masked is not None:
        logits = logits.masked_fill(masked, 0.0)
    total = logits.logsumexp(1, keepdim=True)
    log_p = logits - total  # (N, 2N)
    # 1 - p of the likeliest cell is the sum of the others': close to p = 1 the difference would be 0, its log -inf.
    likeliest = logits.argmax(1, keepdim=True)
    others = logits.scatter(1, likeliest, -torch.inf).logsumexp(1, keepdim=True) - total
    log_not_p = torch.log1p(-log_p.exp().scatter(1, likeliest, 0.0)).scatter(1, likeliest, others)
    positive = torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
    return -torch.where(positive, log_p, log_not_p).mean()


def scored_contrastive_loss(
    premise: Tensor, hypotheses: Tensor, masked: Tensor | None, scores: Tensor, tau: float, others: bool
) -> Tensor:
    """Mean loss over the batch (CLHAIF, Cheng et al., 2023), a scalar in float32.

    Shapes as above; scores (N,) in [0, 1], the AI's similarity of x_i and x_i+.

    p_i    = softmax over (k, s) of cos(h_i, h_k^s)/tau
    loss_i = -s_i log p_ii+                                                                   `positive`
    loss_i = -s_i log p_ii+ - (1 - s_i)/K_i sum over every (k, s) but (i, +) of log p_iks         `all` (`others`)

    K_i is their number, 2N - 1. What is masked has no part in the softmax, nor in the sum and its K_i.
    """
    logits = _logits(premise, hypotheses, tau)
    negative = ~torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
    if masked is not None:
        logits, negative = logits.masked_fill(masked, -torch.inf), negative & ~masked
    log_p = logits.log_softmax(1)  # (N, 2N)
    loss = -scores * log_p.diagonal()
    if others:
        total = torch.where(negative, log_p, 0.0).sum(1)
        loss = loss - (1 - scores) / negative.sum(1).clamp(min=1) * total
    return loss.mean()


def similarity_loss(premise: Tensor, hypotheses: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error between cosine and label over the M pairs of a batch (CLAIF, Cheng et al., 2023).

        loss = 1/M sum_j (cos(h_j, h'_j) - y_j)^2

    hypotheses (M, d), labels (M,) in [0, 1]: M is N for CLAIF's own pairs (stages/claif/pairs.py), premise i with row i; and
    2N for those of triplets, (x_i, x_i+) then (x_i, x_i-), with the AI's scores as they are.
    """
    times = len(hypotheses) // len(premise)
    cosine = functional.cosine_similarity(premise.float().repeat(times, 1), hypotheses.float())
    return functional.mse_loss(cosine, labels)


def ranking_loss(premise: Tensor, hypotheses: Tensor, teacher: Tensor, tau: float, by: str) -> Tensor:
    """What RankCSE (Liu et al., 2023) adds to the contrastive loss: beta consistency + gamma distillation.

    premise h (N, d), hypotheses (M, d) of which the first N are the positives h', teacher t (N, M): the teacher's cosines
    of the same pairs. Where sentences are encoded twice, h' is the second view under dropout; of a triplet it is x+.

        P_i = softmax_k cos(h_i, h'_k)/tau, Q_i = softmax_k cos(h'_i, h_k)/tau, R = (P + Q)/2
        consistency  = 1/N sum_i ( KL(P_i || R_i) + KL(Q_i || R_i) ) / 2

    With s_ik = cos(h_i, h_k)/tau_2 over all hypotheses but premise i's positive, K of them (to a frozen teacher the two
    views of a sentence are one, and in both settings the contrastive loss says already that it comes first):

        listnet:  distillation = -1/N sum_i sum_k softmax_k(t_ik/tau_3) log softmax_k(s_ik)
        listmle:  distillation = -1/NK sum_i sum_j log( exp(s_i,pi(j)) / sum_{l >= j} exp(s_i,pi(l)) )

    pi orders them by t_i, the greatest first, ties as they stand. The likelihood of an order has K factors; its mean, not
    their sum, keeps the weight of the term apart from the size of the batch. No mask takes part: what looks like x_i is to
    rank high here, not to be left out.
    """
    n = len(premise)
    forth, back = _logits(premise, hypotheses[:n], tau), _logits(hypotheses[:n], premise, tau)  # (N, N)
    log_p, log_q = forth.log_softmax(1), back.log_softmax(1)
    log_r = torch.logaddexp(log_p, log_q) - math.log(2)
    consistency = ((log_p.exp() * (log_p - log_r)).sum() + (log_q.exp() * (log_q - log_r)).sum()) / (2 * n)
    others = ~torch.eye(n, len(hypotheses), dtype=torch.bool, device=premise.device)
    student = _logits(premise, hypotheses, RANK_TAU)[others].view(n, -1)  # (N, K)
    taught = teacher[others].view(n, -1)
    if by == "listnet":
        distillation = -((taught / TEACHER_TAU).softmax(1) * student.log_softmax(1)).sum() / n
    else:
        ordered = student.gather(1, taught.argsort(dim=1, descending=True, stable=True))
        behind = ordered.flip(1).logcumsumexp(dim=1).flip(1)  # log sum_{l >= j}
        distillation = (behind - ordered).sum() / max(ordered.numel(), 1)
    return CONSISTENCY * consistency + DISTILLATION * distillation


def _logits(premise: Tensor, hypotheses: Tensor, tau: float) -> Tensor:
    """cos/tau of every premise with every hypothesis, (N, M), in float32."""
    cosine = functional.normalize(premise.float(), dim=-1) @ functional.normalize(hypotheses.float(), dim=-1).T
    return cosine / tau


def _own(premise: Tensor) -> Tensor:
    """The column of each premise's positive, (N,)."""
    return torch.arange(len(premise), device=premise.device)
