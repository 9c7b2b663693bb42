"""Progress for a notebook or a script: a bar, a callback of the caller's, or nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
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


def _new_bar(title: str) -> Any:
    # Without ipywidgets a notebook's own bar cannot be drawn.
    if "ipykernel" in sys.modules and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    # The rate is the job's, which leaves loading out.
    return tqdm(desc=title, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]")


@contextmanager
def _bar(job: Job, visible: bool) -> Iterator[Progress]:
    bar: Any = None

    def show(tick: Tick, rate: float) -> None:
        nonlocal bar
        if tick.warning:
            warnings.warn(f"{job.title}: {tick.warning}", stacklevel=2)
        if not visible or tick.note == COMPLETE:
            return
        bar = bar or _new_bar(job.title)
        if tick.news:
            bar.write(f"{job.title}: {tick.news}", file=sys.stderr)
        bar.total, bar.n = tick.total or None, tick.done
        paced = f"{rate:.1f} {tick.unit or job.unit}/s" if rate else ""
        bar.set_postfix_str(", ".join(filter(None, (tick.part, tick.note, paced))))

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
