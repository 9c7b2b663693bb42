"""Masked pairs: the places of a training become keys, and the keys the texts that it read, whatever is said later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driven import finished
from hypothesis import given
from hypothesis import strategies as st
from rows import CURATE, GEN, Made, add_drafts, add_premises, scored
from test_train_stage import CONFIG

from stages import curate
from stages.course.examples import Examples
from stages.files import corpora
from store.database import Store
from store.problem import Problem
from store.read import masked as shown
from store.records import Run
from store.rows import drafts, masked, reviews, training
from store.rows.masked import MaskedPair

# Scores under which the rule keeps, drops, and swaps and then keeps.
SCORES = [(5.0, 0.0), (1.0, 1.0), (0.5, 4.5), (4.0, 2.0), (2.0, 4.0), (3.5, 3.5), (0.0, 5.0), (4.5, 1.0)]
MADE = [
    Made(f"Premise {place}.", f"It follows from {place}.", f"It contradicts {place}.", a=a, b=b)
    for place, (a, b) in enumerate(SCORES)
]
SIDES = {"premise": 0, "entailment": 1, "contradiction": 2}


def three_corpora(store: Store) -> list[Run]:
    """A curate run that swaps; a gen run over the same premises, two of them without both hypotheses; an imported file."""
    gen, score, there = scored(store, MADE)
    swapping = finished(curate.run(store, replace(CURATE, swap_reversed=True), score))
    again = store.begin("gen", 1, replace(GEN, seed=1), None)
    other = [replace(one, x_plus=f"Also: {one.x_plus}", x_minus=f"Not: {one.x_minus}") for one in MADE]
    other[2], other[5] = (
        replace(other[2], x_minus="", c_problem="empty"),
        replace(other[5], x_plus="", e_problem="empty"),
    )
    add_drafts(store, again, zip(there, other, strict=True))
    return [swapping, store.run(again.id), gen]


def training_of(store: Store, corpora: list[Run]) -> Run:
    """A train run, begun and no more, on these corpora as they are now."""
    config = replace(
        CONFIG,
        with_runs=tuple(corpus.id for corpus in corpora[1:]),
        reviews_digest=reviews.applied(store, *corpora),
    )
    return store.begin("train", 2, config, corpora[0].id)


def read(store: Store, run: Run, corpora: list[Run]) -> list[tuple[str, ...]]:
    """What a training reads, example for example: the slow way."""
    return list(Examples(store, tuple(corpora), "multicsr", run.config["reviews_digest"]))


def expected(texts: list[tuple[str, ...]], pairs: list[MaskedPair]) -> list[tuple[Any, ...]]:
    ordered = sorted(pairs, key=lambda pair: (-pair.times, -pair.cosine, pair.place, pair.other, pair.side))
    return [
        (texts[pair.place][0], texts[pair.other][0], texts[pair.other][SIDES[pair.side]], *pair[2:]) for pair in ordered
    ]


def shown_rows(store: Store, run: Run) -> list[tuple[Any, ...]]:
    return [row[:6] for row in shown.listed(store, run, limit=1000)]


PAIRS = st.lists(
    st.builds(
        MaskedPair,
        st.integers(0, 99),
        st.integers(0, 99),
        st.sampled_from(sorted(SIDES)),
        st.floats(-1, 1, allow_nan=False, width=32),
        st.integers(1, 3),
    ),
    max_size=30,
    unique_by=lambda pair: pair[:3],
)
WORDS = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["keep", "drop", None])), max_size=6)


def say(store: Store, gen: Run, words: list[tuple[int, Any]]) -> None:
    """Say these words; one without a verdict takes back what was said, if anything was."""
    ids = [id for (id,) in store.rows("SELECT DISTINCT premise FROM drafts WHERE run = ? ORDER BY premise", [gen.id])]
    for place, verdict in words:
        try:
            if verdict is None:
                reviews.take_back(store, gen, ids[place])
            else:
                reviews.add(store, gen, ids[place], verdict)
        except Problem:  # nothing to keep: a hypothesis is missing
            assert verdict == "keep"


@given(pairs=PAIRS, order=st.permutations([0, 1, 2]), twice=st.booleans(), before=WORDS, after=WORDS)
def test_what_is_shown_is_what_was_trained_on(
    pairs: list[MaskedPair], order: list[int], twice: bool, before: list[Any], after: list[Any]
) -> None:
    """Roles swapped by the rule, corpora over the same premises, one of them twice; words said before the training and after
    it has read, which are no longer those that it knew."""
    store = Store.memory()
    every = three_corpora(store)
    corpora = [every[place] for place in order] + ([every[0]] if twice else [])
    gens = [drafts.gen_of(store, corpus) for corpus in every]
    say(store, gens[0], before)
    say(store, gens[1], before[::-1])
    run = training_of(store, corpora)
    texts = read(store, run, corpora)
    pairs = [pair for pair in pairs if max(pair.place, pair.other) < len(texts)]
    say(store, gens[0], after)
    say(store, gens[1], after[::-1])
    masked.add(store, run, corpora, pairs)
    assert shown_rows(store, run) == expected(texts, pairs)
    say(store, gens[0], before)
    assert shown_rows(store, run) == expected(texts, pairs)
    store.close()


def test_every_place_is_found_among_more_examples_than_are_read_at_once(store: Store) -> None:
    texts = [f"Premise {place}." for place in range(training.PREMISES_AT_ONCE + 3)]
    gen = store.begin("gen", 1, GEN, None)
    made = (Made(text, f"Yes: {text}", f"No: {text}") for text in texts)
    add_drafts(store, gen, zip(add_premises(store, texts), made, strict=True))
    corpora = [store.run(gen.id)] * 2
    run = training_of(store, corpora)
    masked.add(store, run, corpora, [MaskedPair(2 * len(texts) - 1, len(texts) - 1, "contradiction", 0.9, 1)])
    (row,) = shown.listed(store, run)
    assert (row.premise, row.hypothesis) == (texts[-1], f"No: {texts[-1]}")


def test_it_comes_in_the_place_of_what_an_interrupted_training_left(store: Store) -> None:
    corpora = three_corpora(store)
    run, other = training_of(store, corpora), training_of(store, corpora[1:])
    masked.add(store, other, corpora[1:], [MaskedPair(0, 1, "entailment", 0.95, 2)])
    masked.add(store, run, corpora, [MaskedPair(0, 1, "entailment", 0.95, 2), MaskedPair(1, 0, "premise", 0.9, 1)])
    masked.add(store, run, corpora, [MaskedPair(0, 1, "entailment", 0.95, 3)])
    assert [row.times for row in shown.listed(store, run)] == [3]
    assert shown.count(store, other) == 1
    masked.add(store, run, corpora, [])
    assert (shown.count(store, run), shown.count(store, other)) == (0, 1)


def test_all_or_nothing_is_stored(store: Store) -> None:
    corpora = three_corpora(store)
    run = training_of(store, corpora)
    masked.add(store, run, corpora, [MaskedPair(0, 1, "entailment", 0.95, 2)])
    with pytest.raises(Exception, match="CHECK"):
        masked.add(store, run, corpora, [MaskedPair(1, 0, "premise", 0.9, 1), MaskedPair(0, 1, "entailment", 0.95, 0)])
    assert [(row.role, row.times) for row in shown.listed(store, run)] == [("entailment", 2)]


def test_a_premise_that_comes_again_keeps_its_own_hypotheses(file_store: Store, tmp_path: Path) -> None:
    """A labelled file with two triplets of one premise: each pair shows the hypothesis of its own place."""
    path = tmp_path / "nli.csv"
    rows = ["sent0,sent1,hard_neg", "Same.,First.,No first.", "Other.,Second.,No second.", "Same.,Third.,No third."]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    corpus = finished(corpora.run(file_store, corpora.corpus(path)))
    run = training_of(file_store, [corpus])
    texts = read(file_store, run, [corpus])
    pairs = [
        MaskedPair(place, other, side, 0.9, 1 + place)
        for place in range(3)
        for other in range(3)
        for side in ("entailment", "contradiction")
    ]
    masked.add(file_store, run, [corpus], pairs)
    assert shown_rows(file_store, run) == expected(texts, pairs)
    assert {row.hypothesis for row in shown.listed(file_store, run) if row.other_premise == "Same."} == {
        "First.",
        "No first.",
        "Third.",
        "No third.",
    }


def test_words_are_searched_in_premises_and_negatives(store: Store) -> None:
    corpora = [three_corpora(store)[2]]
    run = training_of(store, corpora)
    masked.add(
        store,
        run,
        corpora,
        [
            MaskedPair(0, 1, "entailment", 0.95, 1),
            MaskedPair(2, 3, "contradiction", 0.9, 1),
            MaskedPair(4, 2, "premise", 0.8, 1),
        ],
    )

    def found(words: str) -> list[tuple[int, int]]:
        rows = shown.listed(store, run, search=words)
        return [(int(row.premise[8]), int(row.other_premise[8])) for row in rows]

    assert found("follows") == [(0, 1)]
    assert found("CONTRADICTS 3") == [(2, 3)]
    assert found("premise 2") == [(2, 3), (4, 2)]
    assert found("no such words") == []
    assert found("premise") == [(0, 1), (2, 3), (4, 2)]
    assert [row.premise for row in shown.listed(store, run, limit=1, offset=1)] == ["Premise 2."]


def test_words_that_a_training_never_knew_are_no_ground_to_guess(store: Store) -> None:
    corpora = three_corpora(store)
    run = store.begin("train", 2, replace(CONFIG, reviews_digest="f" * 12), corpora[0].id)
    with pytest.raises(ValueError, match="never had the digest"):
        masked.add(store, run, corpora, [MaskedPair(0, 1, "entailment", 0.95, 1)])


@pytest.mark.parametrize(
    ("counts", "config", "wanted"),
    [
        ({"masked_share": 0.25}, {}, (0.97, None, None, 0.25)),
        ({"masked_share": 0.25, "sigma": 0.8}, {"sigma": None, "sigma_quantile": 0.02}, (0.8, 0.02, None, 0.25)),
        ({"masked_share": 0.0}, {"sigma": None, "sigma_margin": 0.05}, (None, None, 0.05, 0.0)),
    ],
)
def test_the_mask_is_told_as_it_was_asked_for(
    store: Store, counts: dict[str, Any], config: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    corpora = three_corpora(store)
    run = store.finish(training_of(store, corpora), counts)
    run = replace(run, config={**run.config, **config})
    assert shown.mask(run)[1:] == wanted


def test_a_run_without_a_mask_or_an_end_says_what_to_do(store: Store) -> None:
    run = training_of(store, three_corpora(store))
    unmasked = replace(run, config={**run.config, "mask_model": "none", "sigma": None})
    claif = replace(unmasked, config={**unmasked.config, "objective": "claif"})
    for one, says in ((run, "not finished"), (unmasked, "mask_model=none"), (claif, "objective=claif")):
        with pytest.raises(Problem, match=says):
            shown.mask(one)
