"""The plots of a report, in the page's colours (`multicsr/report/blocks.py`). Arrow: what the store counted -> figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from multicsr.report.blocks import COLOURS
from store.read.figures import Bin, Point
from store.rule import HIGHEST_SCORE, Thresholds, kept_region

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stages.config import CurateConfig
    from store.rows.training import MetricRow

INK, FAINT, FIRST, SECOND = COLOURS["ink"], COLOURS["faint"], COLOURS["first"], COLOURS["second"]

# Faintest cell of the density: one premise must be seen.
FAINTEST = 0.15


def scores(counted: Sequence[Bin], across: int, rule: CurateConfig | None) -> Figure:
    """Left the histograms of a and b, right the density of (a, b), with the region that `rule` keeps."""
    from matplotlib.figure import Figure

    edges = np.linspace(0, HIGHEST_SCORE, across + 1)
    figure = Figure(figsize=(8.6, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for name, hatch, colour, counts in (
        ("a = sim(x, x+)", "", FIRST, _counts([(one.a, one.premises) for one in counted], across)),
        ("b = sim(x, x-)", "///", SECOND, _counts([(one.b, one.premises) for one in counted], across)),
    ):
        left.stairs(
            counts, edges, color=colour, fill=not hatch, hatch=hatch, alpha=0.55 if not hatch else 1, label=name
        )
    left.set(xlabel="score", ylabel="premises", xlim=(0, HIGHEST_SCORE))
    left.legend()
    _density(right, counted, across, edges)
    if rule is not None:
        _kept_region(right, rule)
    right.set(xlabel="a = sim(x, x+)", ylabel="b = sim(x, x-)", xlim=(0, HIGHEST_SCORE), ylim=(0, HIGHEST_SCORE))
    right.set_aspect("equal")
    return figure


def _counts(pairs: Sequence[tuple[int | None, int]], across: int) -> np.ndarray:
    """Premises in each bin, (across,); a score that could not be read is in none."""
    counts = np.zeros(across)
    for place, premises in pairs:
        if place is not None:
            counts[place] += premises
    return counts


def _density(axes: Axes, counted: Sequence[Bin], across: int, edges: np.ndarray) -> None:
    both = [one for one in counted if one.a is not None and one.b is not None]
    grid = np.zeros((across, across))
    for one in both:
        grid[one.b, one.a] = one.premises
    # One colour, seen through by what is rare: so it stands on a light page as on a dark one. By the root, or a few full
    # cells hide all others.
    most = max(grid.max(), 1)
    for b, a in zip(*np.nonzero(grid), strict=True):
        alpha = FAINTEST + (1 - FAINTEST) * float(np.sqrt(grid[b, a] / most))
        step = edges[1]
        axes.fill_between([edges[a], edges[a] + step], edges[b], edges[b] + step, color=FIRST, alpha=alpha, linewidth=0)
    axes.plot([0, HIGHEST_SCORE], [0, HIGHEST_SCORE], color=FAINT, linewidth=0.8, linestyle=":")


def _kept_region(axes: Axes, rule: CurateConfig) -> None:
    """The outline of what `rule` keeps (MultiCSR, eq. 4); with swapped roles its mirror image too."""
    corners = kept_region(Thresholds.of(vars(rule)))
    if not corners:
        return
    a, b = zip(*corners, corners[0], strict=True)
    axes.plot(a, b, color=SECOND, linewidth=1.6, label="kept", clip_on=False)
    if rule.swap_reversed:
        axes.plot(b, a, color=SECOND, linewidth=1.6, linestyle="--", label="kept, swapped", clip_on=False)
    axes.legend(loc="upper left")


def curves(points: Sequence[Point], dev: Sequence[MetricRow], best: int | None, masked: bool) -> Figure:
    """Loss, share of masked negatives (where there is a mask) and dev Spearman by step; the chosen step is marked."""
    from matplotlib.figure import Figure

    steps = [point.step for point in points]
    # A share starts at zero: where nothing is masked the line lies on the floor.
    plots: list[tuple[str, list[int], list[float], str, float | None]] = [
        ("loss", steps, [point.loss for point in points], "", None)
    ]
    if masked:
        plots.append(("masked negatives, %", steps, [100 * point.masked_share for point in points], "", 0))
    if dev:
        measured, values = [row.step for row in dev], [row.value for row in dev]
        plots.append((f"{dev[0].task} dev: Spearman x 100", measured, values, "o", None))
    figure = Figure(figsize=(2.9 * len(plots), 2.6), layout="constrained")
    panels = figure.subplots(1, len(plots), squeeze=False)[0]
    for axes, (title, places, heights, marker, floor) in zip(panels, plots, strict=True):
        axes.plot(places, heights, color=FIRST, linewidth=1.2, marker=marker, markersize=3)
        axes.set(title=title, xlabel="step")
        if floor is not None:
            axes.set_ylim(bottom=floor)
    if dev:
        axes = panels[-1]
        errors = [np.nan if row.error is None else row.error for row in dev]
        axes.errorbar(measured, values, errors, color=FAINT, linewidth=0.8, zorder=1, fmt="none")
        for row in dev:
            if row.step == best:
                axes.plot(row.step, row.value, "o", color=SECOND, markersize=7, label="chosen")
                axes.legend()
    return figure
