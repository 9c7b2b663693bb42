"""A run that is wanted: its settings, its parent, its id, and how to make it. The shell, a notebook, the browser and the
paper's experiments all make jobs, and only jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from multicsr.means.workplace import HERE, Workplace
from stages.settings import Settings
from stages.stage import COMPLETE, Tick, Ticks
from store.problem import Problem
from store.records import Run, as_config, run_id

if TYPE_CHECKING:
    from stages.models.training.ranks import Ranks
    from store.database import Store

# Hears of every tick, with the units computed a second since the first batch (0.0 while that is unknown).
Progress = Callable[[Tick, float], None]


@dataclass(frozen=True)
class Means:
    """Where and how fast a job is made; none of it changes the result, so none of it is config.

    `batch` items are computed at a time (None: as many as fit), `chunk` texts of a training step (None: all of its batch).
    `workplace` is where the models of gen and score work, `ranks` are the processes that share a training.
    """

    device: str = "auto"
    batch: int | None = None
    chunk: int | None = None
    workplace: Workplace = HERE
    ranks: Ranks | None = None

    def __post_init__(self) -> None:
        for name, size in (("batch", self.batch), ("chunk", self.chunk)):
            if size is not None and size < 1:
                raise Problem(f"{name} {size} is out of range", "give a whole number of at least 1", name)


@dataclass(frozen=True)
class Made:
    """A run with what this process put into it: `fresh` units in `seconds`, `rate` of them a second without loading."""

    run: Run
    seconds: float
    fresh: int
    rate: float


@dataclass(frozen=True)
class Job:
    """A run that is wanted. Its id is known before anything is loaded or written.

    `start` is called to make what is missing of it; `title` and `unit` are for whoever shows its progress.
    """

    store: Store
    stage: str
    version: int
    settings: Settings
    parent: str | None
    start: Callable[[], Ticks] = field(repr=False)
    title: str
    unit: str

    @property
    def config(self) -> dict[str, Any]:
        """The settings as they are stored and hashed."""
        return as_config(self.settings)

    @property
    def id(self) -> str:
        """The id that the run has or will have, in every store."""
        return run_id(self.stage, self.version, self.parent, self.config)

    def made(self) -> Run | None:
        """The run, if the store holds it complete."""
        run = self.store.known(self.id)
        return run if run is not None and run.finished else None

    def run(self, progress: Progress | None = None) -> Made:
        """Make what is missing; a run that is complete calls no model. Raises Problem for what the user can mend."""
        ticks = Ticking(self.start())
        seconds, fresh, rate = ticks.watched(progress)
        return Made(ticks.result, seconds, fresh, rate)


class Ticking:
    """The ticks of some work, watched; `result` is what they end with."""

    result: Any = None

    def __init__(self, ticks: Generator[Tick, None, Any]) -> None:
        self.ticks = ticks

    def __iter__(self) -> Iterator[Tick]:
        self.result = yield from self.ticks

    def watched(self, progress: Progress | None = None) -> tuple[float, int, float]:
        """Do the work; (seconds, units computed, units a second), all 0 where it was complete already."""
        started = first = time.monotonic()
        tick = Tick(0, 0, COMPLETE)
        for tick in self:
            now = time.monotonic()
            if not tick.fresh:
                first = now  # loading does not count into the rate
            if progress is not None:
                progress(tick, _rate(tick.fresh, now - first))
        if tick.note == COMPLETE:
            return 0.0, 0, 0.0
        now = time.monotonic()
        return now - started, tick.fresh, _rate(tick.fresh, now - first)


def behind(parts: Sequence[tuple[str, Job]], wanted: Job) -> Job:
    """`wanted` with the jobs that must be made before it, each under the name of its part; none if it is complete."""

    def start() -> Ticks:
        if wanted.made() is None:
            for name, part in parts:
                yield from _as_part(name, part)
        return (yield from wanted.start())

    return replace(wanted, start=start) if parts else wanted


def heard(news: str, start: Callable[[], Ticks]) -> Ticks:
    """The ticks of `start`, the first of them with `news`, which must be heard unless nothing is left to do."""
    ticks = start()
    first = next(ticks)
    both = "; ".join(one for one in (news, first.warning) if one)
    yield first if first.note == COMPLETE else replace(first, warning=both)
    return (yield from ticks)


def _as_part(name: str, part: Job) -> Iterator[Tick]:
    for tick in part.start():
        if tick.note != COMPLETE:
            yield replace(tick, part=tick.part or name, unit=tick.unit or part.unit)


def _rate(fresh: int, seconds: float) -> float:
    return fresh / seconds if fresh and seconds > 0 else 0.0
