"""The decision against a brute-force reading of eq. 4 in exact fractions: verdict and first reason of every premise."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CURATE, Made, content, scored

from stages import curate
from stages.config import CurateConfig
from store.database import Store
from store.problem import Problem
from store.read.funnel import reasons as reasons_met
from store.records import Run
from store.rows import decisions

PROBLEMS = st.none() | st.sampled_from(["empty", "refusal", "runaway"])
WORDS = st.lists(st.sampled_from(["A dog", "a  dog.", "the cat", "No", "no!"]), max_size=2).map(" ".join)


def thousandths(low: int, high: int) -> st.SearchStrategy[float]:
    """Numbers of up to three decimals, crowded where they meet one another."""
    near = st.sampled_from(
        [place for place in (-1000, 0, 500, 1000, 2300, 3000, 3001, 3300, 5000) if low <= place <= high]
    )
    return (near | st.integers(low, high)).map(lambda number: number / 1000)


SCORES = st.none() | thousandths(0, 5000)
MADE = st.builds(Made, x=WORDS, x_plus=WORDS, x_minus=WORDS, e_problem=PROBLEMS, c_problem=PROBLEMS, a=SCORES, b=SCORES)
SCORED = st.builds(Made, x=WORDS, x_plus=WORDS, x_minus=WORDS, a=thousandths(0, 5000), b=thousandths(0, 5000))
CONFIGS = st.builds(
    lambda beta, min_contradiction, **rest: CurateConfig(
        beta=beta, min_contradiction=min(min_contradiction, beta), **rest
    ),
    alpha=thousandths(0, 5000),
    beta=thousandths(0, 5000),
    gamma=thousandths(-5000, 5000),
    drop_copies=st.booleans(),
    drop_duplicates=st.booleans(),
    swap_reversed=st.booleans(),
    min_contradiction=st.just(0.0) | thousandths(0, 5000),
)


def exact(number: float) -> Fraction:
    """The decimal number that was written, not its nearest binary one."""
    return Fraction(repr(number))


def plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def brute(made: list[Made], config: CurateConfig) -> list[tuple[str, str | None, int]]:
    """(verdict, first reason, swapped) of each premise, one rule after the other, in exact numbers."""
    found: list[tuple[str, str | None, int]] = []
    seen: set[tuple[str, str, str]] = set()
    for one in made:
        a, b, x_plus, x_minus, swapped = one.a, one.b, one.x_plus, one.x_minus, 0
        if config.swap_reversed and a is not None and b is not None and a < b:
            a, b, x_plus, x_minus, swapped = b, a, x_minus, x_plus, 1
        triplet = (plain(one.x), plain(x_plus), plain(x_minus))
        reason = None
        if one.e_problem or one.c_problem:
            reason = one.e_problem or one.c_problem
        elif a is None or b is None:
            reason = "unscored"
        elif exact(a) < exact(config.alpha):
            reason = "a<alpha"
        elif exact(b) > exact(config.beta):
            reason = "b>beta"
        elif exact(a) < exact(b) + exact(config.gamma):
            reason = "a<b+gamma"
        elif exact(b) < exact(config.min_contradiction):
            reason = "b<min"
        elif config.drop_copies and triplet[0] in triplet[1:]:
            reason = "copy"
        elif config.drop_duplicates and triplet in seen:
            reason = "duplicate"
        if reason is None:
            seen.add(triplet)
        found.append(("keep" if reason is None else "drop", reason, swapped))
    return found


def decided(store: Store, run: Run) -> list[tuple[str, str | None, int]]:
    return store.rows("SELECT verdict, reason, swapped FROM decisions WHERE run = ? ORDER BY premise", [run.id])


def curated(store: Store, config: CurateConfig, score: Run) -> Run:
    list(curate.run(store, config, score))
    return store.begin("curate", curate.VERSION, config, score.id)


def distinct(made: list[Made]) -> list[Made]:
    """A source holds a text once: the second "A dog" becomes "A dog.", the same words with other dots."""
    return [replace(one, x=f"{one.x}{'.' * place} _") for place, one in enumerate(made)]


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MADE, min_size=1, max_size=12).map(distinct), CONFIGS)
def test_every_premise_gets_the_verdict_and_first_reason_of_eq_4(made: list[Made], config: CurateConfig) -> None:
    store = Store.memory()
    _, score, _ = scored(store, made)
    run = curated(store, config, score)
    wanted = brute(made, config)
    assert decided(store, run) == wanted
    reasons = Counter(reason for _, reason, _ in wanted if reason)
    counts = run.counts
    assert counts["reasons"] == reasons
    assert counts["premises"] == len(made) == counts["kept"] + counts["dropped"]
    assert counts["dropped"] == sum(reasons.values())
    funnel = counts["funnel"]
    assert funnel["premises"] >= funnel["generated"] >= funnel["scored"] >= funnel["kept"] == counts["kept"]
    assert funnel["generated"] == sum(one.e_problem is None and one.c_problem is None for one in made)
    assert reasons_met(store, run) == sorted(reasons)
    store.close()


@settings(max_examples=100)
@given(st.lists(SCORED, min_size=1, max_size=12).map(distinct), CONFIGS)
def test_the_same_where_nothing_has_a_problem(made: list[Made], config: CurateConfig) -> None:
    store = Store.memory()
    _, score, _ = scored(store, made)
    assert decided(store, curated(store, config, score)) == brute(made, config)
    store.close()


def test_a_sum_that_binary_numbers_miss_is_still_met(store: Store) -> None:
    """3.3 >= 2.3 + 1.0 in decimals; in binary 2.3 + 1.0 is larger. One thousandth below is below."""
    made = [Made("one", a=3.3, b=2.3), Made("two", a=3.299, b=2.3), Made("three", a=1.1 + 2.2, b=2.3)]
    _, score, _ = scored(store, made)
    run = curated(store, CurateConfig(alpha=3.0, beta=3.0, gamma=1.0), score)
    assert [reason for _, reason, _ in decided(store, run)] == [None, "a<b+gamma", None]


def test_the_first_reason_is_the_one_told(store: Store) -> None:
    """Each premise has every fault behind its first one, in the order that the rule asks for them."""
    copy = {"x_plus": "copied", "x_minus": "no"}
    made = [
        Made("copied 0", e_problem="runaway", c_problem="empty", **copy),
        Made("copied 1", c_problem="empty", a=0.0, b=5.0, **copy),
        Made("copied 2", a=None, b=5.0, **copy),
        Made("copied 3", a=0.0, b=None, **copy),
        Made("copied 4", a=1.0, b=5.0, **copy),
        Made("copied 5", a=3.0, b=5.0, **copy),
        Made("copied 6", a=3.5, b=3.0, **copy),
        Made("copied 7", a=5.0, b=0.5, **copy),
        Made("copied", a=5.0, b=1.0, **copy),
        Made("Copied!", a=5.0, b=1.0, **copy),
        Made("kept", a=5.0, b=1.0),
        Made("KEPT?", a=5.0, b=1.0),
    ]
    _, score, _ = scored(store, made)
    run = curated(store, replace(CURATE, drop_copies=True, drop_duplicates=True, min_contradiction=1.0), score)
    assert [reason for _, reason, _ in decided(store, run)] == [
        "runaway", "empty", "unscored", "unscored", "a<alpha", "b>beta", "a<b+gamma", "b<min", "copy", "copy", None,
        "duplicate",
    ]  # fmt: skip


def test_a_floor_of_zero_is_the_run_without_one_and_one_above_beta_is_refused(store: Store) -> None:
    _, score, _ = scored(store, [Made("one", a=4.0, b=0.0)])
    assert curated(store, replace(CURATE, min_contradiction=0.0), score) == curated(store, CURATE, score)
    with pytest.raises(Problem, match="above beta=3"):
        replace(CURATE, min_contradiction=3.1)
    with pytest.raises(Problem, match="out of range"):
        curate.sweep(store, score, False, 5.1)


def test_a_swapped_triplet_changes_its_roles_and_its_scores(store: Store) -> None:
    made = [Made("one", "plus", "minus", a=1.0, b=4.0), Made("two", "plus", "minus", a=4.0, b=1.0)]
    _, score, _ = scored(store, made)
    dropped, swapped = curated(store, CURATE, score), curated(store, replace(CURATE, swap_reversed=True), score)
    columns = "SELECT premise, entailment, contradiction, a, b FROM triplets WHERE run = ? ORDER BY premise"
    assert store.rows(columns, [dropped.id]) == [("two", "plus", "minus", 4.0, 1.0)]
    assert store.rows(columns, [swapped.id]) == [("one", "minus", "plus", 4.0, 1.0), ("two", "plus", "minus", 4.0, 1.0)]


def test_a_duplicate_is_one_as_it_is_kept_also_after_a_swap(store: Store) -> None:
    """What makes a triplet redundant is how the kept one reads, not in which role its texts were written."""
    made = [
        Made("One", "plus", "minus", a=4.0, b=1.0),
        Made("one.", "minus", "plus", a=1.0, b=4.0),  # swapped, it reads as the first
        Made("ONE", "plus", "minus", a=1.0, b=4.0),  # swapped, it reads otherwise
    ]
    _, score, _ = scored(store, made)
    run = curated(store, replace(CURATE, swap_reversed=True, drop_duplicates=True), score)
    assert [reason for _, reason, _ in decided(store, run)] == [None, "duplicate", None]


@settings(max_examples=30)
@given(
    st.lists(MADE, min_size=1, max_size=12).map(distinct),
    st.booleans(),
    st.just(0.0) | thousandths(0, int(1000 * min(curate.SWEEP_BETA))),
)
def test_a_sweep_keeps_what_curation_keeps_and_writes_nothing(made: list[Made], swap: bool, floor: float) -> None:
    store = Store.memory()
    _, score, _ = scored(store, made)
    before = content(store)
    rows = curate.sweep(store, score, swap, floor)
    assert content(store) == before
    configs = [
        CurateConfig(
            alpha=row["alpha"], beta=row["beta"], gamma=row["gamma"], swap_reversed=swap, min_contradiction=floor
        )
        for row in rows
    ]
    assert len(set(configs)) == len(rows)
    for config, row in zip(configs, rows, strict=True):
        assert row["kept"] == sum(verdict == "keep" for verdict, _, _ in brute(made, config))
    middle = len(rows) // 2
    assert curated(store, configs[middle], score).counts["kept"] == rows[middle]["kept"]
    store.close()


@pytest.mark.parametrize("ticks", range(1, 7))
def test_a_curation_cut_short_and_taken_up_equals_one_without_a_break(
    ticks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Made(f"{'same' if n % 3 else 'one'}{'.' * n}", a=4.0 + n % 2, b=float(n % 5)) for n in range(23)]
    config = replace(CURATE, drop_duplicates=True)
    whole = Store.memory()
    run = curated(whole, config, scored(whole, made)[1])
    monkeypatch.setattr(decisions, "PREMISES_AT_ONCE", 5)
    cut = Store.memory()
    score = scored(cut, made)[1]
    going = curate.run(cut, config, score)
    for _ in range(ticks):
        next(going)
    going.close()  # type: ignore[attr-defined]
    assert cut.begin("curate", curate.VERSION, config, score.id).finished is None
    assert curated(cut, config, score) == replace(run, finished=cut.run(run.id).finished)
    assert content(cut) == content(whole)


def test_ticks_count_up_to_all_premises(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "PREMISES_AT_ONCE", 4)
    _, score, _ = scored(store, [Made(f"text {n}", a=4.0, b=1.0) for n in range(10)])
    assert [(tick.done, tick.total) for tick in curate.run(store, CURATE, score)] == [(4, 10), (8, 10), (10, 10)]
    assert [(tick.done, tick.note) for tick in curate.run(store, CURATE, score)] == [(10, "complete")]


def test_another_alpha_is_another_run_and_leaves_the_old_decisions(store: Store) -> None:
    _, score, _ = scored(store, [Made(f"text {n}", a=float(n), b=0.0) for n in range(6)])
    first = curated(store, CURATE, score)
    kept = decided(store, first)
    second = curated(store, replace(CURATE, alpha=1.0), score)
    assert first.id != second.id
    assert decided(store, first) == kept == brute([Made(f"{n}", a=float(n), b=0.0) for n in range(6)], CURATE)
    assert store.run(first.id) == first
    assert (first.counts["kept"], second.counts["kept"]) == (3, 5)


def test_premises_of_other_runs_are_not_decided(store: Store) -> None:
    from rows import add_premises

    add_premises(store, ["not", "of", "this", "run"], "other")
    _, score, there = scored(store, [Made("one", a=4.0, b=1.0)])
    add_premises(store, ["later"], "third")
    run = curated(store, CURATE, score)
    assert store.rows("SELECT premise FROM decisions WHERE run = ?", [run.id]) == [(there[0].id,)]


def test_an_unfinished_score_run_is_not_curated(store: Store) -> None:
    from rows import SCORE

    gen, _, _ = scored(store, [Made("one", a=4.0, b=1.0)])
    unfinished = store.begin("score", 2, SCORE, gen.id)
    with pytest.raises(Problem, match="not finished"):
        list(curate.run(store, CURATE, unfinished))
    with pytest.raises(Problem, match="not finished"):  # half the scores would be a grid of wrong counts
        curate.sweep(store, unfinished, False)
    assert store.one("SELECT count(*) FROM decisions") == (0,)
