"""Figures with their standard errors. Arrow: checkpoint -> metric ± error; pure functions on arrays."""

from __future__ import annotations

import math

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


def paired(better: np.ndarray, worse: np.ndarray) -> tuple[float, float, float]:
    """Mean and standard deviation of the differences of matched figures (n,), and the two-sided p of a paired t test.

    Raises ValueError below two pairs. Equal differences have no spread to test by: there p is that of a sign test, 2^(1-n),
    and 1 where they are all zero.
    """
    differences = better - worse
    if len(differences) < 2:
        raise ValueError("a paired test needs two pairs")
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread == 0:
        return mean, spread, 1.0 if mean == 0 else 2.0 ** (1 - len(differences))
    return mean, spread, float(stats.ttest_rel(better, worse).pvalue)
