"""Demonstrations: the nearest premises of a labelled corpus, against a search by hand, and what becomes of the prompts."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import SET
from conftest import PREMISES
from hypothesis import given
from hypothesis import strategies as st
from rows import add_premises, drafted
from shell import Ended, multicsr, refused
from test_gen_stage import CONFIG, by_text, never, slow

from stages import gen
from stages.models.llm.model import LanguageModel
from stages.pace.batches import Batches
from stages.pace.vectors import Vectors
from stages.texts import prompts
from stages.texts.demonstrations import Demonstrations
from stages.texts.prompts import with_demonstrations
from store.database import Store
from store.records import Run, Triplet, as_config, run_id
from store.rows import drafts

SHOTS, LOWEST = 3, 0.7
CORPUS = [
    *(Triplet(f"{text[:-1]} now.", f"Yes, {text.lower()}", f"Never: {text.lower()}") for text in PREMISES[:6]),
    *(Triplet(text, f"It is so that {text.lower()}", f"It is not so that {text.lower()}") for text in PREMISES[:3]),
    Triplet(PREMISES[1], "A second triplet.", "Of a premise that was there."),
]
SHOWN = replace(CONFIG, demonstrations="corpus", shots=SHOTS, min_similarity=LOWEST, mask_model="letters",
                mask_model_fingerprint="f" * 12)  # fmt: skip


class Letters:
    """An encoder that counts letters: near texts have like letters."""

    def encode(self, texts: Any, batch: int) -> np.ndarray:
        counts = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return np.array(counts, dtype=np.float32) - np.float32(1.0)

    def capacity(self, texts: Any) -> int:
        return len(texts)


def lent(store: Store, load: Callable[[], Any] = Letters, shots: int = SHOTS, lowest: float = LOWEST) -> Demonstrations:
    return Demonstrations(iter(CORPUS), shots, lowest, Vectors(store, "f" * 12, load, Batches(None, "texts", "cpu")))


def by_hand(premise: str, shots: int, lowest: float) -> list[Triplet]:
    """Every cosine, one at a time; the first triplet of a premise stands for it."""
    (own,), near, seen = Letters().encode([premise], 1), [], set[str]()
    for place, triplet in enumerate(CORPUS):
        if triplet.premise in seen:
            continue
        seen.add(triplet.premise)
        (other,) = Letters().encode([triplet.premise], 1)
        cosine = float(own @ other / np.linalg.norm(own) / np.linalg.norm(other))
        if triplet.premise != premise and cosine >= lowest:
            near.append((-cosine, place, triplet))
    return [triplet for *_, triplet in sorted(near)[:shots]][::-1]


def written(store: Store, model: Any, batch: int = 4, config: Any = SHOWN) -> Run:
    if not store.one("SELECT 1 FROM sources WHERE name = 'made'"):
        add_premises(store, PREMISES)
    list(gen.run(store, config, SET, lambda: model, batch, "cpu", None, lent(store)))
    return store.begin("gen", gen.VERSION, config, None)


@pytest.mark.parametrize("shots", [1, 3, 8, 64])
@pytest.mark.parametrize("lowest", [-1.0, 0.5, 0.7, 1.0])
def test_they_are_the_nearest_of_the_corpus_and_never_the_premise_itself(
    store: Store, shots: int, lowest: float
) -> None:
    found = lent(store, shots=shots, lowest=lowest).near(PREMISES)
    assert found == [by_hand(premise, shots, lowest) for premise in PREMISES]
    assert all(premise not in [one.premise for one in near] for premise, near in zip(PREMISES, found, strict=True))
    alone = [lent(store, shots=shots, lowest=lowest).near([premise])[0] for premise in PREMISES]
    assert alone == found  # company changes nothing


def test_the_stored_prompts_are_what_was_asked_and_the_noise_shows_the_opposite(
    store: Store, llm: LanguageModel
) -> None:
    """Eq. 1-2 read literally over the stored prompts, of which each is the other's noise, writes the same drafts."""
    found = by_text(store, written(store, llm))
    numbers = {len(by_hand(premise, SHOTS, LOWEST)) for premise in PREMISES}
    assert len(numbers) > 1  # some see fewer than asked for
    for premise in PREMISES:
        near = by_hand(premise, SHOTS, LOWEST)
        for role in ("entailment", "contradiction"):
            own = SET.template(role).draw(CONFIG.seed, role, premise)  # type: ignore[arg-type]
            shots = [f"{own.replace('{premise}', one.premise)} {getattr(one, role)}" for one in near]
            assert found[premise, role][3] == "\n\n".join([*shots, own])
    run = written(store, llm)
    for premise in PREMISES[:3]:
        asked = {role: found[premise, role][3] for role in ("entailment", "contradiction")}
        for role, raw in slow(llm, run, asked, premise).items():
            text, kept, *_ = found[premise, role]
            assert raw == kept if kept is not None else raw.strip() == text
    shown = store.rows("SELECT prompt FROM hypotheses WHERE run = ? AND prompt LIKE '%now.%'", [run.id])
    assert shown


@pytest.mark.parametrize("batch", [1, 32])
def test_float32_rows_do_not_change_with_the_batch(store: Store, llm: LanguageModel, batch: int) -> None:
    other = Store.memory()
    assert drafted(store, written(store, llm)) == drafted(other, written(other, llm, batch))


