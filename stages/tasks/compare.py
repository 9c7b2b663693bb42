"""Two models on the same items: is their difference more than chance? Arrow: checkpoint -> metric ± error.

The paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16): items are drawn
anew, with replacement and as many as there are, and both models are judged on the same draw; how the differences of many
draws spread tells how far another sample of items could have moved the one that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

RESAMPLES = 10_000
SEED = 0

# The interval holds this share of the resamples.
COVERED = 0.95

# Numbers drawn at once: a few arrays of them stay in the processor's cache.
DRAWN_AT_ONCE = 200_000


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
        """How often each item is drawn (r, n) -> the headline times 100 of each draw (r,); NaN where it is undefined."""
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
        means: np.ndarray = 100 * (counts @ self.values.astype(float)) / counts.sum(1)
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
        covariance = (counts * predicted * gold).sum(1)
        variances = (counts * predicted * predicted).sum(1) * (counts * gold * gold).sum(1)
        with np.errstate(invalid="ignore"):
            values: np.ndarray = 100 * covariance / np.sqrt(variances)
        return values


def _centred_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rank of each item (r, n) in each draw, less the mean rank. Equal values, and the copies of an item, share their
    mean rank; so the ranks follow from how often each distinct value is drawn, without sorting every draw."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    drawn = np.add.reduceat(counts[:, order], starts, axis=1)  # (r, distinct values)
    ranks: np.ndarray = np.cumsum(drawn, axis=1) - (drawn - 1) / 2 - (counts.sum(1, keepdims=True) + 1) / 2
    return ranks[:, group]


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

    p is twice the smaller share of draws whose difference lies on one side of 0 (or at it), the measured sample counted
    among them, so it is never 0. Raises ValueError where the items are not the same, or no draw has a figure.
    """
    if (first.metric, first.n) != (second.metric, second.n):
        raise ValueError(f"{first.metric} over {first.n} items and {second.metric} over {second.n} are not comparable")
    n = first.n
    draw, parts = np.random.default_rng(seed), list[np.ndarray]()
    size = max(1, DRAWN_AT_ONCE // n)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        rows = draw.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        counts = np.bincount(rows.ravel(), minlength=count * n).reshape(count, n)
        parts.append(first.resampled(counts) - second.resampled(counts))
    every = np.concatenate(parts)
    differences = every[np.isfinite(every)]
    whole = np.ones((1, n), dtype=np.int64)
    (difference,) = first.resampled(whole) - second.resampled(whole)
    if not len(differences) or not np.isfinite(difference):
        raise ValueError("the figures of the two models cannot be compared: one of them is undefined")
    tail = (1 - COVERED) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    sided = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p = min(1.0, 2 * (sided + 1) / (len(differences) + 1))
    return Comparison(first.metric, float(difference), float(low), float(high), p, n, len(differences))
