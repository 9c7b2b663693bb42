"""Wrong prompt sets, runs, tasks, folders and usage: exit 1 with two lines (usage: exit 2), and the store as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from asked import TOML
from conftest import Piped
from shell import Ended, assert_problem, multicsr, refused

COMMANDS = ("gen", "score", "curate", "train", "eval", "inspect", "runs")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("description = ", "is not TOML"),
        ("", "no usable 'description'"),
        (TOML.replace("[question]", "[ask]"), "a part 'ask', which nothing reads"),
        (TOML.replace('[question]\ntemplate = "{premise} / {hypothesis} ="', ""), "question.template"),
        (TOML.replace('"{instruction}: {premise} ="', '"{premise}"', 1), "{instruction} 0 times"),
        (TOML.replace("{premise} /", "{premise} {premise} /"), "{premise} 2 times"),
        (
            TOML.replace('["Follows", "Says the same", "In other words", "Is true too"]', "[]"),
            "entailment.instructions",
        ),
        (TOML.replace("one_sentence = true", 'one_sentence = "yes"'), "one_sentence"),
        (TOML.replace('stop = ["e", "o"]', "stop = 3"), "stop"),
        (TOML.replace('stop = ["e", "o"]', 'stop = "eo"'), "stop"),
    ],
    ids=[
        "broken",
        "empty",
        "unknown table",
        "no table",
        "no hole",
        "two holes",
        "no instruction",
        "kind",
        "stop number",
        "stop text",
    ],
)
def test_a_broken_prompt_set(
    wrong: Callable[..., Ended], tmp_path: Path, tiny_llm: Path, premises_file: Path, content: str, says: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    wrong("gen", "--premises", premises_file, "--llm", tiny_llm, "--prompts", path, says=says)


def test_a_prompt_set_that_is_not_there_or_not_text(
    wrong: Callable[..., Ended], refuse: Callable[..., Ended], tmp_path: Path, tiny_llm: Path, premises_file: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"description = '\xff'")
    gen = ("gen", "--premises", premises_file, "--llm", tiny_llm, "--prompts")
    ended = wrong(*gen, "nope", says="no prompt set 'nope'")
    assert "general" in ended.err
    wrong(*gen, path, says="is not UTF-8")
    wrong(*gen, tmp_path, says="no prompt set")
    refuse("score", "--prompts", "nope", says="no prompt set 'nope'")


@pytest.mark.parametrize("command", ["score", "curate", "train", "inspect"])
def test_a_run_that_is_not_there_or_of_another_stage(
    refuse: Callable[..., Ended], wrong: Callable[..., Ended], piped: Piped, command: str
) -> None:
    other = {"score": "curate", "curate": "gen", "train": "score", "inspect": "train"}[command]
    refuse(command, "zzz", says="no run begins with 'zzz'")
    refuse(command, "", says="no run begins with ''")
    refuse(command, piped.run(other), says=f"is a {other} run")
    wrong(command, "fffffffffff0", says="")


def test_an_ambiguous_prefix_names_the_runs(copied: Piped) -> None:
    from store.database import Store

    id = copied.run("gen")
    opened = Store.open(copied.db)
    with opened.writing() as connection:
        for twin in (f"{id[:5]}aaaaaaa", f"{id[:5]}bbbbbbb"):
            connection.execute("INSERT INTO runs SELECT ?, stage, version, parent, config, environment, counts, "
                               "started, finished FROM runs WHERE id = ?", [twin, id])  # fmt: skip
    opened.close()
    for command in ("score", "inspect"):
        ended = refused(copied.db, command, id[:5])
        assert "ambiguous" in ended.err
        assert f"{id[:5]}bbbbbbb" in ended.err


def test_a_stage_before_the_one_it_needs(piped: Piped, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    for command in COMMANDS[1:4]:
        assert "there is no store" in refused(db, command).err
    for command in ("inspect", "runs"):
        assert "there is no store" in refused(db, command).err
    assert multicsr(*piped.commands["gen"], "--db", db).code == 0
    assert "no finished score run" in refused(db, "curate").err
    assert "no finished curate run" in refused(db, "train").err
    assert "no finished train run" in refused(db, "eval", "latest").err
    assert "no decisions yet" in refused(db, "inspect", "--rejected").err


def test_a_training_without_a_triplet(copied: Piped) -> None:
    curated = multicsr("curate", copied.run("score"), "--alpha", 5, "--db", copied.db, "--json")
    assert curated.json["kept"] == 0
    ended = refused(copied.db, "train", curated.json["run"], *copied.commands["train"][1:])
    assert "keeps no triplet" in ended.err
    assert "--alpha" in ended.err


def test_a_reason_for_which_nothing_was_dropped(refuse: Callable[..., Ended]) -> None:
    ended = refuse("inspect", "--reason", "ugly", says="'ugly'")
    assert "empty" in ended.err


def test_tasks_and_data_that_are_not_there(
    refuse: Callable[..., Ended], wrong: Callable[..., Ended], tmp_path: Path, tiny_encoder: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    model = ("eval", tiny_encoder, "--pooler", "mean")
    wrong(*model, "--tasks", "nope", says="unknown task 'nope'")
    wrong(*model, "--tasks", "", says="unknown task")
    wrong(*model, "--tasks", "STSB", says="unknown task 'STSB'")
    wrong(*model, "--tasks", "mini,", says="unknown task")
    wrong(*model, "--tasks", "stsb", says="--data")
    wrong(*model, "--tasks", "stsb", "--data", empty, says="sts-test.csv")
    wrong(*model, "--data", empty, says="no ")
    wrong(*model, "--tasks", "sts12", "--data", empty, says="STS12")
    wrong(*model, "--tasks", "stsb", "--data", tmp_path / "nowhere", says="does not exist")
    base = ("train", "--base", tiny_encoder, "--pooler", "mean", "--mask-model", "none")
    refuse(*base, "--dev", "stsb", "--data", empty, says="sts-dev.csv")
    refuse(*base, "--dev", "stsb", says="--data")
    refuse(*base, "--dev", "sts12", "--data", empty, says="no dev split")
    refuse(*base, "--dev", "nope", says="--dev 'nope'")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"one\ttwo\n", "2 fields, not 3"),
        (b"one\ttwo\tthree\n", "'three' is not a number"),
        (b"one\ttwo\tnan\n", "'nan' is not a number"),
        (b"one\ttwo\tinf\n" * 4, "'inf' is not a number"),
        (b"caf\xe9\ttwo\t1\n", "is not UTF-8"),
        (b"", "dev.tsv"),
        (b"one\ttwo\t1\nthree\tfour\t2\n", "dev.tsv"),
        (b"one\ttwo\t1\nthree\tfour\t1\nfive\tsix\t1\nseven\teight\t1\n", "dev.tsv"),
    ],
    ids=["fields", "word", "nan", "inf", "latin1", "empty", "two pairs", "constant"],
)
def test_a_dev_file_that_cannot_be_judged(
    refuse: Callable[..., Ended], tmp_path: Path, tiny_encoder: Path, content: bytes, says: str
) -> None:
    dev = tmp_path / "dev.tsv"
    dev.write_bytes(content)
    refuse("train", "--base", tiny_encoder, "--pooler", "mean", "--mask-model", "none", "--dev", dev, says=says)


def test_a_length_beyond_what_the_base_takes_is_cut_or_refused(
    copied: Piped, tmp_path: Path, tiny_encoder: Path
) -> None:
    """A tiny base has 64 positions; a premise of 1,800 characters has more tokens."""
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{n} {'very long ' * 180}\n" for n in range(4)))
    gen = multicsr("gen", "--premises", path, *copied.commands["gen"][3:], "--db", copied.db, "--json").json["run"]
    base = ("--base", tiny_encoder, "--pooler", "mean", "--mask-model", "none")
    ended = multicsr("train", gen, *base, "--max-length", 512, "--db", copied.db)
    if ended.code:
        assert_problem(ended)
        assert "--max-length" in ended.err


def test_an_out_folder_that_holds_something(refuse: Callable[..., Ended], piped: Piped, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    refuse(*piped.commands["train"], "--out", full, says="--out")
    refuse(*piped.commands["train"], "--out", full / "mine.txt", says="--out")
    assert (full / "mine.txt").read_text() == "mine"
    assert json.loads(multicsr("runs", "--db", piped.db, "--json").out)["runs"]


@pytest.mark.parametrize(
    "args",
    [
        ("nope",),
        ("gen", "--nope"),
        ("gen", "--limit", "abc"),
        ("gen", "--omega"),
        ("gen", "--json=yes"),
        ("train", "--seed", "1.5"),
        ("score", "one", "two"),
        ("eval",),
        ("inspect", "--limit", "0"),
        ("inspect", "--limit", str(2**64)),
        ("inspect", "--offset", str(2**64)),
        ("inspect", "--offset", "-1"),
        ("--nope",),
    ],
)
def test_wrong_usage_exits_2(
    piped: Piped, args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTICSR_DB", str(piped.db))
    ended = multicsr(*args)
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []
