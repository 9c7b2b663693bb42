"""Reviews against a slow Python reading of the words: who is kept, what is counted, and what a training is named by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CURATE, GEN, Made, add_drafts, add_premises, content, scored

from stages import curate
from stages.config import CurateConfig
from store.database import Store
from store.problem import Problem
from store.read import funnel as levels
from store.read import runs
from store.read.triplets import listed
from store.records import Run
from store.rows import reviews, training
from store.rows.reviews import Verdict

MADE = [
    Made("one", a=4.0, b=1.0),
    Made("two", a=2.0, b=0.5),
    Made("three", a=4.0, b=3.5),
    Made("four", a=None, b=1.0),
    Made("ONE!", a=5.0, b=0.0),
    Made("yes", a=5.0, b=0.0),
    Made("six", x_minus="", c_problem="empty", a=4.0),
]
CONFIGS = st.builds(
    CurateConfig,
    alpha=st.sampled_from([0.0, 3.0, 4.5]),
    beta=st.sampled_from([0.5, 3.0, 5.0]),
    gamma=st.sampled_from([-5.0, 1.0]),
    drop_copies=st.booleans(),
    drop_duplicates=st.booleans(),
    swap_reversed=st.booleans(),
    min_contradiction=st.sampled_from([0.0, 0.5]),
)


@dataclass(frozen=True)
class Said:
    """A person's word over the `place`-th premise; None takes back."""

    place: int
    verdict: Verdict | None


SAID = st.lists(
    st.builds(Said, place=st.integers(0, len(MADE) - 1), verdict=st.sampled_from(["keep", "drop", None])), max_size=8
)


def say(store: Store, gen: Run, premise: int, said: Said) -> None:
    if said.verdict is None:
        reviews.take_back(store, gen, premise)
    elif said.verdict == "drop" or MADE[said.place].x_minus:
        reviews.add(store, gen, premise, said.verdict)


def standing(words: list[Said]) -> dict[int, str]:
    """The last word over each place, slowly."""
    found: dict[int, str] = {}
    for said in words:
        if said.verdict == "keep" and not MADE[said.place].x_minus:
            continue
        found.pop(said.place, None)
        if said.verdict is not None:
            found[said.place] = said.verdict
    return found


def curated(store: Store, config: CurateConfig, score: Run) -> Run:
    list(curate.run(store, config, score))
    return store.begin("curate", curate.VERSION, config, score.id)


def decided(store: Store, run: Run) -> list[tuple[str, str | None]]:
    return store.rows("SELECT verdict, reason FROM decisions WHERE run = ? ORDER BY premise", [run.id])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SAID, SAID, CONFIGS)
def test_a_word_overrules_the_rule_whenever_it_was_said(
    before: list[Said], after: list[Said], config: CurateConfig
) -> None:
    """Decisions, triplets, both funnels and the digest, for words said before and after the curation."""
    plain, store = Store.memory(), Store.memory()
    rule = decided(plain, curated(plain, config, scored(plain, MADE)[1]))
    gen, score, there = scored(store, MADE)
    for said in before:
        say(store, gen, there[said.place].id, said)
    run = curated(store, config, score)
    for said in after:
        say(store, gen, there[said.place].id, said)
    words = standing(before + after)
    wanted = []
    for place, (verdict, reason) in enumerate(rule):
        word = words.get(place, verdict)
        wanted.append((word, None if word == "keep" else reason or "review"))
    assert decided(store, run) == wanted
    assert [(word.premise, word.verdict) for word in reviews.standing(store, gen).values()] == [
        (there[place].id, words[place]) for place in sorted(words)
    ]

    kept = {there[place].id for place, (verdict, _) in enumerate(wanted) if verdict == "keep"}
    triplets = store.rows("SELECT premise_id FROM triplets WHERE run = ? ORDER BY 1", [run.id])
    assert [id for (id,) in triplets] == sorted(kept)
    assert training.count_triplets(store, run) == len(kept) == len(list(training.triplets(store, run)))

    turned = [(word, verdict) for (word, _), (verdict, _) in zip(wanted, rule, strict=True) if word != verdict]
    reasons = Counter(reason for _, reason in wanted if reason)
    funnel = levels.levels(store, runs.view(store, run))
    assert (funnel["kept"], funnel["dropped"]) == (len(kept), len(MADE) - len(kept))
    assert funnel["reasons"] == reasons
    assert funnel.get("kept_by_review", 0) == turned.count(("keep", "drop"))
    assert funnel.get("dropped_by_review", 0) == turned.count(("drop", "keep"))
    in_view = store.rows("SELECT level, reason, premises FROM funnel WHERE run = ?", [run.id])
    assert {level: count for level, why, count in in_view if why is None}["kept"] == len(kept)
    assert {why: count for level, why, count in in_view if level == "dropped" and count} == reasons
    assert levels.reasons(store, run) == sorted(funnel["reasons"])

    assert (reviews.applied(store, run) is None) == (turned == [])
    rows = [[row.verdict, row.reason] for row in listed(store, runs.view(store, run))]
    assert rows == [list(row) for row in wanted]
    assert run.counts == plain.run(run.id).counts  # what the rule does stays as it was counted
    plain.close()
    store.close()


