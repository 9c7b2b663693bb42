"""Evaluations as jobs: which run it would be is known before anything is written, and a notebook makes the shell's runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES, Piped
from rows import dump
from shell import multicsr

from multicsr import compare, evaluate, judge
from multicsr.job import Job, Means
from store.database import Store
from store.problem import Problem

HERE = Means("cpu", 4)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Nine pairs of one's own, with gold scores."""
    draw = random.Random(2)
    path = tmp_path / "pairs.tsv"
    rows = ((*draw.sample(PREMISES, 2), f"{draw.uniform(0, 5):.2f}") for _ in range(9))
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def encoders(tiny_encoder: Path, pairs: Path) -> tuple[Callable[[Store], Job], tuple[object, ...]]:
    def job(store: Store) -> Job:
        return evaluate.job(store, str(tiny_encoder), evaluate.tasks("mini", file=pairs), means=HERE, pooler="mean")

    return job, ("eval", tiny_encoder, "--tasks", "mini", "--task", pairs, "--pooler", "mean", "--batch", 3)


@pytest.fixture
def scorer(tiny_llm: Path, prompts_file: Path, pairs: Path) -> tuple[Callable[[Store], Job], tuple[object, ...]]:
    told: dict[str, Any] = {"by": "likelihood", "prompts": str(prompts_file), "dtype": "float32"}

    def job(store: Store) -> Job:
        return judge.job(store, str(tiny_llm), evaluate.tasks(file=pairs), means=HERE, **told)

    return job, ("eval", "--scorer", tiny_llm, "--task", pairs, *(f"--{name}={told[name]}" for name in told))


