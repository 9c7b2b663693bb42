"""Alignment and uniformity: how close pairs of one meaning lie, and how evenly all sentences fill the sphere (Wang and
Isola, 2020). Arrow: vectors -> figure ± error. Computed on unit vectors; the lower the better; not times 100.

On STS as SimCSE (Gao et al., 2021) has them: alignment over the pairs with a high gold score, uniformity over all pairs of
the task's sentences, where a sentence that occurs twice counts once. Both are exact: no pair is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stages.tasks import sts
from stages.tasks.compare import Correlation
from stages.tasks.task import Encode, Figure

POSITIVE = 4.0  # the least gold score, from 0 to 5, of a pair that counts as one meaning
FIGURES = ("alignment", "uniformity")

ROWS_AT_ONCE = 512  # against all others: a block of a hundred thousand sentences is 400 MB


@dataclass(frozen=True)
class Analysed:
    """An STS task that has these two figures beside its own."""

    task: sts.StsTask

    @property
    def name(self) -> str:
        """The task's own."""
        return self.task.name

    @property
    def digest(self) -> str:
        """The task's own: these figures need no other data."""
        return self.task.digest

    @property
    def texts(self) -> list[str]:
        """The task's own."""
        return self.task.texts

    def evaluate(self, encode: Encode) -> list[Figure]:
        """The task's figures, then alignment and uniformity, each with the number of pairs it is over."""
        return [*self.task.evaluate(encode), *figures(self.task, encode)]

    def outcome(self, encode: Encode) -> Correlation:
        """The task's own: what is compared is its headline."""
        return self.task.outcome(encode)


def figures(task: sts.StsTask, encode: Encode) -> list[Figure]:
    """Alignment and uniformity over a whole task. Raises ValueError where no pair scores high, or a vector is zero."""
    texts = task.texts
    place = {text: row for row, text in enumerate(texts)}
    positive = [
        (place[left], place[right])
        for part in task.subsets
        for left, right, gold in zip(part.first, part.second, part.gold, strict=True)
        if gold >= POSITIVE
    ]
    if not positive:
        raise ValueError(f"no pair has a gold score of {POSITIVE:g} or more, so there is no alignment")
    vectors = unit(encode(texts))
    first, second = np.array(positive).T
    pairs = len(texts) * (len(texts) - 1) // 2
    close, even = alignment(vectors[first], vectors[second]), uniformity(vectors)
    return [
        Figure("", name, value, n, error)
        for name, (value, error), n in zip(FIGURES, (close, even), (len(positive), pairs), strict=True)
    ]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) of length 1, float64. Raises ValueError for one that has no direction."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("a vector is zero or not finite: it has no direction")
    directions: np.ndarray = vectors / lengths
    return directions


def alignment(first: np.ndarray, second: np.ndarray) -> tuple[float, float | None]:
    """Mean |x - y|² over pairs of unit vectors, (n, d) and (n, d), with its standard error (none for one pair)."""
    distances = ((first - second) ** 2).sum(1)
    error = float(distances.std(ddof=1)) / math.sqrt(len(distances)) if len(distances) > 1 else None
    return float(distances.mean()), error


def uniformity(vectors: np.ndarray) -> tuple[float, float]:
    """log of the mean of exp(-2 |x - y|²) over all pairs of unit vectors (n, d), with its standard error.

    Pairs share their sentences, so the error is that of a U-statistic (Hoeffding, 1948), 2 sd(h) / sqrt(n) with h_i the mean
    over the pairs of sentence i, carried through the logarithm. Raises ValueError below two vectors.
    """
    n = len(vectors)
    if n < 2:
        raise ValueError("uniformity needs two sentences at least")
    means = np.empty(n)
    for start in range(0, n, ROWS_AT_ONCE):
        block = vectors[start : start + ROWS_AT_ONCE] @ vectors.T  # (rows, n)
        # |x - y|² = 2 - 2 x·y on the sphere; a vector's pair with itself, exp(0), is taken off again.
        means[start : start + ROWS_AT_ONCE] = (np.exp(4 * (block - 1)).sum(1) - 1) / (n - 1)
    mean = float(means.mean())
    return math.log(mean), 2 * float(means.std(ddof=1)) / math.sqrt(n) / mean
