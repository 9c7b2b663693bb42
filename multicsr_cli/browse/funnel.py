"""The left side: how many premises reached each level, a bar for each reason, and the plane of (a, b)."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from multicsr_cli.browse.charts import DROP_STYLE, KEEP_STYLE, bar
from multicsr_cli.browse.numbers import KEEP, KEPT, UNDECIDED, Judged, Numbers, dropped
from store.rule import LEVELS, Thresholds

# Cells of a name, and of the shortest bar.
NAME, SHORTEST_BAR = 11, 6


@dataclass(frozen=True)
class Counts:
    """What the left side tells; dropped by review is one of the reasons. `sides`: now kept and now dropped against the
    decisions of the run."""

    levels: dict[str, int]
    reasons: dict[str, int]
    kept_by_review: int
    sides: tuple[int, int]


def count(numbers: Numbers, judged: Judged, before: Judged | None, scored: bool) -> Counts:
    """Count the premises of each level; `scored`: whether the run has scores at all."""
    by_rule = numbers.counts(judged.rule)
    generated = len(numbers) - int((numbers.problem != 0).sum())
    levels = {"premises": len(numbers), "generated": generated}
    if scored:
        # A hypothesis without a text has no score either, and is counted under its problem.
        levels["scored"] = generated - by_rule.get("unscored", 0) - by_rule.get("waiting", 0)
        if not (judged.rule == UNDECIDED).any():
            levels["kept"] = int(judged.kept.sum())
            levels["dropped"] = int(dropped(judged.code).sum())
    reasons = numbers.counts(judged.code)
    for name in ("", "waiting", "undecided"):
        reasons.pop(name, None)
    kept_by_review = int(((numbers.word == KEEP) & (judged.rule != KEPT)).sum())
    sides = (0, 0)
    if before is not None:
        sides = (int((judged.kept & ~before.kept).sum()), int((before.kept & ~judged.kept).sum()))
    return Counts(levels, dict(sorted(reasons.items(), key=lambda why: (-why[1], why[0]))), kept_by_review, sides)


def funnel(counts: Counts, width: int) -> list[Text]:
    """A line for each level and each reason, with a bar against all premises."""
    every = max(counts.levels["premises"], 1)
    lines = []
    for name, number in counts.levels.items():
        style = {"kept": KEEP_STYLE, "dropped": DROP_STYLE}.get(name, "")
        lines.append(_line(name, number, every, width, style))
        if name == "kept" and counts.kept_by_review:
            lines.append(_line(" by review", counts.kept_by_review, every, width, KEEP_STYLE))
    for name, number in sorted(counts.reasons.items(), key=lambda why: why[0] != "review"):
        lines.append(_line(" by review" if name == "review" else f" {name}", number, every, width, DROP_STYLE))
    return lines


def _line(name: str, number: int, every: int, width: int, style: str) -> Text:
    left = f"{name[:NAME]:<{NAME}}{number:>{len(f'{every:,}') + 1},} "
    return Text(left) + Text(bar(number / every, max(width - len(left), 1)), style)


def moved(counts: Counts, own: Thresholds | None, now: Thresholds) -> list[Text]:
    """The thresholds, and what moving them does."""
    parts = []
    for level in LEVELS:
        value = now[level.threshold]
        was = own[level.threshold] if own else level.neutral
        if level.asks(value) or was not in (None, value):
            parts.append(f"{level.sign} " + (f"{value:g}" if was in (None, value) else f"{was:g}→{value:g}"))
    kept, drops = counts.sides
    lines = [Text(" ".join(parts), "bold")]
    line = Text(f"kept {counts.levels.get('kept', 0):,}", KEEP_STYLE)
    if own is not None:
        line.append(f"  +{kept:,}", KEEP_STYLE)
        line.append(f" −{drops:,}", DROP_STYLE)
    return [*lines, line]