@pytest.mark.parametrize("kind", ["encoders", "scorer"])
def test_the_id_is_known_before_anything_is_written(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """And it is the run's afterwards, from Python as by the command, which has nothing left to do."""
    wanted, command = request.getfixturevalue(kind)
    db = tmp_path / "s.db"
    job = wanted(Store.open(db))
    empty, known = dump(db), job.id
    assert job.made() is None
    assert dump(db) == empty
    made = job.run()
    assert (made.run.id, job.id, wanted(Store.memory()).id) == (known, known, known)
    assert made.run.finished
    assert job.made() == made.run
    whole = dump(db)
    again = multicsr(*command, "--db", db, "--json")
    assert again.json["run"] == known
    assert "complete already" in again.err
    assert dump(db) == whole
    (listed,) = multicsr("runs", "--db", db, "--json").json["runs"]
    assert str(tmp_path / "pairs.tsv") in listed["command"]


@pytest.mark.parametrize("ticks", [1, 2, 4])
@pytest.mark.parametrize("kind", ["encoders", "scorer"])
def test_a_job_that_python_left_is_ended_by_the_command(
    kind: str, ticks: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    wanted, command = request.getfixturevalue(kind)
    job = wanted(Store.open(tmp_path / "s.db"))
    going = job.start()
    for _ in range(ticks):
        next(going)
    going.close()
    assert job.made() is None
    said = multicsr(*command, "--db", tmp_path / "s.db", "--json").json
    assert said["run"] == job.id
    whole = multicsr(*command, "--db", tmp_path / "whole.db", "--json").json
    assert said == whole


def test_a_train_run_is_a_model_by_itself_or_by_its_name(copied: Piped) -> None:
    store = Store.open(copied.db)
    train, mini = store.run(copied.run("train")), evaluate.tasks()
    assert evaluate.job(store, train, mini).id == copied.run("eval")
    assert evaluate.job(store, train.id[:8], mini).id == copied.run("eval")
    assert evaluate.job(store, "latest", mini).made() == store.run(copied.run("eval"))
    with pytest.raises(Problem, match="is a gen run"):
        evaluate.job(store, store.run(copied.run("gen")), mini)


def test_comparing_in_python_gives_what_the_command_says(
    tiny_encoder: Path, copied: Piped, pairs: Path, tmp_path: Path
) -> None:
    """The two models' figures beside the difference; and the runs are the command's."""
    db = tmp_path / "copied" / "s.db"
    asked = ("--against", tiny_encoder, "--tasks", "mini", "--task", pairs, "--pooler", "mean", "--db", db, "--json")
    said = multicsr("eval", "latest", *asked).json
    chosen, ticks = evaluate.tasks(["mini"], file=pairs), []
    rows = compare.compare(
        Store.open(db), "latest", str(tiny_encoder), chosen, progress=lambda tick, _: ticks.append(tick), pooler="mean"
    )
    assert {tick.note for tick in ticks} == {"complete"}
    told = [{name: value for name, value in row._asdict().items() if name not in ("first", "second")} for row in rows]
    assert told == said["comparison"]
    heads = {row["task"]: row["value"] for row in said["results"]}
    assert {row.task: row.first for row in rows} == heads
    assert all(row.first - row.second == pytest.approx(row.difference) for row in rows)


def test_tasks_come_with_their_news_and_places(pairs: Path, tmp_path: Path) -> None:
    for language in ("aa", "bb"):
        (tmp_path / f"any.aa-bb.{language}").write_text("".join(f"{text}\n" for text in PREMISES))
    there = evaluate.tasks(data=tmp_path)
    assert [task.name for task in there] == ["any.aa-bb"]
    assert there.news[0].startswith(f"found under {tmp_path}: any.aa-bb; not there: sts12")
    assert there.places == {"data": str(tmp_path), "probe": "adam"}
    both = (tmp_path / "any.aa-bb.aa", tmp_path / "any.aa-bb.bb")
    mine = evaluate.tasks(file=str(pairs), translations=both)
    assert [task.name for task in mine] == ["pairs.tsv", "any.aa-bb"]
    assert (mine.news, mine.places["task"], mine.places["bitext_second"]) == ((), str(pairs), str(both[1]))
    assert [task.name for task in evaluate.tasks()] == ["mini"]
    assert judge.tasks_of_pairs(mine, named=False) == ([mine[0]], ["any.aa-bb"])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(Problem, match="no task lies under"):
        evaluate.tasks(data=empty)


@pytest.mark.parametrize(
    ("told", "setting"),
    [
        ({"whiten_dim": 3}, "whiten_dim"),
        ({"whiten": "none.txt"}, "whiten"),
        ({"whiten_column": "text"}, "whiten_column"),
        ({"whiten": "bundled", "whiten_column": "text"}, "whiten_column"),
        ({"split": "train"}, "split"),
        ({"pooler": "max"}, "pooler"),
        ({"by": "prompt"}, None),
    ],
)
def test_a_problem_names_the_setting_and_no_flag(tiny_encoder: Path, told: dict[str, Any], setting: str | None) -> None:
    with pytest.raises(Problem) as refused:
        evaluate.job(Store.memory(), str(tiny_encoder), evaluate.tasks(), **{"pooler": "mean", **told})
    assert refused.value.setting == setting
    assert setting is None or refused.value.what.startswith(setting)
    assert "--" not in str(refused.value)


def test_an_analysis_needs_pairs(tmp_path: Path, tiny_encoder: Path) -> None:
    for language in ("aa", "bb"):
        (tmp_path / f"any.aa-bb.{language}").write_text("".join(f"{text}\n" for text in PREMISES))
    others = evaluate.tasks("bitext", data=tmp_path)
    with pytest.raises(Problem, match="analysis needs sentence pairs"):
        evaluate.job(Store.memory(), str(tiny_encoder), others, pooler="mean", analysis=True)
    assert evaluate.without_pairs("plot", [*others, *evaluate.tasks()]) == ["any.aa-bb"]


def test_what_an_llm_cannot_score_of_a_folder_is_said(
    tiny_llm: Path, prompts_file: Path, pairs: Path, tmp_path: Path
) -> None:
    for language in ("aa", "bb"):
        (tmp_path / f"any.aa-bb.{language}").write_text("".join(f"{text}\n" for text in PREMISES))
    asked = ("--data", tmp_path, "--task", pairs, "--by", "likelihood", "--prompts", prompts_file)
    ended = multicsr("eval", "--scorer", tiny_llm, *asked, "--db", tmp_path / "s.db", "--json")
    assert {row["task"] for row in ended.json["results"]} == {"pairs.tsv"}
    assert "no scored sentence pairs, left out: any.aa-bb" in ended.err
