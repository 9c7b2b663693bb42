"""Sections on what was written: how far the premises came, how they score, and examples.

Arrow: rows of the store -> blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multicsr.report import plots
from multicsr.report.blocks import Bar, Block, Cell, Drawing, Heading, Paragraph, Table
from store.read import figures, triplets
from store.read import funnel as levels
from store.rule import WORDS

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import View
    from store.records import Run

EXAMPLES = 4  # triplets shown for each reason
BINS = 20  # of a score: a quarter of a point each


def funnel(counts: Mapping[str, Any]) -> list[Block]:
    """How many premises reached each level, and why the others did not."""
    if not counts.get("premises"):
        return []
    whole = counts["premises"]
    levels = [(name, count) for name, count in counts.items() if isinstance(count, int)]
    blocks: list[Block] = [_bars("level", levels, whole)]
    if counts.get("reasons"):
        blocks += [Heading("Dropped, by first reason", 3), _bars("reason", counts["reasons"].items(), whole)]
    return blocks


def scores(store: Store, name: str, score: Run | None, curate: Run | None) -> list[Block]:
    """How a and b lie, and what of it the rule keeps."""
    from stages.config import CurateConfig

    means = figures.averages(store, score) if score else None
    if score is None or means is None:
        return []
    counted = figures.bins(store, score, BINS)
    rule = CurateConfig(**curate.config) if curate else None
    says = (
        f"Over {means.premises:,} premises with both scores the mean of a is {means.a:.2f} and of b {means.b:.2f};"
        f" a is above b in {100 * means.ordered:.1f} %."
    )
    region = " The line encloses what the thresholds keep." if rule else ""
    return [
        Paragraph(says + region + " The stronger a cell's colour, the more premises it holds (by the square root)."),
        Drawing(
            f"{name}-scores",
            f"Histograms of a and b, and their density. {says}",
            lambda: plots.scores(counted, BINS, rule),
        ),
    ]


def examples(store: Store, view: View | None, counts: Mapping[str, Any]) -> list[Block]:
    """A few triplets of each fate, spread over the run."""
    if view is None:
        return []
    curated = view.curate is not None
    if view.curate is not None:
        reasons = list(counts.get("reasons", levels.reasons(store, view.curate)))
    else:
        reasons = levels.problems_met(store, view.gen)
    blocks: list[Block] = []
    for reason in (None, *reasons):
        found = triplets.examples(store, view, reason, EXAMPLES)
        if found:
            title = reason or ("kept" if curated else "written")
            blocks.append(Heading(title, 3))
            if reason in WORDS:
                blocks.append(Paragraph(f"{WORDS[reason].capitalize()}."))
            blocks.append(_triplets(found))
    return blocks


def _bars(what: str, counts: Any, whole: int) -> Table:
    """A table of counts, each with its share of `whole`."""
    rows = [[name, f"{count:,}", f"{100 * count / whole:.1f} %", Bar(count / whole)] for name, count in counts]
    return Table((what, "premises", "share", ""), rows)


def _triplets(found: Sequence[triplets.ExampleTriplet]) -> Table:
    scored = any(one.a is not None or one.b is not None for one in found)
    rows: list[list[Cell]] = []
    for one in found:
        a, b = ([_score(one.a)], [_score(one.b)]) if scored else ([], [])
        rows.append([one.premise, one.entailment, *a, one.contradiction, *b])
    columns = (
        ("premise", "entailment", "a", "contradiction", "b") if scored else ("premise", "entailment", "contradiction")
    )
    return Table(columns, rows, stacked=True)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
