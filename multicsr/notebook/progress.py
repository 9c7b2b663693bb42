"""Progress for a notebook or a script: a bar, a callback of the caller's, or nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from multicsr.job import Job, Made, Progress
from stages.stage import COMPLETE, Tick


def drive(job: Job, progress: Progress | bool | None = None) -> Made:
    """Make a job. `progress` is called with each Tick and the rate in units a second; None shows a bar in a notebook and on a
    terminal, True everywhere, False nowhere. News that must be heard, such as lines left out, are Python warnings."""
    if callable(progress):
        return job.run(progress)
    with _bar(job, _is_watched() if progress is None else progress) as show:
        return job.run(show)


def _is_watched() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()


@contextmanager
def _bar(job: Job, visible: bool) -> Iterator[Progress]:
    bar: Any = None

    def show(tick: Tick, rate: float) -> None:
        nonlocal bar
        if tick.warning:
            warnings.warn(f"{job.title}: {tick.warning}", stacklevel=2)
        if not visible or tick.note == COMPLETE:
            return
        if bar is None:
            from tqdm.auto import tqdm

            bar = tqdm(desc=job.title, unit=f" {job.unit}")
        bar.total = tick.total or None
        bar.set_postfix_str(tick.note, refresh=False)
        bar.n = tick.done
        bar.refresh()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
