"""Rows of a table of models: as they are declared, and with their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multicsr.paper.lab.twins import Content
from multicsr.paper.node import Node
from stages.config.train import NO_MASK

# A corpus below this is a handful of batches: what is learned from it is the chance of those.
FEW_TRIPLETS = 64


@dataclass(frozen=True)
class Row:
    """A row of the table. `models`: a training a seed, or the name of a model as it is. `varied` is what claims pair rows
    by; a row without takes part in none. `corpus` is a curate node that tells what the models learned from. `evaluated` says
    how they are measured (whitened, by another pooler), `as_paper` whose figures are published, where it is not this row."""

    name: str
    models: tuple[Node | str, ...]
    varied: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    corpus: Node | None = None
    evaluated: Mapping[str, Any] = field(default_factory=dict)
    as_paper: str = ""


def _none_drawn(task: str) -> np.ndarray:
    raise KeyError(task)


@dataclass
class RowFigures:
    """A row with its figures by task, one a seed, and of its trainings the `triplets`, the share that was `masked` and the
    `seconds` that each took. `counts` are the items behind each task's figures.

    `runs` are their ids, `contents` what they learned from and how (lab/twins.py). `drawn` gives the figures on
    a task for draws of its items, (1 + r, seeds), the first row on all of them; `base` are those of the base as it is.
    """

    row: Row
    triplets: int | None
    masked: float | None
    figures: dict[str, list[float]]
    runs: list[str]
    counts: dict[str, int]
    seconds: list[float] = field(default_factory=list)
    contents: tuple[Content, ...] = ()
    drawn: Callable[[str], np.ndarray] = _none_drawn
    base: dict[str, float] = field(default_factory=dict)

    @property
    def has_few(self) -> bool:
        """Whether its triplets are too few to tell anything."""
        return self.triplets is not None and self.triplets < FEW_TRIPLETS

    @property
    def masked_nothing(self) -> bool:
        """Whether it was trained with a mask, which removed no negative."""
        return self.masked == 0

    @property
    def is_damaged(self) -> bool:
        """Whether it was trained, and is worse than the base as it is, on the mean over tasks."""
        tasks = [task for task, values in self.figures.items() if values and task in self.base]
        trained = [float(np.mean(self.figures[task])) for task in tasks]
        return bool(tasks) and sum(trained) < sum(self.base[task] for task in tasks)


def masks(model: Node | str) -> bool:
    """Whether a model is trained with a mask."""
    return isinstance(model, Node) and model["mask_model"] not in (None, NO_MASK)
