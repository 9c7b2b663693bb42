"""The figures of trainings on draws of a task's items. Arrow: evaluations in the store -> figures of each draw.

The vectors of an evaluation are kept, so no model is loaded. What was computed once is kept in the lab, for every experiment
and claim that the same training takes part in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.tasks.hierarchy import resampled

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.node import Node


def drawn(lab: Lab, evaluations: Sequence[Node], task: str) -> np.ndarray:
    """The headline on `task`, times 100, of each evaluation that measures it: (1 + r, evaluations), the first row on all of
    its items, the others on draws of them."""
    return np.stack([_drawn(lab, one, task) for one in evaluations if task in one["tasks"]], axis=1)


def _drawn(lab: Lab, evaluation: Node, task: str) -> np.ndarray:
    key = lab.make(evaluation).id, task
    if key not in lab.drawn:
        (outcome,) = lab.jobs.evaluation(evaluation, lab.made).outcomes([lab.tasks[task]])
        lab.drawn[key] = resampled(outcome, task)
    return lab.drawn[key]
