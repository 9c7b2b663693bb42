"""`multicsr eval --tasks retrieval|bitext`: tasks that are called what their files are called, from files to rows."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PREMISES
from shell import Ended, assert_problem, multicsr, refused
from test_tasks_retrieval import write

from stages.models import catalog, loading
from stages.tasks import bitext, retrieval

COUNT = 8


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A BEIR folder of premises, and a pair of aligned files."""
    folder = tmp_path / "data"
    corpus = [(f"d{place}", "", text) for place, text in enumerate(PREMISES[:COUNT])]
    queries = {f"q{place}": " ".join(text.split()[:3]) for place, text in enumerate(PREMISES[:COUNT])}
    judged = {f"q{place}": {f"d{place}": 1, f"d{(place + 1) % COUNT}": 2} for place in range(COUNT)}
    judged["q0"]["gone"] = 1
    write(folder / "Toy", corpus, queries, judged)
    (folder / "own.aa-bb.aa").write_text("".join(f"{text}\n" for text in queries.values()))
    (folder / "own.aa-bb.bb").write_text("".join(f"{text}\n" for *_, text in corpus))
    return folder


@pytest.fixture
def evaluate(tiny_encoder: Path, tmp_path: Path, data: Path) -> Any:
    def call(*args: object) -> Ended:
        return multicsr(
            "eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--data", data, *args, "--json"
        )

    return call


def test_figures_of_named_tasks_are_those_of_the_model(evaluate: Any, tiny_encoder: Path, data: Path) -> None:
    """Found by the folder alone as by name; a relevant document that is not there is said once, on stderr."""
    import torch

    torch.set_num_threads(1)
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")

    def encode(texts: Any) -> np.ndarray:
        return encoder.encode(texts, 64)

    wanted = {
        (task.name, figure.subset, figure.name): (pytest.approx(figure.value), figure.n, pytest.approx(figure.error))
        for task in (retrieval.load("toy", data), bitext.load("own.aa-bb", data))
        for figure in task.evaluate(encode)
    }
    assert len(wanted) == 6
    ended = evaluate()
    rows = ended.json["results"]
    assert {(r["task"], r.get("subset", ""), r["metric"]): (r["value"], r["n"], r["error"]) for r in rows} == wanted
    assert "found under" in ended.err
    assert ended.err.count("toy: the corpus lacks 1 of the relevant documents") == 1
    assert ended.json["average"] == {}
    named = evaluate("--tasks", "retrieval,own.aa-bb")
    assert named.json == ended.json
    assert "complete" in named.err


def test_another_corpus_is_another_evaluation(evaluate: Any, data: Path) -> None:
    first = evaluate("--tasks", "toy").json["run"]
    with (data / "Toy" / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "new", "title": "", "text": "One more."}) + "\n")
    assert evaluate("--tasks", "toy").json["run"] != first


def test_named_tasks_that_are_not_there_are_refused(tiny_encoder: Path, tmp_path: Path, data: Path) -> None:
    model = ("eval", tiny_encoder, "--pooler", "mean")
    for args, says in [
        (("--tasks", "retrieval"), "need data"),
        (("--tasks", "toy"), "unknown task 'toy'"),
        (("--tasks", "toy", "--split", "dev", "--data", data), "dev.tsv"),
        (("--tasks", "bitext", "--data", data / "Toy"), "no task of bitext"),
    ]:
        assert says in refused(tmp_path / "t.db", *model, *args).err


def test_two_files_of_translations_are_a_task_that_runs_can_make_again(
    evaluate: Any, data: Path, tmp_path: Path
) -> None:
    """The same figures under names that say nothing, and `multicsr runs` prints a command that is the same run."""
    one, two = tmp_path / "here.txt", tmp_path / "there.txt"
    one.write_bytes((data / "own.aa-bb.aa").read_bytes())
    two.write_bytes((data / "own.aa-bb.bb").read_bytes())
    named = evaluate("--tasks", "own.aa-bb").json["results"]
    given = evaluate("--bitext", one, two, "--tasks", "mini").json
    mine = [row for row in given["results"] if row["task"] == "here.txt+there.txt"]
    assert [(row["value"], row["n"]) for row in mine] == [(row["value"], row["n"]) for row in named]
    assert [row.get("subset") for row in mine] == [None, "here.txt-there.txt", "there.txt-here.txt"]
    listed = multicsr("runs", "--db", tmp_path / "s.db", "--json").json["runs"]
    (command,) = [row["command"] for row in listed if row["run"] == given["run"]]
    assert f"--bitext {one} {two}" in command
    again = multicsr(*shlex.split(command)[1:], "--db", tmp_path / "s.db", "--json")
    assert again.json["run"] == given["run"]


def test_translations_that_do_not_match_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("A dog.\nA cat.\n")
    two.write_text("Mbwa.\n")
    ended = multicsr("eval", "minilm", "--bitext", one, two, "--db", tmp_path / "s.db")
    assert_problem(ended)
    assert f"{one} has 2 lines and {two} 1" in ended.err
    assert not (tmp_path / "s.db").exists()
