"""`multicsr eval --scorer`: the LLM itself as scorer, from the command line."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from asked import TOML
from conftest import PREMISES
from rows import dump
from shell import Ended, assert_problem, multicsr

from multicsr import judge
from stages.tasks import sts
from stages.tasks.task import Encode, Figure
from store.database import Store
from store.problem import Problem


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """STS-B's dev and test and STS16, eight pairs a file."""
    root, draw = tmp_path_factory.mktemp("layout"), random.Random(1)

    def pairs() -> list[tuple[str, str, str]]:
        return [(*draw.sample(PREMISES, 2), f"{draw.uniform(0, 5):.2f}") for _ in range(8)]

    for folder in ("STSBenchmark", "STS16-en-test"):
        (root / "STS" / folder).mkdir(parents=True)
    for split in ("dev", "test"):
        lines = [f"main\tcaptions\t2012\t{n}\t{gold}\t{one}\t{two}\n" for n, (one, two, gold) in enumerate(pairs())]
        (root / "STS" / "STSBenchmark" / f"sts-{split}.csv").write_text("".join(lines))
    for subset in sts.YEARS["sts16"]:
        rows = pairs()
        place = root / "STS" / "STS16-en-test"
        (place / f"STS.input.{subset}.txt").write_text("".join(f"{one}\t{two}\n" for one, two, _ in rows))
        (place / f"STS.gs.{subset}.txt").write_text("".join(f"{gold}\n" for *_, gold in rows))
    return root


@pytest.fixture(scope="module")
def shots_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "shots.toml"
    given = r'"x A dog runs. again: A dog moves.\n\nx Rain falls. again: It rains.\n\nx {premise} again:"'
    path.write_text(TOML.replace('"{premise} again:"', given))
    return path


@pytest.fixture
def scorer(tiny_llm: Path, prompts_file: Path, tmp_path: Path) -> tuple[object, ...]:
    """The command up to its own options."""
    where = ("--db", tmp_path / "s.db", "--json", "--dtype", "float32")
    return ("eval", "--scorer", tiny_llm, "--prompts", prompts_file, *where)


def test_an_llm_scores_sentence_pairs(scorer: tuple[object, ...], layout: Path, tmp_path: Path, tiny_llm: Path) -> None:
    command = (*scorer, "--by", "likelihood", "--tasks", "stsb,sts16", "--data", layout)
    said = multicsr(*command).json
    assert said["model"] == str(tiny_llm)
    heads = {(row["task"], row["metric"]): row for row in said["results"] if not row.get("subset")}
    assert {key: row["n"] for key, row in heads.items()} == {
        ("stsb", "spearman"): 8,
        ("stsb", "unparsable"): 8,
        ("sts16", "spearman"): 40,
        ("sts16", "spearman_mean"): 40,
        ("sts16", "spearman_wmean"): 40,
        ("sts16", "unparsable"): 40,
    }
    assert {row["subset"] for row in said["results"] if row.get("subset")} == set(sts.YEARS["sts16"])
    assert all(row["error"] > 0 for row in said["results"] if row["metric"] == "spearman")
    assert Store.open(tmp_path / "s.db").one("SELECT count(*), count(value) FROM judgements") == (48, 48)
    again = multicsr(*command, "--batch", 3)
    assert again.json == said
    assert "complete already" in again.err


def test_dev_and_test_are_different_pairs(scorer: tuple[object, ...], layout: Path) -> None:
    stsb = (*scorer, "--by", "likelihood", "--tasks", "stsb", "--data", layout)
    test, dev = multicsr(*stsb).json, multicsr(*stsb, "--split", "dev").json
    assert test["run"] != dev["run"]
    assert test["results"][0]["value"] != dev["results"][0]["value"]


def test_replies_without_a_number_are_told(scorer: tuple[object, ...], layout: Path) -> None:
    """What a random model writes holds hardly a number."""
    ended = multicsr(*scorer, "--by", "prompt", "--tasks", "stsb", "--data", layout)
    (share,) = [row for row in ended.json["results"] if row["metric"] == "unparsable"]
    assert (share["task"], share["n"], share["error"]) == ("stsb", 8, None)
    count = round(share["value"] * 8 / 100)
    assert count > 0
    assert f"stsb: {count} of 8 replies hold no number from 0 to 5" in ended.err


