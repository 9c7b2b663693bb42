"""Logistic regressions on frozen vectors, trained for all folds and all decays at once. Arrow: checkpoint -> metric ± error.

Two probes learn the same loss: over the rows of a split,

    mean of -log softmax(W x + b)[label]  +  decay / 2 · (|W|² + |b|²)

`adam` (`stages/tasks/adam.py`) is SentEval's: it keeps the epoch that was best on held-out rows. `convex`
(`stages/tasks/convex.py`) goes to the one optimum. What they share is in `stages/tasks/linear.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stages.tasks import adam, convex
from stages.tasks.linear import Fitted, Split

PROBES: dict[str, Callable[[np.ndarray, np.ndarray, Sequence[Split], np.ndarray], Fitted]] = {
    "adam": adam.fit,
    "convex": convex.fit,
}
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2)


def fit(probe: str, table: np.ndarray, truth: np.ndarray, splits: Sequence[Split], decays: np.ndarray) -> Fitted:
    """Train every split with each of its decays.

    `table` (n, d + 1) ends in ones; `truth` (n, classes) is 1 at a row's class; `decays` (splits, decays a split).
    """
    return PROBES[probe](table, truth, splits, decays)