@pytest.mark.parametrize("ticks", [2, 4, 5, 6])
def test_walking_away_and_running_again_equals_a_run_without_a_break(llm: LanguageModel, ticks: int) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = written(whole, llm, 2)
    add_premises(cut, PREMISES)
    going = gen.run(cut, SHOWN, SET, lambda: llm, 2, "cpu", None, lent(cut))
    for tick in itertools.islice(going, ticks):
        assert drafts.done(cut, cut.begin("gen", gen.VERSION, SHOWN, None)) == tick.done
    going.close()  # type: ignore[attr-defined]
    assert drafted(cut, written(cut, llm, 3)) == drafted(whole, run)
    list(gen.run(cut, SHOWN, SET, never, 2, "cpu", None, lent(cut, never)))


def test_where_none_is_near_the_run_writes_what_it_would_without(store: Store, llm: LanguageModel) -> None:
    add_premises(store, PREMISES)
    config, plain = replace(SHOWN, min_similarity=1.0), CONFIG
    list(gen.run(store, config, SET, lambda: llm, 4, "cpu", None, lent(store, lowest=1.0)))
    list(gen.run(store, plain, SET, lambda: llm, 4, "cpu"))
    runs = [store.begin("gen", gen.VERSION, one, None) for one in (config, plain)]
    assert runs[0].id != runs[1].id
    assert by_text(store, runs[0]) == by_text(store, runs[1])


def test_what_is_shown_by_which_encoder_names_the_run() -> None:
    changed = [
        replace(SHOWN, **change)
        for change in ({}, {"shots": 2}, {"min_similarity": 0.5}, {"demonstrations": "other"}, {"mask_model_fingerprint": ""})
    ]  # fmt: skip
    assert len({run_id("gen", 1, None, as_config(config)) for config in changed}) == len(changed)


texts = st.text(st.sampled_from("abc {}hypothesis"), min_size=1)


@given(st.lists(st.tuples(texts, texts), max_size=3), st.sampled_from(["entailment", "contradiction"]))
def test_the_sets_own_shots_give_way_to_demonstrations(shown: list[tuple[str, str]], role: Any) -> None:
    """In every bundled set: shots in the form of what is asked, then the instruction and the premise, and nothing else."""
    for name in prompts.names():
        own = prompts.load(name).template(role)
        drawn = own.draw(0, role, "x")
        made = with_demonstrations(drawn, shown)
        if not shown:
            assert made == drawn
            continue
        *_, asked = drawn.split("\n\n")
        instruction = next(one for one in own.instructions if one in drawn)
        lent_by = "".join(f"{asked.replace('{premise}', x)} {y}\n\n" for x, y in shown)
        assert made.startswith(lent_by)
        assert made.endswith(asked)
        rest = made[len(lent_by) :]
        assert rest.count(instruction) == 1
        assert rest.count(asked.splitlines()[-1]) == 1  # no shot of the set's own is left


def write(path: Path, rows: list[Triplet]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sent0", "sent1", "hard_neg"), *rows])
    return path


@pytest.fixture
def asked(premises_file: Path, prompts_file: Path, tiny_llm: Path) -> tuple[object, ...]:
    return ("gen", "--premises", premises_file, "--llm", tiny_llm, "--max-tokens", 6, "--prompts", prompts_file,
            "--dtype", "float32")  # fmt: skip


def test_the_command_is_one_run_and_is_listed_as_it_was_typed(tmp_path: Path, asked: tuple[object, ...]) -> None:
    db, corpus = tmp_path / "s.db", write(tmp_path / "nli.csv", CORPUS)
    flags = (*asked, "--demonstrations", corpus, "--shots", 2, "--min-similarity", 0.5, "--json", "--db", db)
    said = multicsr(*flags)
    run = said.json["run"]
    opened = Store.open(db)
    config = opened.run(run).config
    assert (config["shots"], config["min_similarity"], config["mask_model"]) == (2, 0.5, "minilm")
    assert config["demonstrations"].startswith("nli.csv@")
    prompt = opened.rows("SELECT prompt FROM hypotheses WHERE run = ? AND role = 'entailment'", [run])
    assert any("now. = Yes, " in text for (text,) in prompt)
    assert "complete already" in multicsr(*flags).err
    (listed,) = multicsr("runs", "--json", "--db", db).json["runs"]
    again = multicsr(*listed["command"].split()[1:], "--json", "--db", db)
    assert again.json["run"] == run
    opened.close()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--demonstrations", "no.csv"), "there is no file no.csv"),
        (("--demonstrations", "nli.csv", "--shots", 0), "--shots 0 is out of range"),
        (("--demonstrations", "nli.csv", "--min-similarity", 1.5), "--min-similarity 1.5 is out of range"),
        (("--demonstrations", "pairs.csv"), "holds no triplet"),
        (("--demonstrations", "hole.csv"), "line 2: a text holds {premise}"),
        (("--demonstrations", "nli.csv", "--mask-model", "no-such"), "no-such"),
        (("--shots", 3), "--shots 3 goes with --demonstrations FILE"),
        (("--mask-model", "minilm"), "--mask-model minilm goes with --demonstrations FILE"),
    ],
)
def test_wrong_inputs_are_refused(
    tmp_path: Path, asked: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...], says: str
) -> None:
    write(tmp_path / "nli.csv", CORPUS)
    write(tmp_path / "hole.csv", [Triplet("A {premise}.", "Yes.", "No.")])
    (tmp_path / "pairs.csv").write_text("text_a,text_b,label\nIt rains.,Rain falls.,1\n")
    monkeypatch.chdir(tmp_path)
    ended: Ended = refused(tmp_path / "fresh.db", *asked, *flags)
    assert says in ended.err
