"""Measured rows as plots: dots, or curves over one of their fields. Arrow: figures -> plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr.report.blocks import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.measured import Measured


@dataclass(frozen=True)
class Curve:
    """Draw the figures over a `field` of the rows; a line for each value of their other fields."""

    field: str
    label: str
    doubling: bool = False  # an axis on which each doubling is as wide


def curves(measured: Sequence[Measured], tasks: Sequence[str], curve: Curve) -> Figure:
    """A panel a task, one legend below all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(tasks), 3.4), layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        _curves(axes, curve, measured, task)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def dots(measured: Sequence[Measured], tasks: Sequence[str]) -> Figure:
    """A panel a task, a line a row; rows without figures are left out."""
    from matplotlib.figure import Figure

    shown = [one for one in measured if any(one.figures.values())]
    figure = Figure(figsize=(4 + 3 * len(tasks), 0.36 * len(shown) + 1), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for place, one in enumerate(shown):
            if values := one.figures[task]:
                colour = COLOURS["first"] if one.triplets is not None else COLOURS["faint"]
                middle, spread = _middle(values)
                axes.errorbar(middle, place, xerr=spread, fmt="o", color=colour, capsize=3)
        axes.set_xlabel(f"{task} x 100")
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(shown)), [one.row.name for one in shown])
    panels[0].set_ylim(len(shown) - 0.5, -0.5)
    figure.suptitle("mean ± standard deviation over seeds; gray: models as they are", fontsize="small")
    return figure


def _middle(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _curves(axes: Any, curve: Curve, measured: Sequence[Measured], task: str) -> None:
    """A line for each series; a row whose field is no number is a level across."""
    series: dict[tuple[tuple[str, Any], ...], list[Measured]] = {}
    for one in measured:
        others = {name: value for name, value in one.row.varied.items() if name != curve.field}
        if one.figures[task]:
            series.setdefault(tuple(sorted(others.items())), []).append(one)
    for (fields, members), colour, style in zip(
        series.items(), (COLOURS["first"], COLOURS["second"], COLOURS["faint"]), ("-", "--", ":"), strict=False
    ):
        label = ", ".join(str(value) for _, value in fields) or "trained"
        points = [(one.row.varied[curve.field], *_middle(one.figures[task])) for one in members if _placed(one, curve)]
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
        for one in members:
            if not _placed(one, curve):
                trained = one.triplets is not None
                axes.axhline(
                    _middle(one.figures[task])[0],
                    color=colour if trained else COLOURS["faint"],
                    linestyle=":" if trained else "-.",
                    label=one.row.name,
                )
    axes.set(xlabel=curve.label, ylabel=f"{task} x 100")
    if curve.doubling:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")


def _placed(one: Measured, curve: Curve) -> bool:
    return isinstance(one.row.varied.get(curve.field), int | float)
