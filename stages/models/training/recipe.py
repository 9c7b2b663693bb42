"""What a training is told, and what follows from that alone: its steps, their order, learning rates and seeds.

Arrow: none of its own; `fit.py` trains by it. Nothing depends on when it happens: the order of triplets comes from (seed,
epoch), dropout from (seed, step), the learning rate from the step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.models.training.mask import PLACE, MaskRule

# CLAIF's own recipe: the share of the steps over which the learning rate rises, and, as its code leaves it to the trainer of
# sentence-transformers, AdamW's decay of every weight but biases and those of norms.
WARM_UP = 0.1
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Recipe:
    """What training needs to know. `dtype` bfloat16 computes the encoder's matrix products in it; weights and loss stay
    float32. None are `tau` for `claif`, `clhaif` (positive or all) for every other objective than that, `rank` (listnet or
    listmle) where RankCSE's terms are not added, and `max_length` where only the encoder's own limit cuts a text. `sigma`,
    `sigma_margin` and `own` are the mask's (`mask.py`): without either of the first two there is none. A training ends after
    so many `steps`, or, where these are None, `epochs`."""

    tau: float | None
    sigma: float | None
    train_batch: int
    epochs: int | None
    lr: float
    max_length: int | None
    seed: int
    dtype: str
    objective: str = "multicsr"
    clhaif: str | None = None
    rank: str | None = None
    sigma_margin: float | None = None
    own: str | None = None
    steps: int | None = None

    def total(self, triplets: int) -> int:
        """Optimiser steps of a whole training on so many triplets."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return steps_in(triplets, self.train_batch, self.epochs)

    @property
    def mask(self) -> MaskRule | None:
        """The rule of its mask."""
        if self.sigma is None and self.sigma_margin is None:
            return None
        return MaskRule(self.sigma, self.sigma_margin, self.own or PLACE, self.objective == "multicsr-released")

    @property
    def weight_decay(self) -> float:
        """The share of a weight that AdamW takes away at each step, times the learning rate."""
        return WEIGHT_DECAY if self.objective == "claif" else 0.0


@dataclass(frozen=True)
class Step:
    """One optimiser step done: numbered from 1, with the loss before it and the share of negatives that were masked."""

    step: int
    epoch: int
    loss: float
    masked_share: float
    lr: float


def steps_in(triplets: int, train_batch: int, epochs: int) -> int:
    """Optimiser steps of whole epochs; the last batch of an epoch may be smaller."""
    return math.ceil(triplets / train_batch) * epochs


def batches(recipe: Recipe, count: int, step: int = 0) -> Iterator[tuple[int, Tensor]]:
    """The epoch and the examples (N,) of each step of a training on `count`, from `step` on."""
    an_epoch, total = steps_in(count, recipe.train_batch, 1), recipe.total(count)
    first, place = divmod(step, an_epoch)
    for epoch in range(first, math.ceil(total / an_epoch)):
        left = total - epoch * an_epoch  # fewer than an epoch's, where steps end a training within one
        places = order(recipe.seed, epoch, count)
        yield from ((epoch, chosen) for chosen in places.split(recipe.train_batch)[place:left])
        place = 0


def lr_share(step: int, total: int, warm_up: bool) -> float:
    """The share of the learning rate at `step`, from 0, of `total`: linear decay; before it a linear `warm_up`, if any."""
    rising = math.ceil(WARM_UP * total) if warm_up else 0
    return (step + 1) / rising if step < rising else (total - step) / (total - rising)


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of the triplets in an epoch, (count,)."""
    generator = torch.Generator().manual_seed(seed_for(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def seed_for(seed: int, what: str, number: int) -> int:
    """A seed for one purpose at one place, so that no random number depends on what was drawn before it."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{what}/{number}".encode(), digest_size=7).digest(), "big")
