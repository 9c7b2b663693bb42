"""The tasks there are: their names, and the groups of them. Arrow: checkpoint -> metric ± error.

A kind of task is a module of this folder that exports `NAMES` and `load`, and stands in KINDS. Where the data folder
gives the names, it exports `names_in` in place of NAMES, and stands in OPEN. Such a module imports what is heavy only where
it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stages.tasks import bitext, retrieval, sts, transfer
from stages.tasks.files import SPLITS, Absent
from stages.tasks.task import Noted, Task
from store.problem import Problem


class Kind(Protocol):
    """A module of tasks."""

    NAMES: tuple[str, ...]

    def load(self, name: str, data: Path | None, split: str) -> Task:
        """The task called `name`. Raises Absent where `data` does not hold it, Problem where it is damaged."""
        ...


class OpenKind(Protocol):
    """A module of tasks that are called what their files are called."""

    def names_in(self, data: Path) -> tuple[str, ...]:
        """The names of those that `data` holds."""
        ...

    def load(self, name: str, data: Path | None, split: str) -> Task:
        """As for Kind."""
        ...


KINDS: tuple[Kind, ...] = (sts, transfer)

# By the name that stands for all there are.
OPEN: dict[str, OpenKind] = {"retrieval": retrieval, "bitext": bitext}

# What one name stands for many tasks, and whose mean is a figure of the field.
GROUPS: dict[str, tuple[str, ...]] = {"sts": sts.GROUP, "transfer": transfer.NAMES}

# Tasks that come with the package and are never looked for in a folder.
BUNDLED = ("mini",)


def names() -> tuple[str, ...]:
    """Every task whose name is known beforehand, in the order in which the field lists them."""
    return tuple(name for kind in KINDS for name in kind.NAMES)


def opened(data: Path | None) -> dict[str, OpenKind]:
    """The tasks that are called what their files in `data` are called. Raises Problem where a name is taken."""
    there: dict[str, OpenKind] = {}
    if data is None:
        return there
    for kind in OPEN.values():
        for name in kind.names_in(data):
            if name in there or name in (*names(), *GROUPS, *OPEN):
                raise Problem(f"files under {data} have the name {name}, which is taken", "give them another name")
            there[name] = kind
    return there


def load(name: str, data: Path | None, split: str = "test", probe: str = "adam") -> Task:
    """The task called `name`; `probe` is what a transfer task trains. Raises Absent where `data` does not hold it,
    Problem where it is damaged."""
    if split not in SPLITS:
        raise Problem(f"split {split!r} is not known", f"give one of {', '.join(SPLITS)}", setting="split")
    for kind in KINDS:
        if name in kind.NAMES:
            return transfer.load(name, data, split, probe) if kind is transfer else kind.load(name, data, split)
    there = opened(data)
    if name in there:
        return there[name].load(name, data, split)
    raise Problem(f"unknown task {name!r}", f"give names among {', '.join((*GROUPS, *OPEN, *names(), *there))}")


def chosen(listed: str, data: Path | None, split: str = "test", probe: str = "adam") -> list[Task]:
    """The tasks of a list of names and groups joined by commas, each once."""
    asked = [part.strip() for part in listed.split(",")]
    return [
        load(name, data, split, probe) for name in dict.fromkeys(one for part in asked for one in members(part, data))
    ]


def members(name: str, data: Path | None) -> tuple[str, ...]:
    """The tasks that a name stands for: itself, or those of its group. Raises Absent for an empty group."""
    if name not in OPEN:
        return GROUPS.get(name, (name,))
    if data is None:
        raise Absent(f"the tasks of {name} need data", "give data=DIR, the folder that holds them")
    there = tuple(task for task, kind in opened(data).items() if kind is OPEN[name])
    if not there:
        raise Absent(f"no task of {name} lies in {data}", "give data=DIR, the folder that holds them")
    return there


def held(data: Path, split: str = "test", probe: str = "adam") -> tuple[list[Task], list[str]]:
    """The tasks that `data` holds, and the names of those it does not. Raises Problem for one that is damaged."""
    there: list[Task] = []
    absent: list[str] = []
    for name in (*names(), *opened(data)):
        if name in BUNDLED:
            continue
        try:
            there.append(load(name, data, split, probe))
        except Absent:
            absent.append(name)
    return there, absent


def notes(tasks: Sequence[Task]) -> list[str]:
    """What a reader of the figures of `tasks` must know."""
    return [task.note for task in tasks if isinstance(task, Noted) and task.note]


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
