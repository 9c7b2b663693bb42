"""CLAIF's post-processing: every reason, the labels, the random partners, and that a kill changes none of them."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import GEN, SCORE, Made, add_premises, scored

from stages.claif import pairs as pairing
from stages.config import PairConfig
from store.database import Store
from store.problem import Problem
from store.read import pairs, runs
from store.records import DraftRow, Run, ScoreRow
from store.rows import drafts, partners, scores
from store.rows.partners import Rewrite

CONFIG = PairConfig(seed=0)
REWRITES = [
    Rewrite("rewrite-0", "A dog, runs!", None, 5.0),
    Rewrite("rewrite-1", "A dog moves.", None, 4.0),
    Rewrite("rewrite-2", "a dog moves", None, 3.0),
    Rewrite("rewrite-3", "A [MASK] runs.", "mask", 2.0),
    Rewrite("rewrite-4", "A cat runs.", None, None),
    Rewrite("rewrite-5", "A car runs.", None, 4.0),
    Rewrite("rewrite-6", "A man runs.", None, 4.0),
    Rewrite("rewrite-7", "Rain falls.", None, 0.0),
]
REASONS = ["copy", None, "duplicate", "mask", "unscored", None, "same label", None]


def rewritten(store: Store, count: int = 5) -> Run:
    """A finished score run over `count` premises with the rewrites above; those of all but the first begin with a number."""
    there = add_premises(store, ["A dog runs.", *(f"Sentence {number}." for number in range(1, count))])
    without = {"omega": 0.0, "omega_contradiction": 0.0}
    gen = store.begin("gen", 1, replace(GEN, method="claif", sample=True, temperature=1.0, top_p=1.0, **without), None)
    for number, premise in enumerate(there):
        begun = f"{number}: " if number else ""
        drafts.add(
            store,
            gen,
            [DraftRow(premise.id, one.role, begun + one.text, None, one.problem, "{premise}", 3) for one in REWRITES],
        )
    store.finish(gen, drafts.counts(store, gen))
    score = store.begin("score", 1, SCORE, gen.id)
    for premise in there:
        scores.add(store, score, [ScoreRow(premise.id, one.role, one.score, "") for one in REWRITES])
    store.finish(score, scores.counts(store, score))
    return store.run(score.id)


def curated(store: Store, score: Run, config: PairConfig = CONFIG) -> Run:
    list(pairing.run(store, config, score))
    return store.begin("curate", pairing.VERSION, config, score.id)


def decided(store: Store, run: Run) -> list[tuple[object, ...]]:
    return store.rows(
        "SELECT premise, role, other, rewrite, label, verdict, reason FROM partners WHERE run = ?", [run.id]
    )


def test_a_pair_is_dropped_for_its_first_reason_and_labels_are_smoothed() -> None:
    found = list(pairing.judged("A dog runs.", REWRITES))
    assert [one.reason for one in found] == REASONS
    assert [one.label for one in found if one.reason is None] == [0.74, 0.74, 0.1]


@given(st.lists(st.sampled_from([None, 0.0, 1.0, 2.5, 5.0]), max_size=30))
def test_no_label_is_kept_three_times(values: list[float | None]) -> None:
    """Against the plain count, over texts that all differ."""
    made = [Rewrite(f"rewrite-{place}", f"text {place}", None, value) for place, value in enumerate(values)]
    found = list(pairing.judged("x", made))
    for place, value in enumerate(values):
        earlier = values[:place].count(value)
        expected = "unscored" if value is None else "same label" if earlier >= 2 else None
        assert found[place].reason == expected


@given(st.integers(0, 99), st.lists(st.integers(0, 12), max_size=40).map(sorted), st.integers(0, 12))
def test_random_partners_are_rewrites_of_two_others(seed: int, premises: list[int], own: int) -> None:
    """Of two different premises and never of the own; one or none only where there are no more."""
    found = pairing.others(seed, premises, "text", own)
    assert found == pairing.others(seed, premises, "text", own)
    drawn = [premises[place] for place in found]
    assert len(set(drawn)) == len(drawn) == min(2, len(set(premises) - {own}))
    assert own not in drawn


def test_every_rewrite_of_another_premise_is_drawn_about_equally_often() -> None:
    """The first draw is among the nine rewrites that are not the premise's own: 500 of 4,500 each."""
    premises = [1, 1, 1, 2, 5, 5, 7, 7, 7, 7, 9, 9]
    counts = Counter(pairing.others(0, premises, f"text {number}", 1)[0] for number in range(4500))
    assert set(counts) == set(range(3, 12))
    assert all(430 < count < 570 for count in counts.values())


