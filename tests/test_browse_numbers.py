"""The numbers in memory against the store: decisions, filters, orders and counts, of every premise of small runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CURATE, Made, add_drafts, add_premises, scored
from test_curate import CONFIGS, MADE, curated, distinct

from multicsr_cli.browse import charts, funnel, loading, numbers, state
from multicsr_cli.browse.numbers import SORTS, Chosen, Numbers
from stages.config import CurateConfig
from store.database import Store
from store.problem import Problem
from store.read import funnel as store_funnel
from store.read import numbers as shown
from store.read import runs
from store.records import Run
from store.rows import reviews
from store.rule import Thresholds


def loaded(store: Store, run: Run) -> Numbers:
    *_, last = loading.load(store, runs.view(store, run))
    last.take(loading.measure(store, runs.view(store, run), last))
    return last


def thresholds(config: CurateConfig) -> Thresholds:
    return Thresholds.of(vars(config), config.swap_reversed)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(MADE, min_size=1, max_size=12).map(distinct),
    CONFIGS,
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["keep", "drop"])), max_size=4),
    st.integers(1, 5),
)
def test_the_rule_in_memory_is_the_rule_of_the_store(
    made: list[Made], config: CurateConfig, words: list[tuple[int, str]], window: int
) -> None:
    """Verdict, first reason, roles, and the funnel, read window by window."""
    store = Store.memory()
    gen, score, there = scored(store, made)
    run = curated(store, config, score)
    for place, verdict in words:
        if place < len(made) and made[place].x_plus and made[place].x_minus:
            reviews.add(store, gen, there[place].id, verdict)  # type: ignore[arg-type]
    whole = shown.WINDOW
    shown.WINDOW = window
    try:
        found = loaded(store, run)
    finally:
        shown.WINDOW = whole
    judged = found.judge(thresholds(config))
    a, b = found.read(config.swap_reversed)
    wanted = store.rows(
        "SELECT premise, verdict, reason, swapped, a, b FROM decisions WHERE run = ? ORDER BY premise", [run.id]
    )
    swapped = found.swapped & config.swap_reversed
    assert [
        (
            id,
            "keep" if code == numbers.KEPT else "drop",
            found.names[code] or None,
            int(turned),
            None if math.isnan(one) else one,
            None if math.isnan(other) else other,
        )
        for id, code, turned, one, other in zip(
            found.ids.tolist(), judged.code.tolist(), swapped.tolist(), a.tolist(), b.tolist(), strict=True
        )
    ] == wanted
    counts, told = funnel.count(found, judged, judged, True), store_funnel.levels(store, runs.view(store, run))
    assert counts.levels == {name: told[name] for name in ("premises", "generated", "scored", "kept", "dropped")}
    assert counts.reasons == told["reasons"]
    assert counts.kept_by_review == told.get("kept_by_review", 0)
    assert counts.sides == (0, 0)
    assert found.length is not None
    assert found.length.tolist() == [len(one.x) for one in made]
    store.close()


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(MADE, min_size=1, max_size=12).map(distinct),
    CONFIGS,
    st.sampled_from(SORTS),
    st.booleans(),
    st.sampled_from(numbers.VERDICTS),
    st.sampled_from([(), (("a", 1.0, 3.0),), (("a−b", -math.inf, 0.5), ("b", 0.5, math.inf))]),
)
def test_what_is_shown_and_its_order(
    made: list[Made], config: CurateConfig, sort: str, descending: bool, verdict: str, ranges: object
) -> None:
    """Against a slow filter and a slow sort of the rows of the store."""
    store = Store.memory()
    gen, score, there = scored(store, made)
    run = curated(store, CURATE, score)
    if made[0].x_plus and made[0].x_minus:
        reviews.add(store, gen, there[0].id, "drop")
    found = loaded(store, run)
    before, now = found.judge(thresholds(CURATE)), found.judge(thresholds(config))
    chosen = Chosen(verdict=verdict, ranges=ranges, sort=sort, descending=descending)  # type: ignore[arg-type]
    slow = []
    for place in range(len(made)):
        one, id = made[place], there[place].id
        a, b = one.a, one.b
        if config.swap_reversed and a is not None and b is not None and a < b:
            a, b = b, a
        kept, was = bool(now.kept[place]), bool(before.kept[place])
        passes = {
            "all": True,
            "keep": kept,
            "drop": not kept,
            "changed": kept != was,
            "reviewed": id in reviews.standing(store, gen),
        }[verdict]
        values = {"a": a, "b": b, "a−b": None if a is None or b is None else round(a - b, 6), "length": len(one.x)}
        for name, low, high in chosen.ranges:
            value = values[name]
            passes = passes and value is not None and low <= value <= high
        if passes:
            key = place if sort == "premise" else values[sort]
            slow.append((key is None, 0 if key is None else -key if descending else key, place))
    places = found.places(chosen, now, before, None, config.swap_reversed)
    assert places.tolist() == [place for _, _, place in sorted(slow)]
    store.close()


def test_first_there_is_something_to_see_then_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "WINDOW", 4)
    _, score, _ = scored(store, [Made(f"text {n}", a=4.0, b=1.0) for n in range(10)])
    run = curated(store, CURATE, score)
    assert [len(found) for found in loading.load(store, runs.view(store, run))] == [4, 10]


def test_an_unfinished_score_run_waits_for_the_rest(store: Store) -> None:
    gen, score, there = scored(store, [Made(f"text {n}", a=4.0, b=1.0) for n in range(4)])
    with store.writing() as connection:
        connection.execute("DELETE FROM scores WHERE premise = ?", [there[2].id])
        connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [score.id])
    found = loaded(store, store.run(score.id))
    judged = found.judge(thresholds(CURATE))
    assert [found.names[code] for code in judged.code] == ["", "", "waiting", ""]
    assert funnel.count(found, judged, None, True).levels["scored"] == 3
    undecided = found.judge(None)
    assert [found.names[code] for code in undecided.code] == ["undecided", "undecided", "waiting", "undecided"]
    reviews.add(store, gen, there[0].id, "drop")
    found.hear(reviews.standing(store, gen))
    assert found.names[int(found.judge(None).code[0])] == "review"


def test_a_run_of_two_sources_is_told_apart(store: Store) -> None:
    gen = store.begin("gen", 1, replace_premises(), None)
    first, second = add_premises(store, ["one", "two"], "left"), add_premises(store, ["three"], "right")
    add_drafts(store, gen, ((premise, Made(premise.text)) for premise in (*first, *second)))
    found = loaded(store, store.run(gen.id))
    judged = found.judge(None)
    assert found.sources == ["left", "right"]
    assert found.places(Chosen(source="right"), judged, None, None).tolist() == [2]


def replace_premises() -> object:
    from rows import GEN

    return replace(GEN, premises="left")


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=30), st.integers(1, 9), st.integers(1, 9))
def test_the_plane_counts_every_scored_premise_once(scores: list[tuple[float, float]], width: int, height: int) -> None:
    a, b = (np.array([one[side] for one in scores]) for side in (0, 1))
    blank = np.zeros(len(scores), np.int8)
    found = Numbers(np.arange(len(scores)), a, b, blank.astype(bool), blank, blank, blank, list(numbers.NAMES))
    slow = np.zeros((height, width), int)
    for one, other in scores:
        slow[min(int(other * (height / 5)), height - 1), min(int(one * (width / 5)), width - 1)] += 1
    assert (found.density(width, height) == slow).all()


def test_a_score_range_is_read_and_nonsense_refused() -> None:
    assert state.ranges("a>=2 b<=1.5") == (("a", 2.0, math.inf), ("b", -math.inf, 1.5))
    assert state.ranges("a - b = 0.5") == (("a−b", 0.5, 0.5),)
    ((_, low, high),) = state.ranges("b<1")
    assert (low, high < 1.0, high > 0.999999) == (-math.inf, True, True)
    assert state.ranges("") == ()
    for wrong in ("c>1", "a>", "a>=2 or b<1", "2"):
        with pytest.raises(Problem, match="score range"):
            state.ranges(wrong)


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_is_as_long_as_its_share(share: float, width: int) -> None:
    drawn = charts.bar(share, width)
    assert len(drawn) == width
    eighths = sum(charts.EIGHTHS.index(cell) for cell in drawn)
    assert abs(eighths - 8 * width * share) <= 1
    assert (eighths > 0) == (share > 0)


def test_only_words_that_the_premise_lacks_are_marked() -> None:
    shown_text = charts.differences("The dog runs fast.", "the dog sleeps fast, now.")
    marked = [shown_text.plain[span.start : span.end] for span in shown_text.spans if span.style]
    assert shown_text.plain == "the dog sleeps fast, now."
    assert [words.strip() for words in marked] == ["sleeps", ", now"]


@pytest.mark.parametrize(
    ("premise", "hypothesis", "new"),
    [("犬が走る。", "犬が眠る。", ["眠"]), ("الكلب يجري.", "الكلب ينام.", ["ينام"]), ("สุนัขวิ่ง", "สุนัขนอน", ["นอน"])],
)
def test_differences_show_in_scripts_without_blanks_and_from_right_to_left(
    premise: str, hypothesis: str, new: list[str]
) -> None:
    shown = charts.differences(premise, hypothesis)
    assert shown.plain == hypothesis
    assert [shown.plain[span.start : span.end] for span in shown.spans if span.style] == new


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.integers(12, 60), st.integers(2, 9))
def test_a_curve_keeps_to_its_frame_and_tells_its_range(values: list[float], width: int, height: int) -> None:
    lines = charts.curve("loss", [(float(x), y) for x, y in enumerate(values)], width, height)
    assert len(lines) == height + 2
    assert all(len(line.plain) <= width + 1 for line in lines[1:-1])
    assert f"{min(values):.3f}" in lines[height].plain
    drawn = "".join(line.plain.partition("│")[2] for line in lines[1:-1])
    assert set(drawn) - {chr(0x2800)}


def test_a_cut_line_keeps_the_joiners_of_words_and_nothing_that_steers_a_terminal() -> None:
    assert charts.cut("می\u200cروم\x1b[2J\n", 12).rstrip() == "می\u200cروم [2J"
