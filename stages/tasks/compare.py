"""Two models on the same items: is their difference more than chance? Arrow: checkpoint -> metric ± error.

The paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16): items are drawn
anew, with replacement and as many as there are, and both models are judged on the same draw; how the differences of many
draws spread tells how far another sample of items could have moved the one that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

RESAMPLES = 10_000
SEED = 0

# The interval holds this share of the resamples.
COVERED = 0.95

# Numbers drawn at once: a few arrays of them stay in the processor's cache.
DRAWN_AT_ONCE = 100_000


class Outcome(Protocol):
    """What a task's headline is computed from: `n` items, and the figure for any draw of them."""

    @property
    def metric(self) -> str:
        """The headline's name."""
        ...

    @property
    def n(self) -> int:
        """The number of items."""
        ...

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """How often each item is drawn (n, r) -> the headline times 100 of each draw (r,); NaN where it is undefined."""
        ...


@dataclass(frozen=True)
class Mean:
    """A headline that is a mean over items, `values` (n,) times 100: right or wrong, or the nDCG of each query."""

    metric: str
    values: np.ndarray

    @property
    def n(self) -> int:
        return len(self.values)

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        means: np.ndarray = 100 * (self.values.astype(float) @ counts) / counts.sum(0)
        return means


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of two sides (n,)."""

    predicted: np.ndarray
    gold: np.ndarray
    metric: str = "spearman"

    @property
    def n(self) -> int:
        return len(self.gold)

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Pearson's correlation of the ranks within each draw; undefined where one side of it does not vary."""
        predicted, gold = _centred_ranks(self.predicted, counts), _centred_ranks(self.gold, counts)
        covariance = np.einsum("nr,nr,nr->r", counts, predicted, gold)
        variances = np.einsum("nr,nr,nr->r", counts, predicted, predicted) * np.einsum(
            "nr,nr,nr->r", counts, gold, gold
        )
        with np.errstate(invalid="ignore"):
            values: np.ndarray = 100 * covariance / np.sqrt(variances)
        return values


def _centred_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rank of each item (n, r) in each draw, less the mean rank. Equal values, and the copies of an item, share their
    mean rank; so the ranks follow from how often each distinct value is drawn, without sorting every draw."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    drawn = np.add.reduceat(counts[order], starts, axis=0, dtype=float)  # (distinct values, r)
    ranks = np.cumsum(drawn, axis=0)
    ranks -= (drawn - 1) / 2
    ranks -= (counts.sum(0) + 1) / 2
    centred: np.ndarray = ranks[group]
    return centred


class Comparison(NamedTuple):
    """First model less second, times 100, with its 95 % interval and two-sided p, over `resamples` draws of `n` items."""

    metric: str
    difference: float
    low: float
    high: float
    p: float
    n: int
    resamples: int


def bootstrap(first: Outcome, second: Outcome, resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """Compare two outcomes of one task. A draw on which a figure is undefined is left out and not counted in `resamples`.

    Raises ValueError where the items are not the same, or no draw has a figure.
    """
    if (first.metric, first.n) != (second.metric, second.n):
        raise ValueError(f"{first.metric} over {first.n} items and {second.metric} over {second.n} are not comparable")
    parts = [first.resampled(counts) - second.resampled(counts) for counts in draws(first.n, resamples, seed)]
    every = np.concatenate(parts)
    differences = every[np.isfinite(every)]
    difference = figure(first) - figure(second)
    if not len(differences) or not np.isfinite(difference):
        raise ValueError("the figures of the two models cannot be compared: one of them is undefined")
    return Comparison(first.metric, difference, *chance(differences), first.n, len(differences))


def figure(outcome: Outcome) -> float:
    """The headline times 100 over all items; NaN where it is undefined."""
    return float(outcome.resampled(np.ones((outcome.n, 1), dtype=np.int64))[0])


def draws(n: int, resamples: int, seed: int | Sequence[int] = SEED) -> Iterator[np.ndarray]:
    """How often each of `n` items is drawn, (n, r) at a time, until there are as many draws as `resamples`."""
    random, size = np.random.default_rng(seed), max(1, DRAWN_AT_ONCE // n)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        cells = random.integers(n, size=(count, n)) * count + np.arange(count)[:, None]
        yield np.bincount(cells.ravel(), minlength=n * count).reshape(n, count)


def chance(differences: np.ndarray) -> tuple[float, float, float]:
    """The 95 % interval and the two-sided p of the differences of many draws (r,).

    p is twice the smaller share of draws on one side of 0 (or at it), the measured sample counted among them, so it is
    never 0.
    """
    tail = (1 - COVERED) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    sided = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (sided + 1) / (len(differences) + 1))
