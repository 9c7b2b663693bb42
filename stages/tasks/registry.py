"""The tasks there are: their names, and the groups of them. Arrow: checkpoint -> metric ± error.

A kind of task is a module of this folder that exports `NAMES` and `load`, and stands in KINDS. Such a module imports
what is heavy only where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stages.tasks import sts
from stages.tasks.files import SPLITS, Absent, Unreadable
from stages.tasks.task import Task


class Kind(Protocol):
    """A module of tasks."""

    NAMES: tuple[str, ...]

    def load(self, name: str, data: Path | None, split: str) -> Task:
        """The task called `name`. Raises Absent where `data` does not hold it, Unreadable where it is damaged."""
        ...


KINDS: tuple[Kind, ...] = (sts,)

# What one name stands for many tasks, and whose mean is a figure of the field.
GROUPS: dict[str, tuple[str, ...]] = {"sts": sts.GROUP}

# Tasks that come with the package and are never looked for in a folder.
BUNDLED = ("mini",)


def names() -> tuple[str, ...]:
    """Every task, in the order in which the field lists them."""
    return tuple(name for kind in KINDS for name in kind.NAMES)


def load(name: str, data: Path | None, split: str = "test") -> Task:
    """The task called `name`. Raises Absent where `data` does not hold it, Unreadable where it is damaged."""
    if split not in SPLITS:
        raise Unreadable(f"--split {split!r} is not known", f"give one of {', '.join(SPLITS)}")
    for kind in KINDS:
        if name in kind.NAMES:
            return kind.load(name, data, split)
    raise Unreadable(f"unknown task {name!r}", f"give names among {', '.join((*GROUPS, *names()))}")


def chosen(listed: str, data: Path | None, split: str = "test") -> list[Task]:
    """The tasks of a list of names and groups joined by commas, each once."""
    asked = [part.strip() for part in listed.split(",")]
    return [
        load(name, data, split) for name in dict.fromkeys(one for part in asked for one in GROUPS.get(part, (part,)))
    ]


def found(data: Path, split: str = "test") -> tuple[list[Task], list[str]]:
    """The tasks that `data` holds, and the names of those it does not. Raises Unreadable for one that is damaged."""
    there: list[Task] = []
    absent: list[str] = []
    for name in names():
        if name in BUNDLED:
            continue
        try:
            there.append(load(name, data, split))
        except Absent:
            absent.append(name)
    return there, absent


def averages(headlines: Mapping[str, float], split: str = "test") -> dict[str, float]:
    """The mean headline of each group on test data; only where all of it was measured: a mean of fewer is another number."""
    if split != "test":
        return {}
    return {
        group: _mean([headlines[task] for task in tasks])
        for group, tasks in GROUPS.items()
        if all(task in headlines for task in tasks)
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
