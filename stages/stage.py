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
    `warning` must not be overwritten by the next tick, nor may `news`, which whoever makes many runs may leave out. Where a
    run has parts that are made first, `part` names the one that is being made, and `unit` what is counted in it."""

    done: int
    total: int
    note: str
    fresh: int = 0
    warning: str = ""
    news: str = ""
    part: str = ""
    unit: str = ""


@dataclass
class Tally:
    """How far a stage is: `done` of `total` units, `fresh` of them by this process."""

    done: int
    total: int
    fresh: int = 0

    @property
    def left(self) -> int:
        return self.total - self.done

    def add(self, units: int) -> None:
        """Count units that were stored just now."""
        self.done += units
        self.fresh += units

    def tick(self, note: str, warning: str = "") -> Tick:
        """The state as a tick; a stage without anything to do says `COMPLETE`."""
        return Tick(self.done, self.total, note.rstrip(), self.fresh, warning)


# What a stage yields, and the run that it returns: finished, save where other shards of it are missing.
Ticks = Generator[Tick, None, Run]

Notes = Mapping[str, str]  # what a run's environment records beside library versions and the device

COMPLETE = "complete"  # the note of the only tick of a run that has nothing left to do
