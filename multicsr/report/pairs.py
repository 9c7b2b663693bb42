"""Sentence pairs as people look at them: predicted against gold as a picture, the cosines as bars of text.

A picture is for print: colours that the colour-blind tell apart and that differ in lightness, lines that differ in stroke.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store import whole
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.evaluate import Evaluation

KINDS = (".png", ".svg")

# Bands of gold scores, as shares of their range: on the scale from 0 to 5 below 2, from 2 to below 4, and 4 or more.
BANDS = (0.4, 0.8)
STYLES = (("#0072b2", ":"), ("#000000", "--"), ("#d55e00", "-"))  # Okabe and Ito's blue, black and vermilion

GOLD_STEPS = 10  # from the lowest gold score to the highest; a bin is what is nearest to a step
FEWEST = 4  # pairs of a bin that quartiles mean something for
MANY = 2000  # points; more make an SVG file slow, so they become one image in it

WIDTHS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # of a bin of cosines, so that its edges are round numbers
ROUNDING = 1e-6  # a cosine of float32 vectors may be this much beyond 1
PICTURE_BINS = 40  # at most
TEXT_BINS = 25  # at most: they fit a terminal
TEXT_WIDTH = 80
EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class DrawnPairs:
    """The pairs of a measured task: cosines and gold scores (n,), and their Spearman x 100 with its standard error."""

    task: str
    cosines: np.ndarray
    gold: np.ndarray
    spearman: float
    error: float


def pairs_of(evaluated: Evaluation) -> list[DrawnPairs]:
    """The scored pairs of a complete evaluation, from its kept vectors: no model is loaded."""
    from stages.tasks import sts
    from stages.tasks.analysis import Analysed
    from stages.tasks.compare import Correlation

    tasks = [task for task in evaluated.tasks if isinstance(task, (sts.StsTask, Analysed))]
    measured = evaluated.measured()
    return [
        DrawnPairs(head.task, outcome.predicted, outcome.gold, head.value, head.error)
        for head, outcome in zip(
            [measured.headline(task.name) for task in tasks], evaluated.outcomes(tasks), strict=True
        )
        if isinstance(outcome, Correlation) and head.error is not None
    ]


def draw(path: Path, model: str, measured: Sequence[DrawnPairs]) -> None:
    """Draw a row of two panels a task: gold against cosine, and how the cosines of each band of gold are spread."""
    import matplotlib
    from matplotlib.figure import Figure

    kind = path.suffix.lower().removeprefix(".")
    # In an SVG file text stays text, and the same pairs make the same file.
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "multicsr", "font.size": 9}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(7.2, 0.3 + 3 * len(measured)), layout="constrained")
        rows = figure.subplots(len(measured), 2, squeeze=False)
        for pairs, (left, right) in zip(measured, rows, strict=True):
            _points(left, pairs)
            _spread(right, pairs)
            title = f"{pairs.task}: Spearman {pairs.spearman:.2f} ± {pairs.error:.2f}, n = {len(pairs.gold):,}"
            left.set_title(title, loc="left", fontsize="medium", parse_math=False)
            for axes in (left, right):
                axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(model, x=0.01, ha="left", weight="bold", parse_math=False)
        try:
            with whole.file(path) as part:
                figure.savefig(part, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
        except OSError as error:
            raise Problem(f"plot {path} cannot be written: {error.strerror}", "give another file", "plot") from None


def _points(axes: Any, pairs: DrawnPairs) -> None:
    """Every pair, and the median and the quartiles of each bin of gold scores."""
    many = len(pairs.gold) > MANY
    axes.plot(pairs.gold, pairs.cosines, "o", color="0.35", markersize=2.2, alpha=0.35, mew=0, rasterized=many)
    share = (pairs.gold - pairs.gold.min()) / np.ptp(pairs.gold)
    bins = np.rint(share * GOLD_STEPS)  # from 0 to 5 in steps of one half, say
    held = [step for step in range(GOLD_STEPS + 1) if (bins == step).sum() >= FEWEST]
    centres = [float(pairs.gold[bins == step].mean()) for step in held]
    low, middle, high = (
        [float(np.percentile(pairs.cosines[bins == step], part)) for step in held] for part in (25, 50, 75)
    )
    axes.fill_between(centres, low, high, color="#0072b2", alpha=0.3, linewidth=0, label="quartiles")
    axes.plot(centres, middle, "o-", color="#0072b2", markersize=3, label="median")
    axes.set_xlabel("gold score")
    axes.set_ylabel("cosine")
    axes.legend(framealpha=0.8, edgecolor="none", fontsize="small", loc="lower right")


def _spread(axes: Any, pairs: DrawnPairs) -> None:
    """Histograms of the cosines: of all pairs (gray), and of each band of gold scores."""
    edges = bin_edges(pairs.cosines, PICTURE_BINS)
    axes.stairs(counted(pairs.cosines, edges), edges, fill=True, color="0.85", label=f"all ({len(pairs.gold):,})")
    for (name, inside), (color, stroke) in zip(bands(pairs.gold), STYLES, strict=True):
        counts = counted(pairs.cosines[inside], edges)
        label = f"gold {name} ({inside.sum():,})"
        axes.step(edges, [*counts, 0], where="post", color=color, linestyle=stroke, linewidth=1.4, label=label)
    axes.set_xlabel("cosine")
    axes.set_ylabel("pairs")
    axes.legend(framealpha=0.8, edgecolor="none", fontsize="small")


def bands(gold: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The three bands of gold scores, low first: a name, and which pairs (n,) are in it."""
    low, high = (float(gold.min() + share * np.ptp(gold)) for share in BANDS)
    return [
        (f"< {low:g}", gold < low),
        (f"{low:g} to < {high:g}", (gold >= low) & (gold < high)),
        (f"≥ {high:g}", gold >= high),
    ]


def bin_edges(cosines: np.ndarray, most: int) -> np.ndarray:
    """Edges of at most `most` equal bins around all cosines: multiples of the finest of WIDTHS that needs no more."""
    for width in WIDTHS:
        first = math.floor((cosines.min() + ROUNDING) / width)
        last = max(first + 1, math.ceil((cosines.max() - ROUNDING) / width))
        if last - first <= most:
            break
    edges: np.ndarray = np.arange(first, last + 1) * width
    return edges


def counted(cosines: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many cosines are in each bin, (bins,); one at an outer edge, or a rounding beyond it, is in the bin there."""
    return np.bincount(np.digitize(cosines, edges[1:-1]), minlength=len(edges) - 1)


def bars(pairs: DrawnPairs) -> list[str]:
    """Lines of text, none wider than a terminal: the cosines in equal bins with their number and their median gold."""
    edges = bin_edges(pairs.cosines, TEXT_BINS)
    bins = np.digitize(pairs.cosines, edges[1:-1])
    counts = counted(pairs.cosines, edges)
    lines = [f"{'cosine':>14}  {'pairs':>6}  {'gold':>5}"]
    width = TEXT_WIDTH - len(lines[0]) - 2
    for place, count in enumerate(counts):
        gold = f"{np.median(pairs.gold[bins == place]):5.2f}" if count else "    -"
        eighths = round(8 * width * int(count) / int(counts.max()))
        bar = "█" * (eighths // 8) + EIGHTHS[eighths % 8]
        lines.append(f"{edges[place]:6.3f}..{edges[place + 1]:6.3f}  {count:6,}  {gold}  {bar}".rstrip())
    return lines
