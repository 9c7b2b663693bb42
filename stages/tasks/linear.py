"""What both probes share: rows to learn from and to be judged on, and linear classes of vectors. Arrow: none of its own.

Weights are (classes, d + 1): the bias is the weight of a column of ones. What is drawn at random comes from the stream that
SentEval's own calls read (`numpy.random.seed(1111)`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SEED = 1111
HELD_OUT = 0.05


class Split(NamedTuple):
    """Rows to learn from, and rows whose accuracy chooses the epoch. `drawn`: over how many rows a permutation was drawn
    before those of the epochs; 0 for none."""

    train: np.ndarray
    dev: np.ndarray
    drawn: int = 0


@dataclass(frozen=True)
class Fitted:
    """`weights` (splits, decays, classes, d + 1) and `accuracy` (splits, decays) on each split's dev rows, 0 to 1."""

    weights: np.ndarray
    accuracy: np.ndarray


def folds(labels: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(other rows, rows of the fold) of each of `count` stratified folds of labels (n,), shuffled by the seed.

    The folds of scikit-learn's StratifiedKFold(count, shuffle=True, random_state=1111), which the field's figures rest
    on: classes in the order in which they first appear; each fold takes as many of a class as every `count`-th row of the
    sorted labels has of it; and which of a class's rows go where is shuffled.
    """
    classes = np.array(list(dict.fromkeys(labels.tolist())))
    ranked = np.argsort(classes)[np.searchsorted(np.sort(classes), labels)]  # (n,): a class by its place in `classes`
    ordered = np.sort(ranked)
    shuffles = np.random.RandomState(SEED)
    fold = np.empty(len(labels), int)
    for place in range(len(classes)):
        shares = [int((ordered[start::count] == place).sum()) for start in range(count)]
        among = np.arange(count).repeat(shares)
        shuffles.shuffle(among)
        fold[ranked == place] = among
    for number in range(count):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def held_out(rows: np.ndarray) -> Split:
    """All of `rows` to learn from, but for a twentieth that chooses the epoch."""
    order = np.random.RandomState(SEED).permutation(len(rows))
    cut = int(HELD_OUT * len(rows))
    return Split(rows[order[cut:]], rows[order[:cut]], len(rows))


def with_ones(features: np.ndarray) -> np.ndarray:
    """(n, d) -> (n, d + 1) in float32, the last column ones."""
    return np.hstack([features, np.ones((len(features), 1))]).astype(np.float32)


def predict(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The likeliest class of each row: (n, d + 1) and (..., classes, d + 1) -> (..., n)."""
    classes: np.ndarray = (weights @ table.T).argmax(-2)
    return classes


def accuracies(table: np.ndarray, truth: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of `rows` whose class is found, by each of the weights (decays, classes, d + 1): (decays,)."""
    share: np.ndarray = (predict(table[rows], weights) == truth[rows].argmax(1)).mean(-1)
    return share
