"""CLAIF's rewrites with tiny real models: what is masked, what is asked, and that no kill, batch or company changes a row."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pytest
from asked import SET
from conftest import PREMISES
from hypothesis import given
from hypothesis import strategies as st
from parrot import Parrot
from rows import GEN, add_premises, content, drafted

from stages import gen
from stages.claif import rewrites
from stages.models.llm.model import LanguageModel
from stages.texts.prompts import PromptSet
from store.database import Store
from store.problem import Problem
from store.records import REWRITES, Run
from store.rows import drafts

CONFIG = replace(
    GEN, method="claif", omega=0.0, omega_contradiction=0.0, sample=True, temperature=0.7, top_p=0.9, max_tokens=12
)
TEXTS = [*PREMISES[:5], "Rain."]
GAP = SET.gap
WORDS = st.lists(st.text("abcdefg", min_size=1, max_size=5), max_size=14).map(" ".join)


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


def written(
    store: Store, model: Any, texts: list[str] = TEXTS, batch: int = 3, prompts: PromptSet = SET, **other: Any
) -> Run:
    config = replace(CONFIG, **other)
    if not store.one("SELECT 1 FROM sources WHERE name = 'made'"):
        add_premises(store, texts)
    list(gen.run(store, config, prompts, lambda: model, batch, "cpu"))
    return store.begin("gen", gen.version(config), config, None)


@given(WORDS, st.integers(0, 8), st.integers(0, 99))
def test_a_tenth_of_the_words_rounded_up_is_masked_and_the_others_stay(premise: str, tenths: int, seed: int) -> None:
    words = premise.split()
    count = -(-len(words) * tenths // 10)
    masked = rewrites.mask(premise, tenths, seed, GAP)
    assert masked == rewrites.mask(premise, tenths, seed, GAP)
    pieces = masked.split()
    masks = pieces.count(GAP)
    assert len(pieces) - masks == len(words) - count
    assert (count > 0) <= masks <= count
    # Each mask stands for one word or more: the others are found again around them, in their order.
    pattern = r"\s".join(r"\w+(?:\s\w+)*" if piece == GAP else re.escape(piece) for piece in pieces)
    assert re.fullmatch(pattern, " ".join(words))


def test_masks_are_drawn_evenly_and_merged_in_all_of_a_sentence_or_nowhere() -> None:
    """Six of ten words, counted over many seeds: each is masked six times of ten, and in half of the masked sentences one
    mask stands for each row of neighbours; in the others each has its own."""
    words = "a b c d e f g h i j"
    hidden, merged = Counter[str](), []
    for seed in range(2000):
        pieces = rewrites.mask(words, 6, seed, GAP).split()
        chosen = sorted(set(words.split()) - set(pieces))
        hidden.update(chosen)
        rows = 1 + sum(ord(right) - ord(left) > 1 for left, right in itertools.pairwise(chosen))
        assert rows < len(chosen)  # of six words among ten, two are neighbours
        assert pieces.count(GAP) in (rows, len(chosen))
        merged.append(pieces.count(GAP) == rows)
    assert all(1100 < hidden[word] < 1300 for word in words.split())
    assert 0.47 < np.mean(merged) < 0.53


def test_each_masked_sentence_has_its_own_draw_of_merging() -> None:
    """Whether the masks of one rate are merged says nothing of those of another: all four come about equally often."""
    words = "a b c d e f g h i j"
    found = Counter[tuple[bool, ...]]()
    for seed in range(2000):
        both = [rewrites.mask(words, tenths, seed, GAP) for tenths in (6, 8)]
        found[tuple(f"{GAP} {GAP}" not in masked for masked in both)] += 1
    assert set(found) == set(itertools.product((False, True), repeat=2))
    assert all(430 < count < 570 for count in found.values())


def test_what_stands_between_words_stays() -> None:
    masked = {rewrites.mask("Don't go, she said.", 3, seed, GAP) for seed in range(50)}
    assert "[MASK] go, she [MASK]." in masked
    assert "Don't [MASK], [MASK] said." in masked
    assert "Don't [MASK] said." in masked  # merged
    assert rewrites.mask("...", 8, 0, GAP) == "..."


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """Each law holds for decoder-only and for encoder-decoder models."""
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


def test_every_premise_gets_nine_rewrites_each_with_the_prompt_it_answers(store: Store, model: LanguageModel) -> None:
    run = written(store, model)
    found = store.rows(
        "SELECT premises.text, role, prompt FROM hypotheses JOIN premises ON premises.id = premise WHERE run = ?",
        [run.id],
    )
    assert {row[:2] for row in found} == set(itertools.product(TEXTS, REWRITES))
    assert len(found) == run.counts["hypotheses"] == 9 * run.counts["premises"]
    for text, role, prompt in found:
        masked = rewrites.masked(text, role, 0, GAP)
        if masked is None:
            assert prompt == f"Means the same: {text} ="
        else:
            assert prompt in (f"Has no gaps: {masked} =", f"Is whole: {masked} =")
    assert drafts.are_rewrites(store, run)


def test_float32_rows_do_not_change_with_batch_or_company(store: Store, model: LanguageModel) -> None:
    other, few = Store.memory(), Store.memory()
    whole = drafted(store, written(store, model))
    assert drafted(other, written(other, model, batch=1)) == whole
    alone = drafted(few, written(few, model, TEXTS[:2], batch=32))
    assert alone == [row for row in whole if row[1] <= 2]
    assert drafted(store, written(store, model, seed=1)) != whole


@pytest.mark.parametrize("ticks", range(1, 6))
def test_walking_away_and_running_again_equals_a_run_without_a_break(llm: LanguageModel, ticks: int) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = written(whole, llm)
    add_premises(cut, TEXTS)
    going = gen.run(cut, CONFIG, SET, lambda: llm, 1, "cpu")
    stored = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    assert drafts.done(cut, run) == stored
    again = list(gen.run(cut, CONFIG, SET, lambda: llm, 2, "cpu"))
    assert again[-1].fresh == len(TEXTS) - stored
    assert drafted(cut, run) == drafted(whole, run)
    assert cut.run(run.id).counts == whole.run(run.id).counts


def test_a_complete_run_never_loads_the_model_and_writes_nothing(store: Store, llm: LanguageModel) -> None:
    written(store, llm)
    before = content(store)
    ticks = list(gen.run(store, CONFIG, SET, never, 4, "cpu"))
    assert [(tick.done, tick.total, tick.note) for tick in ticks] == [(len(TEXTS), len(TEXTS), "complete")]
    assert content(store) == before


def test_masks_that_are_left_refusals_and_nothing_keep_what_was_written(store: Store) -> None:
    says = {
        "Means the same": "I'm sorry, but I cannot help with that.",
        "Has no gaps": "A [MASK] ran",
        "Is whole": "...",
    }
    run = written(store, Parrot(says), ["A dog runs along."], prompts=replace(SET, stop=("\n",)))
    found = store.rows("SELECT text, raw, problem FROM drafts WHERE run = ? ORDER BY id", [run.id])
    assert found[0] == (says["Means the same"], says["Means the same"], "refusal")
    assert set(found[1:]) == {("A [MASK] ran", "A [MASK] ran", "mask"), ("...", "...", "empty")}


@pytest.mark.parametrize("flag", ["omega", "omega_contradiction", "nu"])
def test_there_is_no_opposite_instruction_to_take_away(flag: str) -> None:
    with pytest.raises(Problem, match=f"^{flag} 0.3 has no use with method=claif"):
        replace(CONFIG, **{flag: 0.3})


def test_a_prompt_set_without_the_parts_is_refused(store: Store, llm: LanguageModel) -> None:
    add_premises(store, TEXTS)
    with pytest.raises(Problem, match=r"no \[rewrite\] and \[fill\]"):
        list(gen.run(store, CONFIG, replace(SET, fill=None), lambda: llm, 2, "cpu"))


def test_parts_that_only_rewrites_read_change_no_other_runs_id() -> None:
    from asked import TOML

    from stages.texts import prompts

    without = prompts.parse(re.sub(r"\[rewrite\].*(?=\[likelihood\])", "", TOML, flags=re.DOTALL), "short")
    assert without.rewrite is None
    assert without.digest == SET.digest
    assert without.whole_digest != SET.whole_digest