def test_a_random_partner_is_what_another_premise_keeps(store: Store) -> None:
    """Nothing that was dropped, for whatever reason, and no premise stands on the other side of a pair."""
    run = curated(store, rewritten(store, 9))
    drawn = store.rows(
        "SELECT one.premise, one.other, other.verdict, drafts.text, sentence_pairs.partner FROM partners AS one"
        " JOIN partners AS other ON other.run = one.run AND other.premise = one.other AND other.role = one.rewrite"
        " JOIN runs AS curate ON curate.id = one.run JOIN runs AS score ON score.id = curate.parent"
        " JOIN drafts ON drafts.run = score.parent AND drafts.premise = one.other AND drafts.role = one.rewrite"
        " JOIN sentence_pairs ON sentence_pairs.run = one.run AND premise_id = one.premise AND sentence_pairs.role = one.role"
        " WHERE one.run = ? AND one.role GLOB 'random-*'",
        [run.id],
    )
    assert len(drawn) == 18
    assert all(premise != other for premise, other, *_ in drawn)
    assert {verdict for _, _, verdict, *_ in drawn} == {"keep"}
    assert all(text == partner for *_, text, partner in drawn)
    own = {(premise, partner) for premise, partner in store.rows("SELECT premise, text FROM drafts")}
    assert not {(premise, partner) for premise, *_, partner in drawn} & own


def test_one_premise_alone_has_no_random_partner(store: Store) -> None:
    run = curated(store, rewritten(store, 1))
    assert run.finished
    assert (run.counts["premises"], run.counts["random"]) == (1, 0)


def test_a_curation_keeps_counts_and_shows_what_training_reads(store: Store) -> None:
    run = curated(store, rewritten(store))
    assert run.finished
    assert {name: run.counts[name] for name in ("premises", "kept", "random", "dropped")} == {
        "premises": 5,
        "kept": 5 * 3 + 10 + 4,  # the copy is one of the first premise only
        "random": 10,
        "dropped": 5 * 5 - 4,
    }
    assert run.counts["reasons"]["mask"] == 5
    found = list(partners.pairs(store, run))
    assert len(found) == run.counts["kept"]
    assert found == store.rows(
        "SELECT premise, partner, label FROM sentence_pairs WHERE run = ? ORDER BY premise_id, role", [run.id]
    )
    drawn = store.rows("SELECT premise, partner, label FROM sentence_pairs WHERE role GLOB 'random-*'")
    assert len(drawn) == 10
    assert all(premise != partner and label == 0.0 for premise, partner, label in drawn)
    levels = dict(store.rows("SELECT level, premises FROM funnel WHERE run = ? AND reason IS NULL", [run.id]))
    assert levels == {"rewrites": 40, "generated": 35, "scored": 30, "kept": run.counts["kept"]}


@pytest.mark.parametrize("ticks", [1, 2, 3, 4, 5, 6, 7])
def test_a_killed_curation_goes_on_to_the_same_rows(store: Store, ticks: int) -> None:
    whole = Store.memory()
    expected = decided(whole, curated(whole, rewritten(whole)))
    score = rewritten(store)
    going = pairing.run(store, CONFIG, score, at_once=2)
    done = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    run = store.begin("curate", pairing.VERSION, CONFIG, score.id)
    assert partners.decided(store, run) == done
    assert decided(store, curated(store, score)) == expected
    before = decided(store, run)
    assert [tick.note for tick in pairing.run(store, CONFIG, score)] == ["complete"]
    assert decided(store, run) == before


def test_another_seed_draws_other_partners_and_is_another_run(store: Store) -> None:
    score = rewritten(store, 20)
    first, second = (curated(store, score, PairConfig(seed=seed)) for seed in (0, 1))
    assert first.id != second.id
    assert decided(store, first) != decided(store, second)


def test_triplets_are_not_pairs(store: Store) -> None:
    _, score, _ = scored(store, [Made("one", a=4.0, b=1.0)])
    with pytest.raises(Problem, match="wrote triplets"):
        list(pairing.run(store, CONFIG, score))


def test_a_listing_shows_and_finds_random_partners(store: Store) -> None:
    """Behind the premise's own rewrites, in the order of their roles, with the text that is learned from."""
    run = curated(store, rewritten(store, 9))
    listed = pairs.listed(store, runs.view(store, run), limit=1000)
    assert [(one.premise, one.partner, one.role) for one in listed if one.verdict == "keep"] == store.rows(
        "SELECT premise, partner, role FROM sentence_pairs WHERE run = ?"
        " ORDER BY premise_id, role GLOB 'random-*', role",
        [run.id],
    )
    drawn = [one for one in listed if one.role.startswith("random")]
    assert all((one.rate, one.score, one.label, one.reason) == (None, None, 0.0, None) for one in drawn)
    rain = pairs.listed(store, runs.view(store, run), search="rain", limit=1000)
    assert rain == [one for one in listed if "Rain" in one.partner]
    assert any(one.role.startswith("random") for one in rain)
