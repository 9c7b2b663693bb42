"""Training, without store or clock: triplets in, steps out. Arrow: triplet -> checkpoint; this is the inside of `train`.

The objectives differ in their loss (`stages/models/training/loss.py`) and in what a loss reads beside the vectors: a mask,
labels, or nothing. Unsupervised SimCSE reads sentences instead of triplets, and each twice; in a template, in two of them.

Nothing depends on when it happens: the order of triplets comes from (seed, epoch), dropout from (seed, step), the
learning rate from the step. So weights, optimiser and step number are all there is to save, and a training that was
killed and restored walks the same road to the last bit (on one CPU thread).
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.models.encoder.model import Encoder, autocast
from stages.models.training.loss import (
    false_negatives,
    masked_contrastive_loss,
    ranking_loss,
    released_loss,
    released_mask,
    scored_contrastive_loss,
    similarity_loss,
)
from stages.models.training.parts import Parts, trained
from stages.models.training.ranks import Ranks
from stages.models.training.token_rows import TokenRows

# Gradients longer than this are scaled down; the value of the field's trainers.
GRADIENT_NORM = 1.0

# The share of the steps over which the learning rate rises, where CLAIF's pairs are trained on (its own recipe).
WARM_UP = 0.1

# Triplets tokenised at once: enough to keep the tokenizer's threads busy, few enough not to matter beside a batch.
TOKENISED_AT_ONCE = 1024


@dataclass(frozen=True)
class Recipe:
    """What training needs to know. `dtype` bfloat16 computes the encoder's matrix products in it; weights and loss stay
    float32. `tau` is None for `claif`, `clhaif` (positive or all) for every other objective than that. `rank` (listnet or
    listmle) adds RankCSE's terms, else None."""

    tau: float | None
    sigma: float | None
    train_batch: int
    epochs: int
    lr: float
    max_length: int
    seed: int
    dtype: str
    objective: str = "multicsr"
    clhaif: str | None = None
    rank: str | None = None


@dataclass(frozen=True)
class Step:
    """One optimiser step done: numbered from 1, with the loss before it and the share of negatives that were masked."""

    step: int
    epoch: int
    loss: float
    masked_share: float
    lr: float


@dataclass(frozen=True)
class MaskVectors:
    """The mask model's vectors of all triplets, each (n, w), scaled to length 1. In memory or mapped from a file: a batch
    reads its own rows."""

    premise: np.ndarray
    entailment: np.ndarray
    contradiction: np.ndarray


def steps_in(triplets: int, train_batch: int, epochs: int) -> int:
    """Optimiser steps of a whole training; the last batch of an epoch may be smaller."""
    return math.ceil(triplets / train_batch) * epochs


