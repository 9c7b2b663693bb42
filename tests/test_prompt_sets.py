"""Prompt sets: what the bundled ones ask for, what a file may hold, and where hypotheses end and examples are shown by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asked import SET, TOML
from parrot import Parrot
from rows import GEN, SCORE, Made, add_drafts, add_premises
from test_judge_stage import SHOTS

import multicsr.gen
import multicsr.score
from stages import gen, score
from stages.texts import prompts
from stages.texts.prompts import PromptSet
from store.database import Store
from store.problem import Problem

FLAN = prompts.load("flan-t5")
TWO = "The shop is shut. Nobody is there."


def test_flan_t5_has_four_instructions_of_each_kind_and_no_two_alike() -> None:
    both = (*FLAN.entailment.instructions, *FLAN.contradiction.instructions)
    assert (len(FLAN.entailment.instructions), len(FLAN.contradiction.instructions)) == (4, 4)
    assert len(set(both)) == 8


def test_flan_t5_shows_examples_of_every_kind_of_pair_for_a_score() -> None:
    """Pairs of the same meaning, of nothing in common, and of what lies between, each with a number that is read."""
    answers = [float(part.rsplit(": ", 1)[1]) for part in FLAN.question.split("\n\n")[1:-1]]
    assert len(answers) == FLAN.shots("prompt") == 5
    assert sorted(answers) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(("asked", "kept"), [(FLAN, TWO), (replace(FLAN, one_sentence=True), "The shop is shut.")])
def test_a_hypothesis_has_as_many_sentences_as_the_set_lets_it(store: Store, asked: PromptSet, kept: str) -> None:
    """A premise of two sentences, as MNLI has them, is answered by two or by the first; the line's end ends both."""
    add_premises(store, ["The shop is closed. I see nobody."])
    parrot = Parrot({"": f"{TWO}\nText: More."})
    config = replace(GEN, omega=0.0, omega_contradiction=0.0, max_tokens=20)
    list(gen.run(store, config, asked, lambda: parrot, 1, "cpu"))
    found = store.rows("SELECT text, problem FROM drafts")
    assert found == [(kept, None)] * 2


def test_of_the_bundled_sets_flan_t5_alone_keeps_several_sentences() -> None:
    assert [name for name in prompts.names() if not prompts.load(name).one_sentence] == ["flan-t5"]


def test_how_many_sentences_are_kept_names_another_set() -> None:
    other = prompts.parse(TOML.replace("one_sentence = true", "one_sentence = false"), "short")
    assert other.digest != SET.digest


@pytest.mark.parametrize(
    ("line", "says", "remedy"),
    [
        ("one_sentense = false", "a part 'one_sentense'", "did you mean one_sentence"),
        ('mood = "sad"', "a part 'mood'", "leave it out; a set may have description"),
        ('one_sentence = "no"', "no usable 'one_sentence'", "bundled sets"),
    ],
)
def test_a_part_that_nothing_reads_is_refused(line: str, says: str, remedy: str) -> None:
    with pytest.raises(Problem, match=says) as found:
        prompts.parse(f"{line}\n{TOML.replace('one_sentence = true', '')}", "short")
    assert found.value.remedy.startswith(remedy)


@pytest.mark.parametrize("shots", [0, 1, 2])
def test_hypotheses_are_scored_behind_the_first_examples(store: Store, shots: int) -> None:
    """Asked for a number, or for a number and a reason by a question that has examples of its own, or by likelihood."""
    graded = "Why?\n\nu / v = 1\n\nx / y = 0\n\n{premise} / {hypothesis} ="
    asked = replace(SHOTS, similarity=graded)
    written = store.begin("gen", 1, GEN, None)
    add_drafts(store, written, zip(add_premises(store, ["A"]), [Made("A", "B", "C")], strict=True))
    written = store.run(written.id)
    question = "How?\n\n" + "".join(["u / v = 5\n\n", "x / y = 0\n\n"][:shots]) + "u = 3\n\nA / {} ="
    reason = "Why?\n\n" + "".join(["u / v = 1\n\n", "x / y = 0\n\n"][:shots]) + "A / {} ="
    given = "Again.\n\n" + "".join(["x one again: 1!\n\n", "x two again: 2!\n\n"][:shots]) + "x A again:"
    alone = "Say.\n\n" + "".join(["say: 1!\n\n", "say: 2!\n\n"][:shots]) + "say:"
    for config, expected in (
        (SCORE, {question.format("B"), question.format("C")}),
        (replace(SCORE, scale="0-1"), {reason.format("B"), reason.format("C")}),
        (replace(SCORE, by="likelihood"), {given, alone}),
    ):
        parrot = Parrot({"": "1"})
        list(score.run(store, replace(config, shots=shots), written, asked, lambda parrot=parrot: parrot, 1, "cpu"))
        assert set(parrot.asked) == expected


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    found = Store.promised(tmp_path / "s.db")
    yield found
    found.close()


def test_a_scoring_shows_all_examples_unless_told(opened: Store, tiny_llm: Path, tmp_path: Path) -> None:
    """Each number is a run of its own; more than there are, and any for a model that is no LLM, are refused."""
    asked = tmp_path / "shots.toml"
    asked.write_text(SHOTS.toml)
    told: dict[str, Any] = {"llm": str(tiny_llm), "prompts": str(asked), "dtype": "float32"}
    written = multicsr.gen.job(opened, _premises(tmp_path), max_tokens=2, **told).run().run
    jobs = [multicsr.score.job(opened, written, by="prompt", **told, shots=count) for count in (None, 2, 1, 0)]
    assert [job.config["shots"] for job in jobs] == [2, 2, 1, 0]
    assert len({job.id for job in jobs}) == 3
    for more, says in (
        ({"by": "prompt", "shots": 3}, "shots 3 is out of range"),
        ({"by": "prompt", "scale": "0-1", "shots": 1}, "shots 1 is out of range"),
        ({"by": "encoder:minilm", "shots": 1}, "shots has no use with by=encoder:minilm"),
    ):
        with pytest.raises(Problem, match=says):
            multicsr.score.job(opened, written, **{**told, **more} if "minilm" not in str(more) else more)


def _premises(folder: Path) -> str:
    path = folder / "premises.txt"
    path.write_text("The shop is closed.\nIt rains.\n")
    return str(path)
