"""Rows with their figures as plots: dots, or curves over one of their fields. Arrow: figures -> plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr.report.blocks import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.trained.rows import RowFigures


@dataclass(frozen=True)
class Curve:
    """Draw the figures over a `field` of the rows; a line for each value of their other fields."""

    field: str
    label: str
    doubling: bool = False  # an axis on which each doubling is as wide


def curves(results: Sequence[RowFigures], tasks: Sequence[str], curve: Curve) -> Figure:
    """A panel a task, one legend below all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(tasks), 3.4), layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        _curves(axes, curve, results, task)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def dots(results: Sequence[RowFigures], tasks: Sequence[str]) -> Figure:
    """A panel a task, a line a row; rows without figures are left out."""
    from matplotlib.figure import Figure

    shown = [result for result in results if any(result.figures.values())]
    figure = Figure(figsize=(4 + 3 * len(tasks), 0.36 * len(shown) + 1), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for place, result in enumerate(shown):
            if values := result.figures[task]:
                colour = COLOURS["first"] if result.triplets is not None else COLOURS["faint"]
                middle, spread = _middle(values)
                axes.errorbar(middle, place, xerr=spread, fmt="o", color=colour, capsize=3)
        axes.set_xlabel(f"{task} x 100")
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(shown)), [result.row.name for result in shown])
    panels[0].set_ylim(len(shown) - 0.5, -0.5)
    figure.suptitle("mean ± standard deviation over seeds; gray: models as they are", fontsize="small")
    return figure


def _middle(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _curves(axes: Any, curve: Curve, results: Sequence[RowFigures], task: str) -> None:
    """A line for each series; a row whose field is no number is a level across."""
    series: dict[tuple[tuple[str, Any], ...], list[RowFigures]] = {}
    for result in results:
        others = {name: value for name, value in result.row.varied.items() if name != curve.field}
        if result.figures[task]:
            series.setdefault(tuple(sorted(others.items())), []).append(result)
    for (fields, members), colour, style in zip(
        series.items(), (COLOURS["first"], COLOURS["second"], COLOURS["faint"]), ("-", "--", ":"), strict=False
    ):
        label = ", ".join(str(value) for _, value in fields) or "trained"
        points = [
            (result.row.varied[curve.field], *_middle(result.figures[task]))
            for result in members
            if _placed(result, curve)
        ]
        if points:
            places, middles, spreads = zip(*sorted(points), strict=True)
            axes.errorbar(
                places,
                middles,
                spreads,
                color=colour,
                linestyle=style,
                marker="o",
                markersize=3,
                capsize=2,
                label=label,
            )
        for result in members:
            if not _placed(result, curve):
                trained = result.triplets is not None
                axes.axhline(
                    _middle(result.figures[task])[0],
                    color=colour if trained else COLOURS["faint"],
                    linestyle=":" if trained else "-.",
                    label=result.row.name,
                )
    axes.set(xlabel=curve.label, ylabel=f"{task} x 100")
    if curve.doubling:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")


def _placed(result: RowFigures, curve: Curve) -> bool:
    return isinstance(result.row.varied.get(curve.field), int | float)