class Training:
    """An encoder on its way: `steps()` goes on from `step`; `state()` and `restore()` are all it takes to resume.

    `examples` are read once: triplets (x, x+, x-), pairs for `claif`, or sentences (x,) for `simcse-unsup`. Kept are their
    token ids and a digest of each premise, not the texts. `labels` (n, 2): the AI's similarities of (x, x+) and (x, x-), in
    [0, 1]; of pairs (n, 1). `teacher`: the vectors that `rank` learns from, one (n, w) for each text of an example, scaled
    to length 1.
    `chunk`: the texts that a step encodes at a time, None for all of its batch; `ranks`: the processes that
    share them. The gradient is the same.
    """

    def __init__(
        self,
        encoder: Encoder,
        examples: Iterable[Sequence[str]],
        mask: MaskVectors | None,
        recipe: Recipe,
        labels: np.ndarray | None = None,
        teacher: Sequence[np.ndarray] | None = None,
        chunk: int | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.encoder = encoder
        self.recipe = recipe
        self.mask = mask
        self.labels = labels
        assert (teacher is None) == (recipe.rank is None)
        self.teacher = teacher
        self.step = 0
        width = 1 if recipe.objective == "simcse-unsup" else 3 if labels is None else 1 + labels.shape[1]
        self.rows = [TokenRows() for _ in range(width)]  # a column each of x, x+, x-, all of n rows
        self.premise_number = self._read(examples)
        assert labels is None or len(labels) == len(self.premise_number)
        self.total = steps_in(len(self.premise_number), recipe.train_batch, recipe.epochs)
        self.used = self._used_words()
        table = encoder.words.weight
        self.words = table if self.used is None else table.detach()[self.used].requires_grad_()
        self.trained = trained(encoder, self.words)
        self.parts = None
        if chunk is not None or ranks is not None:
            self.parts = Parts(encoder, None if self.used is None else self.words, recipe.dtype, chunk, ranks)
        # Fused: one pass over the weights.
        self.optimiser = torch.optim.AdamW(self.trained, lr=recipe.lr, weight_decay=0.0, fused=True)

    def _read(self, examples: Iterable[Sequence[str]]) -> Tensor:
        """Fill `rows`, and return a number for each premise, (n,), equal where premises are equal."""
        digests, pending = array("q"), iter(examples)
        while window := list(islice(pending, TOKENISED_AT_ONCE)):
            for column, texts in zip(self.rows, zip(*window, strict=True), strict=True):
                column.extend(self.encoder.ids(texts, self.recipe.max_length))
            digests.extend(_digest(example[0]) for example in window)
        template = self.encoder.template
        if template is not None and len(self.rows) == 1:
            first, second = self.rows[0], TokenRows()
            second.extend(template.second(first[place]) for place in range(len(first)))
            self.rows.append(second)
        return torch.from_numpy(np.frombuffer(digests, dtype=np.int64))

    def _used_words(self) -> Tensor | None:
        """The token ids that occur, (V,), and from here on each row's ids count from 0 within them.

        A word that occurs nowhere has gradient 0 at every step, hence moments 0, and without weight decay AdamW leaves
        it where it is. Most weights of a small encoder are such words' vectors; to clear, measure and step over them
        took a tenth of a step. None for a backbone that does not pack: its padding would have to be among them.
        """
        if self.encoder.first_position is None:
            return None
        seen = np.zeros(self.encoder.words.num_embeddings, dtype=bool)
        for column in self.rows:
            column.mark(seen)
        number = np.cumsum(seen, dtype=np.intc) - 1
        for column in self.rows:
            column.renumber(number)
        return torch.from_numpy(np.flatnonzero(seen)).to(self.encoder.device)

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and step number."""
        return {"step": self.step, "model": self.encoder.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        self.step = state["step"]
        self.encoder.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.used is not None:
            self.words.data.copy_(self.encoder.words.weight[self.used])

    def steps(self) -> Iterator[Step]:
        """Take the remaining steps, yielding after each; the encoder may be used (not changed) in between."""
        per_epoch = self.total // self.recipe.epochs
        while self.step < self.total:
            epoch, place = divmod(self.step, per_epoch)
            order = _order(self.recipe.seed, epoch, len(self.premise_number))
            chosen = order[place * self.recipe.train_batch : (place + 1) * self.recipe.train_batch]
            yield self._take(chosen, epoch)

    def _take(self, chosen: Tensor, epoch: int) -> Step:
        recipe = self.recipe
        lr = recipe.lr * self._pace()
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.encoder.train()
        seed = _seed(recipe.seed, "dropout", self.step)
        # All x, all x+, all x-; or all x twice: a row that stands in a batch twice has two draws of dropout.
        columns = self.rows * 2 if len(self.rows) == 1 else self.rows
        rows = [column[place] for column in columns for place in chosen.tolist()]
        vectors = self._encoded(rows, self._starts(len(chosen)), seed)  # (3N, d) or (2N, d)
        loss, share = self._loss(vectors[: len(chosen)], vectors[len(chosen) :], chosen)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.parts is not None:
            self.parts.backward(vectors)
        torch.nn.utils.clip_grad_norm_(self.trained, GRADIENT_NORM)
        self.optimiser.step()
        if self.used is not None:
            self.encoder.words.weight.data[self.used] = self.words.detach()
        self.step += 1
        return Step(self.step, epoch, float(loss.detach()), share, lr)

    def _encoded(self, rows: list[list[int]], starts: list[int] | None, seed: int) -> Tensor:
        """The vectors of a batch under the dropout of `seed`, (len(rows), d)."""
        if self.parts is not None:
            return self.parts.forward(rows, starts, seed)
        torch.manual_seed(seed)
        with autocast(self.recipe.dtype, self.encoder.device):
            vectors: Tensor = self.encoder(rows, None if self.used is None else self.words, starts)
        return vectors

    def _starts(self, n: int) -> list[int] | None:
        """The tokens before the sentence in each row of a batch of `n` examples, where it stands in a template."""
        template = self.encoder.template
        if template is None:
            return None
        if len(self.rows) == 2 and self.labels is None:
            return [len(template.before)] * n + [len(template.second_before)] * n
        return [len(template.before)] * len(self.rows) * n

    def _pace(self) -> float:
        """The share of the learning rate at this step: linear decay; before it, for pairs, a linear warm-up."""
        rising = math.ceil(WARM_UP * self.total) if self.labels is not None and self.labels.shape[1] == 1 else 0
        if self.step < rising:
            return (self.step + 1) / rising
        return (self.total - self.step) / (self.total - rising)

    def _loss(self, premise: Tensor, hypotheses: Tensor, chosen: Tensor) -> tuple[Tensor, float]:
        """The objective's loss of a batch, premise (N, d) and what it is compared with; and the share that is masked."""
        recipe = self.recipe
        if self.labels is not None:
            labels = torch.from_numpy(self.labels[chosen.numpy()]).to(premise.device)  # (N, 2) or (N, 1)
            if recipe.objective == "claif":
                return similarity_loss(premise, hypotheses, labels.T.flatten()), 0.0
            assert recipe.tau is not None
            others = recipe.clhaif == "all"
            return scored_contrastive_loss(premise, hypotheses, labels[:, 0], recipe.tau, others), 0.0
        assert recipe.tau is not None
        masked, share = self._masked(chosen)
        loss = released_loss if recipe.objective == "multicsr-released" else masked_contrastive_loss
        total = loss(premise, hypotheses, masked, recipe.tau)
        if recipe.rank is not None:
            total = total + ranking_loss(premise, hypotheses, self._taught(chosen), recipe.tau, recipe.rank)
        return total, share

    def _taught(self, chosen: Tensor) -> Tensor:
        """The teacher's cosines of every premise of a batch with every hypothesis, (N, 2N); or with every premise, (N, N)."""
        assert self.teacher is not None
        premise, *others = [torch.from_numpy(side[chosen.numpy()]) for side in self.teacher]
        return (premise @ torch.cat(others or [premise]).T).to(self.encoder.device)

    def _masked(self, chosen: Tensor) -> tuple[Tensor | None, float]:
        """The mask (N, 2N) of a batch, and the share of its negatives (all but each premise's own x+) that it removes."""
        if self.mask is None or self.recipe.sigma is None:
            return None, 0.0
        places = chosen.numpy()
        premise = torch.from_numpy(self.mask.premise[places])
        hypotheses = torch.from_numpy(np.concatenate([self.mask.entailment[places], self.mask.contradiction[places]]))
        if self.recipe.objective == "multicsr-released":
            masked = released_mask(premise, hypotheses, self.recipe.sigma)
        else:
            number = self.premise_number[chosen]
            masked = false_negatives(premise, hypotheses, number[:, None] == number[None, :], self.recipe.sigma)
        share = float(masked.sum()) / (masked.numel() - len(chosen))
        return masked.to(self.encoder.device), share


def _digest(text: str) -> int:
    """64 bits that tell texts apart: two of a million differing ones share theirs with a probability of 3e-8."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of the triplets in an epoch, (count,)."""
    generator = torch.Generator().manual_seed(_seed(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def _seed(seed: int, what: str, number: int) -> int:
    """A seed for one purpose at one place, so that no random number depends on what was drawn before it."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{what}/{number}".encode(), digest_size=7).digest(), "big")
