"""`multicsr eval`: figures on the screen; of one model, of two against each other, of several together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multicsr_cli import screen

if TYPE_CHECKING:
    from multicsr.compare import Compared, Spread
    from multicsr.report.measured import Measured


def show(measured: Measured) -> None:
    """A table of figures, and one more for what is not times 100."""
    from stages.tasks.analysis import FIGURES

    screen.table(
        f"{measured.title}, eval {measured.run.id}",
        ("task", "subset", "metric", "x 100", "± error", "items"),
        [
            (row.task, row.subset, row.name, row.value, row.error, row.n)
            for row in measured.rows
            if row.name not in FIGURES
        ],
        caption=", ".join(f"average of {group} {value:.2f}" for group, value in measured.average.items()) or None,
    )
    analysed = [
        (row.task, row.name, *("-" if value is None else f"{value:.4f}" for value in (row.value, row.error)), row.n)
        for row in measured.rows
        if row.name in FIGURES
    ]
    if analysed:
        columns = ("task", "metric", "value", "± error", "pairs")
        screen.table("on unit vectors, the lower the better; not x 100", columns, analysed)


def comparison(first: Measured, second: Measured, rows: Sequence[Compared]) -> dict[str, Any]:
    """The JSON document of `--against`."""
    told = [{name: value for name, value in row._asdict().items() if name not in ("first", "second")} for row in rows]
    return first.document() | {"against": second.model, "comparison": told}


def show_comparison(first: Measured, second: Measured, rows: Sequence[Compared]) -> None:
    """A table of `--against`, a row a task."""
    from stages.tasks.compare import RESAMPLES, SEED

    screen.table(
        f"{first.title} (A) against {second.title} (B)",
        ("task", "metric", "A", "B", "A - B", "from", "to", "p", "items"),
        [
            (row.task, row.metric, row.first, row.second, row.difference, row.low, row.high, f"{row.p:.4f}", row.n)
            for row in rows
        ],
        caption=f"95 % interval and two-sided p by paired bootstrap, {RESAMPLES:,} resamples, seed {SEED}",
    )


def say_what_is_left_out(rows: Sequence[Compared]) -> None:
    """Resamples that a comparison is not over."""
    from stages.tasks.compare import RESAMPLES

    for row in rows:
        if row.resamples < RESAMPLES:
            screen.say(f"{row.task}: {RESAMPLES - row.resamples:,} resamples without a {row.metric} are left out")


def spread(listed: str, models: Sequence[Measured], rows: Sequence[Spread]) -> dict[str, Any]:
    """The JSON document of `--runs`."""
    return {
        "model": listed,
        "runs": [model.run.id for model in models],
        "results": [{"model": model.model, **row} for model in models for row in model.document()["results"]],
        "average": {row.task: row.mean for row in rows if row.metric == "average"},
        "seeds": [row._asdict() for row in rows],
    }


def show_spread(listed: str, models: Sequence[Measured], rows: Sequence[Spread]) -> None:
    """A table of `--runs`, a row a headline or average."""
    screen.table(
        f"{len(models)} models: {listed}",
        ("task", "metric", "mean", "sd", "each"),
        [(row.task, row.metric, row.mean, row.sd, ", ".join(f"{value:.2f}" for value in row.values)) for row in rows],
        caption="x 100; sd: standard deviation over the models (n - 1)",
    )
