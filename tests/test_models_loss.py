"""The masked contrastive loss against three nested loops over the paper's formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from stages.models.training.loss import masked_contrastive_loss
from stages.models.training.mask import false_negatives, own_hypotheses

WIDTH = 6
TAUS = st.sampled_from([0.05, 0.1, 0.5, 1.0])


@dataclass
class Batch:
    """Trained vectors h and mask vectors p of N triplets; `premise` says which of them have the same premise, and `by`
    whether those have one another's hypotheses as their own."""

    h: Tensor  # (3N, d): x, x+, x-
    p: Tensor  # (3N, w), length 1
    premise: list[int]
    tau: float
    sigma: float
    by: str = "place"

    @property
    def n(self) -> int:
        return len(self.premise)

    @property
    def own(self) -> Tensor:
        return own_hypotheses(torch.tensor(self.premise), 2 * self.n, self.by)

    def masked(self, sigma: float | None = None) -> Tensor:
        return false_negatives(self.p[: self.n], self.p[self.n :], self.own, self.sigma if sigma is None else sigma)

    def loss(self, h: Tensor | None = None) -> Tensor:
        h = self.h if h is None else h
        return masked_contrastive_loss(h[: self.n], h[self.n :], self.masked(), self.tau)


@st.composite
def batches(draw: st.DrawFn, sigma: st.SearchStrategy[float] | None = None) -> Batch:
    n = draw(st.integers(1, 7))
    premise = draw(st.lists(st.integers(0, max(n // 2, 1)), min_size=n, max_size=n))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    h = torch.randn(3 * n, WIDTH, generator=generator)
    p = functional.normalize(torch.randn(3 * n, 3, generator=generator), dim=-1)
    if draw(st.booleans()):  # hypotheses that the mask model cannot tell from their premise
        p[n : 2 * n] = p[:n]
    first = {number: premise.index(number) for number in premise}
    for place, number in enumerate(premise):  # the same premise has the same vectors
        h[place], p[place] = h[first[number]], p[first[number]]
    chosen = draw(sigma if sigma is not None else st.floats(-1, 1))
    found = Batch(h, p, premise, draw(TAUS), chosen, draw(st.sampled_from(["place", "premise"])))
    cosines = found.p[:n] @ found.p[n:].T
    assume((cosines - chosen).abs().min() > 1e-5)  # where rounding decides, the loops may differ
    return found


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def is_masked(batch: Batch, i: int, k: int, s: int) -> bool:
    """M_iks = 0 (eq. 6): s is 0 for x_k+ and 1 for x_k-."""
    x, y = batch.p[i].tolist(), batch.p[(1 + s) * batch.n + k].tolist()
    own = k == i if batch.by == "place" else batch.premise[k] == batch.premise[i]
    return cosine(x, y) >= batch.sigma and not own


def looped(batch: Batch, h: list[list[float]]) -> float:
    """Eq. 7, one term at a time."""
    n, total = batch.n, 0.0
    for i in range(n):
        denominator = 0.0
        for k in range(n):
            for s in range(2):
                if not is_masked(batch, i, k, s):
                    denominator += math.exp(cosine(h[i], h[(1 + s) * n + k]) / batch.tau)
        total += -math.log(math.exp(cosine(h[i], h[n + i]) / batch.tau) / denominator)
    return total / n


def looped_in_torch(batch: Batch, h: Tensor) -> Tensor:
    """The same loops on float64 tensors, for their gradient."""
    n, losses = batch.n, []
    for i in range(n):
        terms = [
            functional.cosine_similarity(h[i], h[(1 + s) * n + k], dim=0) / batch.tau
            for k in range(n)
            for s in range(2)
            if not is_masked(batch, i, k, s)
        ]
        losses.append(torch.stack(terms).logsumexp(0) - functional.cosine_similarity(h[i], h[n + i], dim=0) / batch.tau)
    return torch.stack(losses).mean()


@settings(max_examples=60)
@given(batches())
def test_the_loss_equals_three_nested_loops(batch: Batch) -> None:
    """Eq. 7 for any N, sigma, tau and any premises that occur twice."""
    assert float(batch.loss()) == pytest.approx(looped(batch, batch.h.tolist()), rel=1e-5, abs=1e-5)


@settings(max_examples=60)
@given(batches())
def test_the_mask_equals_the_loops(batch: Batch) -> None:
    """Eq. 6, cell by cell: all x+ in the first N columns, all x- in the others."""
    found = batch.masked()
    assert found.dtype == torch.bool
    assert found.shape == (batch.n, 2 * batch.n)
    for i in range(batch.n):
        for k in range(batch.n):
            for s in range(2):
                assert bool(found[i, s * batch.n + k]) == is_masked(batch, i, k, s)


@settings(max_examples=30)
@given(batches())
def test_the_gradient_equals_autograd_of_the_loops(batch: Batch) -> None:
    """To 1e-6 of the gradient's size in every coordinate; float32 carries logits of 1/tau with as much less precision."""
    fast = batch.h.clone().requires_grad_()
    batch.loss(fast).backward()
    slow = batch.h.double().requires_grad_()
    looped_in_torch(batch, slow).backward()
    size = max(1.0, float(slow.grad.abs().max()))
    assert float((fast.grad.double() - slow.grad).abs().max()) <= 1e-6 * size * max(1.0, 0.25 / batch.tau)


@given(batches())
def test_a_premises_own_hypotheses_are_never_masked(batch: Batch) -> None:
    """Neither x_i+ nor x_i-, whatever sigma is; where own is a matter of the premise, nor those of an equal premise."""
    for sigma in (-1.0, batch.sigma):
        masked = batch.masked(sigma)
        for i in range(batch.n):
            for k in range(batch.n):
                if k == i or (batch.by == "premise" and batch.premise[k] == batch.premise[i]):
                    assert not masked[i, k]
                    assert not masked[i, batch.n + k]


@given(batches())
def test_the_lowest_sigma_masks_every_hypothesis_but_the_own(batch: Batch) -> None:
    """Below every cosine; the loss stays finite."""
    masked = batch.masked(-1.1)
    assert torch.equal(masked, ~batch.own)
    assert masked_contrastive_loss(batch.h[: batch.n], batch.h[batch.n :], masked, batch.tau).isfinite()


def test_a_cosine_of_exactly_sigma_is_masked() -> None:
    """The border belongs to the mask (eq. 6 says sim >= sigma)."""
    axes = torch.eye(2)
    masked = false_negatives(axes, torch.cat([axes.flip(0), axes]), own_hypotheses(torch.arange(2), 4, "place"), 1.0)
    assert masked.tolist() == [[False, True, False, False], [True, False, False, False]]


@given(batches(sigma=st.just(1.1)))
def test_sigma_above_one_is_supervised_simcse(batch: Batch) -> None:
    """Nothing is masked: cross entropy of cos/tau over [x+; x-] with the diagonal as target."""
    n = batch.n
    h = [functional.normalize(part, dim=-1) for part in batch.h.split(n)]
    logits = torch.cat([h[0] @ h[1].T, h[0] @ h[2].T], 1) / batch.tau
    expected = functional.cross_entropy(logits, torch.arange(n))
    assert not batch.masked().any()
    assert batch.loss().item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    unmasked = masked_contrastive_loss(batch.h[:n], batch.h[n:], None, batch.tau)
    assert unmasked.item() == batch.loss().item()


@given(batches(), st.integers(0, 6))
def test_a_masked_term_takes_no_probability(batch: Batch, row: int) -> None:
    """-inf, not 0: a row's loss is the one it has with its masked columns struck out."""
    n, row = batch.n, row % batch.n
    masked = batch.masked()[row]
    premise, kept = batch.h[row : row + 1], [n + column for column in range(2 * n) if not masked[column]]
    logits = functional.cosine_similarity(premise, batch.h[kept]) / batch.tau
    struck = functional.cross_entropy(logits[None], torch.tensor([kept.index(n + row)]))
    cosines = functional.cosine_similarity(premise, batch.h[n:]) / batch.tau
    hidden = functional.cross_entropy(cosines.masked_fill(masked, -torch.inf)[None], torch.tensor([row]))
    assert struck.item() == pytest.approx(hidden.item(), abs=1e-5)
    others = torch.zeros(n, 2 * n, dtype=torch.bool)
    others[row] = masked
    total = masked_contrastive_loss(batch.h[:n], batch.h[n:], others, batch.tau) * n
    plain = masked_contrastive_loss(batch.h[:n], batch.h[n:], None, batch.tau) * n
    before = functional.cross_entropy(cosines[None], torch.tensor([row]))
    assert (total - plain).item() == pytest.approx((struck - before).item(), abs=1e-3)


@given(batches())
def test_masked_hypotheses_get_no_gradient(batch: Batch) -> None:
    """A hypothesis that every premise has masked is not pushed at all."""
    h = batch.h.clone().requires_grad_()
    batch.loss(h).backward()
    everywhere = batch.masked().all(0)
    assert float(h.grad[batch.n :][everywhere].abs().sum()) == 0.0


@given(batches(), st.floats(0.1, 50))
def test_only_directions_count(batch: Batch, scale: float) -> None:
    """Cosine: making all vectors longer changes nothing."""
    assert float(batch.loss(batch.h * scale)) == pytest.approx(float(batch.loss()), rel=1e-4, abs=1e-5)


def test_bfloat16_vectors_give_a_float32_loss() -> None:
    """The softmax of the loss is computed in float32 whatever the encoder computed in."""
    h = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = masked_contrastive_loss(h[:3], h[3:], torch.zeros(3, 6, dtype=torch.bool), 0.05)
    assert loss.dtype == torch.float32
    assert loss.item() == masked_contrastive_loss(h[:3].float(), h[3:].float(), None, 0.05).item()
