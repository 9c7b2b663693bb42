"""The figures of models as a table, published ones beside ours. Arrow: rows with figures -> table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multicsr.paper.outcome import UNKNOWN, ResultTable, mean
from multicsr.paper.trained.rows import FEW_TRIPLETS, RowFigures

AVERAGE = "average"


@dataclass(frozen=True)
class Shape:
    """What a table shows beside its rows: their figures on `tasks`, the published figure called `headline` where ours of the
    same task and split stand beside it, and where it is `timed` the seconds of a training; `remark` ends its caption."""

    title: str
    tasks: Sequence[str]
    headline: str | None
    timed: bool
    remark: str

    @property
    def averaged(self) -> tuple[str, ...]:
        """The group of tasks of which the table has all, so that their average is one."""
        from stages.tasks import registry

        return next((names for names in registry.GROUPS.values() if set(names) <= set(self.tasks)), ())

    @property
    def figures(self) -> tuple[str, ...]:
        """Our columns: each task, and the average of a group."""
        return (*self.tasks, *([AVERAGE] if self.averaged else []))

    @property
    def published(self) -> str | None:
        """The published figure that has a column: one that is held against ours of the same task and split."""
        return self.headline if self.headline in self.figures else None


def table(results: Sequence[RowFigures], shape: Shape, seeds: int) -> ResultTable:
    """Ours, and beside it what is published; a row with more published figures than one has a line of them."""
    has_trained = any(result.triplets is not None for result in results)
    about = ["triplets", "masked", *(["seconds"] if shape.timed else [])] if has_trained else []
    published = [] if shape.published is None else [f"paper: {shape.published}"]
    rows = [line for result in results for line in _lines(result, shape, len(about))]
    caption = (
        f"x 100, mean ± standard deviation over n = {seeds} seeds;"
        f" masked: share of negatives that the mask removed. {_marked(results)}{_odd_sizes(results)}{shape.remark}"
    )
    return ResultTable(shape.title, ["", *about, *shape.figures, *published], rows, caption.strip())


def _lines(result: RowFigures, shape: Shape, about: int) -> list[list[str]]:
    """The line of a row, and the one of what is published beside it."""
    training = [_count(result.triplets), _share(result.masked), mean(result.seconds)][:about]
    cells = [mean(result.figures.get(task, [])) for task in shape.tasks]
    cells += [mean(_averages(result, shape.averaged))] if shape.averaged else []
    ours = [" ".join([result.row.name, *_marks(result)]), *training, *cells]
    if shape.published is None:
        return [ours]
    known = result.row.published
    headline = _figure(known, shape.published)
    if len(known) < 2:
        return [[*ours, headline]]
    theirs = [f"  paper: {result.row.as_paper or result.row.name}", *([UNKNOWN] * len(training))]
    return [[*ours, UNKNOWN], [*theirs, *(_figure(known, name) for name in shape.figures), headline]]


# What is wrong with a row, so that a claim about it has no verdict: the mark behind its name, and what it says.
DEGENERATE: Sequence[tuple[str, Callable[[RowFigures], bool], str]] = (
    ("†", lambda result: result.has_few, f"fewer than {FEW_TRIPLETS} triplets"),
    ("‡", lambda result: result.masked_nothing, "the mask removed nothing"),
    ("§", lambda result: result.is_damaged, "below the base as it is, on the mean of the tasks"),
)


def _marks(result: RowFigures) -> list[str]:
    return [mark for mark, is_so, _ in DEGENERATE if is_so(result)]


def _marked(results: Sequence[RowFigures]) -> str:
    """What the marks that occur say."""
    return "".join(f"{mark}: {says}. " for mark, is_so, says in DEGENERATE if any(map(is_so, results)))


def _averages(result: RowFigures, names: Sequence[str]) -> list[float]:
    """The mean over a whole group, one a seed; of fewer tasks it would be another number."""
    columns = [result.figures.get(name, []) for name in names]
    if not columns or not all(columns):
        return []
    return [float(np.mean(values)) for values in zip(*columns, strict=True)]


def _odd_sizes(results: Sequence[RowFigures]) -> str:
    from stages.public.published import PAIRS

    counts = {task: count for result in results for task, count in result.counts.items()}
    return "".join(
        f"{task} has {count:,} pairs here, not {PAIRS[task]:,}: another number. "
        for task, count in counts.items()
        if PAIRS.get(task, count) != count
    )


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f} %"


def _figure(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.2f}" if name in figures else UNKNOWN
