"""`multicsr eval --plot`, `--histogram`: the pairs of a task as a picture, or as bars on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multicsr_cli import screen
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.evaluate import Evaluation


def check(plot: Path | None, histogram: bool, json: bool, models: int) -> None:
    """Refuse, before any work is done, what could not be drawn. Raises Problem."""
    from multicsr.report import pairs

    if plot is None and not histogram:
        return

    if histogram and json:
        raise Problem("--histogram draws on the screen, and --json prints a document", "leave one of them out")
    if models > 1:
        flag = "--histogram" if plot is None else "--plot"
        raise Problem(f"{flag} draws one model, not {models}", "leave out --against and --runs")
    if plot is not None and plot.suffix.lower() not in pairs.KINDS:
        raise Problem(
            f"--plot {plot} is no kind of picture that is drawn here", f"end it in {' or '.join(pairs.KINDS)}"
        )
    if plot is not None and (plot.is_dir() or not plot.parent.is_dir()):
        raise Problem(f"--plot {plot} cannot be written", "give a file in a folder that is there")


def show(evaluated: Evaluation, plot: Path | None, histogram: bool) -> None:
    """Draw the pairs of a complete evaluation: as a picture, as bars on the screen, or both."""
    from multicsr.report import pairs

    if plot is None and not histogram:
        return

    tasks, split = pairs.pairs_of(evaluated), evaluated.config.split
    if plot is not None:
        pairs.draw(plot, evaluated.title if split == "test" else f"{evaluated.title}, {split}", tasks)
        screen.say(f"drawn: {plot}")
    if histogram:
        for task in tasks:
            heading = f"{task.task}: cosines of {len(task.gold):,} pairs, median gold score of each bin"
            screen.lines([heading, *pairs.bars(task)])
