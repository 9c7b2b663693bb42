"""The masked in-batch contrastive loss (MultiCSR, eq. 5-7).

For a batch of N triplets (x_k, x_k+, x_k-) with vectors h, cosine similarity and temperature tau:

    loss_i = -log( exp(cos(h_i, h_i+)/tau) / sum_k sum_{s in {+,-}} M_iks exp(cos(h_i, h_k^s)/tau) )
    M_iks  = 0 if cos_P(x_i, x_k^s) >= sigma and x_k != x_i, else 1

P is the frozen mask model. A premise's own x+ and x- are never masked, also where the same premise stands in the batch
twice. A masked term is -inf before the softmax, in float32, so it takes no probability. (The released MultiCSR code
multiplies masked logits by 0 instead, which leaves exp(0) in the denominator.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def false_negatives(premise_p: Tensor, hypotheses_p: Tensor, same_premise: Tensor, sigma: float) -> Tensor:
    """Where M is 0: True marks a hypothesis that the mask model finds too similar to be a negative.

    premise_p (N, w) and hypotheses_p (2N, w): the mask model's vectors, scaled to length 1; hypotheses_p holds all x+,
    then all x-. same_premise (N, N): x_i == x_k. Returns a boolean (N, 2N).
    """
    similar = premise_p @ hypotheses_p.T >= sigma  # (N, 2N)
    return similar & ~same_premise.repeat(1, 2)


def masked_contrastive_loss(premise: Tensor, hypotheses: Tensor, masked: Tensor | None, tau: float) -> Tensor:
    """Mean loss over the batch (eq. 5): premise (N, d), hypotheses (2N, d) all x+ then all x-, masked (N, 2N) or None."""
    cosine = functional.normalize(premise.float(), dim=-1) @ functional.normalize(hypotheses.float(), dim=-1).T
    logits = cosine / tau  # (N, 2N)
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    own = torch.arange(len(premise), device=premise.device)  # the column of h_i+
    return functional.cross_entropy(logits, own)