@settings(max_examples=40)
@given(SAID)
def test_the_triplets_of_a_gen_run_are_those_no_person_dropped(words: list[Said]) -> None:
    store = Store.memory()
    gen, _, there = scored(store, MADE)
    for said in words:
        say(store, gen, there[said.place].id, said)
    dropped = {place for place, verdict in standing(words).items() if verdict == "drop"}
    kept = [one.x for place, one in enumerate(MADE) if place not in dropped and one.x_minus]
    assert [triplet.premise for triplet in training.triplets(store, gen)] == kept
    assert (reviews.applied(store, gen) is None) == (not [place for place in dropped if MADE[place].x_minus])
    store.close()


def test_equal_words_have_an_equal_digest_in_every_store_and_undone_ones_none() -> None:
    one, two = Store.memory(), Store.memory()
    add_premises(two, ["others", "came", "first"], "other")  # so that rows have other ids
    digests = []
    for store in (one, two):
        gen, score, there = scored(store, MADE)
        run = curated(store, CURATE, score)
        reviews.add(store, gen, there[1].id, "keep", f"in my words {id(store)}")
        reviews.add(store, gen, there[0].id, "drop")
        reviews.add(store, gen, there[5].id, "keep")  # as the rule has it: changes no triplet
        digests.append(reviews.applied(store, run))
    assert digests[0] == digests[1] is not None
    gen = one.find("latest", ("gen",))
    assert reviews.take_back(one, gen, there[0].id - 3)
    assert reviews.applied(one, one.find("latest", ("curate",))) not in (None, digests[0])
    assert not reviews.take_back(one, gen, there[0].id - 3)  # it is taken back already


def test_every_word_stays_in_the_store_and_the_last_one_counts(store: Store) -> None:
    gen, _, there = scored(store, MADE)
    id = there[0].id
    reviews.add(store, gen, id, "drop", "too long")
    reviews.add(store, gen, id, "keep", "on second thoughts")
    reviews.take_back(store, gen, id)
    said = [(word.verdict, word.note) for word in reviews.said(store, gen, id)]
    assert said == [("drop", "too long"), ("keep", "on second thoughts"), (None, "")]
    assert reviews.standing(store, gen) == {}
    reviews.add(store, gen, id, "drop")
    assert reviews.standing(store, gen)[id].verdict == "drop"


def test_a_triplet_without_a_text_cannot_be_kept(store: Store) -> None:
    gen, _, there = scored(store, MADE)
    with pytest.raises(Problem, match="no contradiction"):
        reviews.add(store, gen, there[6].id, "keep")
    assert reviews.said(store, gen, there[6].id) == []


def test_a_word_is_over_the_texts_of_one_gen_run(store: Store) -> None:
    gen, score, there = scored(store, MADE)
    other = store.begin("gen", 1, replace(GEN, omega=0.0), None)
    add_drafts(store, other, zip(there, MADE, strict=True))
    reviews.add(store, gen, there[0].id, "drop")
    assert training.count_triplets(store, other) == training.count_triplets(store, gen) + 1
    first, second = curated(store, CURATE, score), curated(store, replace(CURATE, alpha=1.0), score)
    assert [decided(store, run)[0] for run in (first, second)] == [("drop", "review")] * 2


def test_reviewing_changes_no_other_row(store: Store) -> None:
    gen, score, there = scored(store, MADE)
    run = curated(store, CURATE, score)
    before = {table: rows for table, rows in content(store).items() if table != "decisions"}
    reviews.add(store, gen, there[0].id, "drop", "note")
    assert {table: rows for table, rows in content(store).items() if table != "decisions"} == before
    assert run == store.run(run.id)
