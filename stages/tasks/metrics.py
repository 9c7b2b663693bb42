"""Figures with their standard errors, and the p values of several tests. Arrow: checkpoint -> metric ± error; pure
functions on arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


def spearman(predicted: np.ndarray, gold: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation of two arrays (n,), and its standard error; both times 100.

    Ties share their mean rank. The error is that of Fisher's z for ranks, sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and
    Wright, 2000), carried back to rho. Raises ValueError below four pairs or where one side is constant.
    """
    if len(gold) < 4 or np.ptp(predicted) == 0 or np.ptp(gold) == 0:
        raise ValueError("a rank correlation needs four pairs and two sides that vary")
    rho = float(stats.spearmanr(predicted, gold).statistic)
    error = (1 - rho**2) * math.sqrt((1 + rho**2 / 2) / (len(gold) - 3))
    return 100 * rho, 100 * error


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows, (n, d) and (n, d) -> (n,); 0 where a row is zero."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products: np.ndarray = (first * second).sum(1) / np.where(lengths == 0, 1, lengths)
    return products


def holm(chances: Sequence[float]) -> list[float]:
    """The p values of a family of tests, adjusted so that any one of them is below a level by chance with at most that
    probability, however the tests depend on one another (Holm, Scand. J. Statist. 6, 1979).

    The k-th smallest of n is multiplied by n - k + 1; none is smaller than one that was smaller before.
    """
    p = np.asarray(chances, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(one) for one in adjusted]
