"""Rows of a table of models: as they are declared, and with their figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multicsr.paper.node import Node


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


@dataclass
class RowFigures:
    """A row with its figures by task, one a seed, and of its trainings the `triplets`, the share that was `masked` and the
    `seconds` that each took. `counts` are the items behind each task's figures."""

    row: Row
    triplets: int | None
    masked: float | None
    figures: dict[str, list[float]]
    runs: list[str]
    counts: dict[str, int]
    seconds: list[float] = field(default_factory=list)


def masks(model: Node | str) -> bool:
    """Whether a model is trained with a mask."""
    return isinstance(model, Node) and model["mask_model"] not in (None, "none")
