"""The parts of the screen as text, each a function of what the browser knows and of its size."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from rich.text import Text

from multicsr_cli.browse import charts, detail, funnel
from multicsr_cli.browse.charts import DROP_STYLE, KEEP_STYLE, cut
from multicsr_cli.browse.numbers import KEPT, Numbers, Places
from multicsr_cli.browse.rows import Line
from multicsr_cli.browse.state import State
from store.database import Store
from store.problem import Problem
from store.read import texts as shown
from store.rows import reviews
from store.rule import LEVELS

# The left side in cells, and from which width of the screen on it is the wider one.
NARROW_LEFT, WIDE_LEFT, WIDE = 25, 38, 100

# From this width of the rows on, the number of a premise is told.
NUMBERED = 76

# Lines of the plane of (a, b) that are worth drawing under the funnel.
LOWEST_PLANE = 8

# What the foot of the screen reminds of, where it is wide and where it is narrow; and beside the masked pairs.
FEET = (
    " / search  v verdict  r reason  f range  o sort  n next dropped  aA bB gG thresholds  k d u your word  ? help  q leave",
    " / search  v r f filter  o sort  n dropped  aA bB gG αβγ  k d u word  ? help",
)


MASKED_FOOT = " / search  Esc every pair  ← → other trainings  Enter Tab the pair  ? help"


def foot(tab: str, width: int) -> str:
    if tab == "masked":
        return MASKED_FOOT
    return FEET[0 if width > len(FEET[0]) else 1]


def left_width(state: State, width: int) -> int:
    """Cells of the left side on a screen of `width`."""
    if width >= WIDE:
        return WIDE_LEFT
    every = 0 if state.numbers is None else len(state.numbers)
    return max(NARROW_LEFT, funnel.NAME + len(f"{every:,}") + funnel.SHORTEST_BAR + 3)


def title(state: State, db: str, width: int) -> Text:
    """The run, its rule, and whether it is still being read or written."""
    run = state.run
    if run is None or state.view is None:
        return Text(cut(f" {db}: no runs yet, `multicsr gen` begins the first", width))
    told = f" {run.stage} {run.id}  {detail.omega(state.view.gen)}"
    if state.now is not None:
        for level in LEVELS:
            bound = state.now[level.threshold]
            told += f"  {level.sign} {bound:g}" if level.asks(bound) else ""
        if state.moved:
            told += "  (moved; w writes, 0 resets)" if width >= WIDE else "  (moved)"
    note = "reading" if state.reading and state.numbers is None else "" if run.finished else "being written"
    right = f"{note}  {db} "
    return Text(cut(told, max(width - len(right), 0)) + right, no_wrap=True)


def left(state: State, width: int, height: int) -> Text:
    """The funnel and, where there is room or it is asked for, the plane of (a, b)."""
    if state.numbers is None or state.judged is None or state.view is None:
        return Text()
    counts = funnel.count(state.numbers, state.judged, state.before, state.view.score is not None)
    lines = funnel.funnel(counts, width)
    moved = funnel.moved(counts, state.own, state.now) if state.now is not None and state.moved else []
    if moved and state.repeats_unknown:
        moved.append(Text("at most: w finds repeats", "dim"))
    both = state.view.score is not None and height - len(lines) - len(moved) - 3 >= LOWEST_PLANE
    if both:
        lines += [Text(), *moved, *_plane(state, state.numbers, width, height - len(lines) - len(moved) - 1)]
    elif state.plane and state.view.score is not None:
        lines = [*moved, *_plane(state, state.numbers, width, height - len(moved))]
    elif moved:
        lines = [*moved, *lines]
    if len(lines) > height > 0:
        lines = [*lines[: height - 1], Text(f" … {len(lines) - height + 1} more", "dim")]
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _plane(state: State, numbers: Numbers, width: int, height: int) -> list[Text]:
    return charts.density(numbers.density(max(width - 4, 8), max(height - 2, 4), state.swap), state.now)


def columns(width: int) -> Text:
    """The heads of the rows."""
    return Text(cut(_row("   ", "#", "premise", "a", "b", "verdict", width), width), "dim")


def _row(mark: str, position: str, premise: str, a: str, b: str, why: str, width: int) -> str:
    """The cells of a row side by side. The number of the premise is left out where there is little room."""
    number = f"{position:>8} " if width >= NUMBERED else ""
    room = width - len(mark) - len(number) - 24
    return f"{mark}{number}{cut(premise, room)} {a:>5} {b:>5}  {cut(why, 10)}"


def rows(state: State, store: Store, places: Places, width: int) -> list[Line]:
    """A page of rows; where the store cannot be read, each says why."""
    if state.numbers is None or state.judged is None or state.view is None:
        return []
    numbers, judged, before = state.numbers, state.judged, state.before
    ids = numbers.ids[places]
    try:
        found = shown.texts(store, state.view.gen, ids.tolist())
    except Problem as problem:
        return [((problem.what, Style()),) for _ in places]
    a, b = numbers.read(state.swap)
    lines: list[Line] = []
    for place, premise in zip(places.tolist(), ids.tolist(), strict=True):
        code = numbers.names[int(judged.code[place])]
        mark, kept = " KD"[int(numbers.word[place])], code == ""
        if before is not None and (before.code[place] == KEPT) != kept:
            mark += "+" if kept else "−"
        texts = found.get(premise)
        why = {"": "keep", "undecided": "-", "waiting": "not scored"}.get(code, code)
        position, text = (f"{texts.position:,}", texts.premise) if texts else ("", "")
        line = _row(f"{mark:<3}", position, text, _two(float(a[place])), _two(float(b[place])), why, width)
        style = {"keep": KEEP_STYLE, "drop": DROP_STYLE}.get(detail.verdict(code))
        lines.append(((line[: -len(cut(why, 10))], Style()), (cut(why, 10), Style(color=style))))
    return lines


def status(state: State, cursor: int, rows: int, width: int) -> Text:
    """Which of the rows, and what they are."""
    if state.numbers is None:
        return Text(" reading ..." if state.view else " waiting for the first run", "bold")
    chosen, total = state.chosen, len(state.numbers)
    parts = [f"{min(cursor + 1, rows):,} of {rows:,}"]
    if rows != total:
        parts[0] += f" (of {total:,})"
    if chosen.verdict != "all":
        parts.append({"keep": "kept", "drop": "dropped"}.get(chosen.verdict, chosen.verdict))
    parts += [part for part in (chosen.reason, chosen.source) if part]
    parts += [_range(*one) for one in chosen.ranges]
    if chosen.search:
        parts.append(f"“{chosen.search}”" + (" ..." if state.found is None else ""))
    if chosen.sort != "premise" or chosen.descending:
        parts.append(f"by {chosen.sort} {'↓' if chosen.descending else '↑'}")
    return Text(cut(" " + " · ".join(parts), width))


def triplet(state: State, store: Store, place: int) -> detail.FullTriplet | None:
    """All that is known of the triplet at a place. Raises Problem where the store cannot be read."""
    if state.numbers is None or state.judged is None or state.view is None:
        return None
    numbers, judged, gen = state.numbers, state.judged, state.view.gen
    premise = int(numbers.ids[place])
    texts = shown.texts(store, gen, [premise]).get(premise)
    if texts is None:
        return None
    a, b = (float(column[place]) for column in numbers.read(state.swap))
    return detail.FullTriplet(
        gen,
        texts,
        shown.sides(store, state.view, premise),
        None if np.isnan(a) else a,
        None if np.isnan(b) else b,
        bool(state.swap and numbers.swapped[place]),
        numbers.names[int(judged.code[place])],
        numbers.names[int(judged.rule[place])],
        state.now,
        reviews.said(store, gen, premise),
        shown.elsewhere(store, gen, premise),
    )


def _two(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _range(name: str, low: float, high: float) -> str:
    shown = [f"{name} ≥ {low:.4g}"] if np.isfinite(low) else []
    return " ".join([*shown, *([f"{name} ≤ {high:.4g}"] if np.isfinite(high) else [])])
