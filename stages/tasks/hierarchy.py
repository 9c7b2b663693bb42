"""Several trainings of two models on the same tasks: is their difference more than chance? Arrow: checkpoints -> effect.

Two things could have come out otherwise: which seeds the models were trained with, and which items they were judged on. The
hierarchical bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8) draws both anew: the
seeds, the same ones in every setting and for both models; and the items of each task, the same ones for all models.

Of few seeds a bootstrap is too sure (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 5.3 and chapter
12): the means of n drawn values vary by (n - 1) / n of the variance of a mean, and their tails are those of a normal
distribution where Student's belong. So the part of a draw that comes from its seeds is stretched by sqrt(n / c), where c is
drawn from chi squared with n - 1 degrees of freedom: without any chance from items, that makes it Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.tasks.compare import SEED, Outcome, chance, draws, figure

# Fewer trainings than these tell too little of how trainings vary.
FEWEST_SEEDS = 5

# Draws of the items, and of the seeds for each of those. The smallest p that their product can show, 0.0002, is still
# below 0.05 when it is multiplied by the number of claims on the longest page.
ITEM_DRAWS, SEED_DRAWS = 2_000, 5


class Effect(NamedTuple):
    """The mean difference of two models, times 100, with its 95 % interval and two-sided p."""

    effect: float
    low: float
    high: float
    p: float


def resampled(outcome: Outcome, task: str, item_draws: int = ITEM_DRAWS) -> np.ndarray:
    """The headline of all items, and then of each draw of them, times 100: (1 + item_draws,).

    Draws depend on the task's name and size alone, so all models are judged on the same ones.
    """
    seed = (SEED, *task.encode())
    return np.concatenate(
        [[figure(outcome)], *(outcome.resampled(part) for part in draws(outcome.n, item_draws, seed))]
    )


def bootstrap(differences: np.ndarray, seed_draws: int = SEED_DRAWS, seed: int = SEED) -> Effect:
    """The effect over seeds and items. `differences` (1 + r, n): first less second of each of n seeds, averaged over
    settings and tasks, on all items (row 0) and on each of r draws of them.

    A draw of items on which a figure is undefined is left out. Raises ValueError below two seeds, and where the measured
    difference is undefined or no draw has one.
    """
    measured, drawn = differences[0], differences[1:]
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    r, n = drawn.shape
    if n < 2 or not r or not np.isfinite(measured).all():
        raise ValueError("an effect needs two seeds, and figures that are defined")
    random = np.random.default_rng(seed)
    places = random.integers(n, size=(r, seed_draws, n))
    stretch = np.sqrt(n / random.chisquare(n - 1, size=(r, seed_draws)))
    over_items = drawn.mean(axis=1, keepdims=True)  # (r, 1): all seeds
    from_seeds = drawn[np.arange(r)[:, None, None], places].mean(axis=2) - over_items  # (r, seed_draws)
    return Effect(float(measured.mean()), *chance((over_items + stretch * from_seeds).ravel()))


def mean(differences: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several (1 + r, n): of settings or tasks that count alike."""
    average: np.ndarray = np.mean(np.stack(differences), axis=0)
    return average