def test_shots_are_counted_from_the_first(
    scorer: tuple[object, ...], shots_file: Path, layout: Path, refuse_here: Callable[..., Ended]
) -> None:
    asked = (*scorer, "--prompts", shots_file, "--by", "likelihood", "--tasks", "stsb", "--data", layout)
    every, two, none = (multicsr(*asked, *more).json for more in ((), ("--shots", 2), ("--shots", 0)))
    assert every == two
    assert none["run"] != two["run"]
    assert none["results"] != two["results"]
    for count in (3, -1):
        refuse_here(*asked, "--shots", count, says=f"--shots {count} is out of range")


@pytest.fixture
def refuse_here(tmp_path: Path) -> Callable[..., Ended]:
    """One line what, one line what to do, and the store, or that there is none, as it was."""

    def refuse(*args: object, says: str) -> Ended:
        before = dump(tmp_path / "s.db")
        ended = multicsr(*args)
        assert_problem(ended)
        assert says in ended.err
        assert dump(tmp_path / "s.db") == before
        return ended

    return refuse


def test_wrong_inputs_are_refused(
    scorer: tuple[object, ...], refuse_here: Callable[..., Ended], tiny_encoder: Path, tiny_llm: Path, tmp_path: Path
) -> None:
    refuse_here(*scorer, tiny_encoder, says=f"MODEL {tiny_encoder} does not go with --scorer")
    refuse_here(*scorer, "--pooler", "mean", says="--pooler mean does not go with --scorer")
    refuse_here(*scorer, "--runs", "a,b", says="--runs a,b does not go with --scorer")
    refuse_here(*scorer, "--histogram", says="--histogram does not go with --scorer")
    refuse_here(*scorer, "--by", "feeling", says="--by 'feeling' is not known")
    refuse_here(*scorer, "--by", "prompt", "--directions", "both", says="--by likelihood")
    refuse_here(*scorer, "--by", "likelihood", "--expected", says="--by prompt")
    refuse_here(*scorer, "--shots", 1, says="has 0 to score by prompt")
    refuse_here(*scorer, "--tasks", "nope", says="unknown task 'nope'")
    for language in ("aa", "bb"):
        (tmp_path / f"any.aa-bb.{language}").write_text("".join(f"{one}\n" for one in PREMISES))
    refuse_here(*scorer, "--tasks", "mini,bitext", "--data", tmp_path, says="it has no scored sentence pairs")
    refuse_here("eval", "--scorer", tmp_path / "nowhere", "--db", tmp_path / "s.db", says="nowhere")
    refuse_here("eval", "--scorer", tiny_encoder, "--db", tmp_path / "s.db", says=str(tiny_encoder))
    encoder = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db")
    options = ("--by", "prompt"), ("--shots", 0), ("--directions", "one"), ("--expected",), ("--prompts", "x")
    for more in (*options, ("--dtype", "float32")):
        refuse_here(*encoder, *more, says=f"{more[0]} goes with --scorer")
    assert not (tmp_path / "s.db").exists()
    ended = multicsr("eval", "--db", tmp_path / "s.db")
    assert (ended.code, ended.out) == (2, "")
    assert "--scorer" in ended.err


class Labelled:
    """A task without pairs, as a transfer task is."""

    name = "labels"
    digest = "0" * 12

    def evaluate(self, encode: Encode) -> list[Figure]:
        raise AssertionError("an LLM cannot be asked for vectors")


def test_a_task_without_pairs_is_refused_by_name_and_left_out_of_what_a_folder_holds() -> None:
    pairs = sts.mini("test")
    assert judge.tasks_of_pairs([Labelled(), pairs], named=False) == ([pairs], ["labels"])
    for tasks, named in (([pairs, Labelled()], True), ([Labelled()], False)):
        with pytest.raises(Problem, match="cannot score labels"):
            judge.tasks_of_pairs(tasks, named)


def test_the_command_that_runs_prints_makes_that_run(
    scorer: tuple[object, ...], shots_file: Path, tiny_llm: Path, layout: Path, tmp_path: Path
) -> None:
    stsb = ("--tasks", "stsb", "--data", layout)
    made = [
        multicsr(*scorer, *more).json["run"]
        for more in (
            ("--expected",),
            ("--by", "likelihood", "--directions", "one", *stsb, "--split", "dev"),
            ("--by", "likelihood", "--prompts", shots_file, "--shots", 0, *stsb),
            ("--by", "likelihood", "--prompts", shots_file, "--shots", 1, "--tasks", "mini,sts16", "--data", layout),
        )
    ]
    listed = multicsr("runs", "--db", tmp_path / "s.db", "--json").json["runs"]
    assert [row["run"] for row in listed] == made
    for row in listed:
        words = shlex.split(row["command"])
        again = multicsr(*words[1:], "--db", tmp_path / "s.db", "--json")
        assert (again.json["run"], "complete already" in again.err) == (row["run"], True), row["command"]
