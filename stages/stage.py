"""What every stage is: a generator that asks the store what is missing, computes a batch, stores it, and yields a Tick.

At every tick the store is consistent, so a stage may be killed at any moment and the same call goes on. `load` is called
only when work is missing; the model is the only heavy thing, and a finished run never touches it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from store.records import Run


@dataclass(frozen=True)
class Tick:
    """Progress: `done` of `total` units; `note` says what the stage is doing; `fresh` units this process computed;
    `warning` is news that must not be overwritten by the next tick. Where a run has parts that are made first, `part` names
    the one that is being made, and `unit` what is counted in it."""

    done: int
    total: int
    note: str
    fresh: int = 0
    warning: str = ""
    part: str = ""
    unit: str = ""


Ticks = Generator[Tick, None, Run]  # what a stage yields, and the finished run that it returns

Notes = Mapping[str, str]  # what a run's environment records beside library versions and the device

COMPLETE = "complete"  # the note of the only tick of a run that has nothing left to do
