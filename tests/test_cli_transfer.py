"""`multicsr eval` on transfer tasks: figures, the probe as part of what is measured, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from shell import multicsr, refused
from test_tasks_transfer import write


def test_another_probe_is_another_run(tmp_path: Path, tiny_encoder: Path) -> None:
    """And `runs` prints the command of each."""
    db, data = tmp_path / "s.db", write(tmp_path / "data", "cr", size=14)
    asked = ("eval", tiny_encoder, "--pooler", "mean", "--tasks", "cr", "--data", data, "--db", db, "--json")
    adam, convex = (multicsr(*asked, *more).json for more in ((), ("--probe", "convex")))
    for told in (adam, convex):
        (row,) = told["results"]
        assert (row["task"], row["metric"], row["n"]) == ("cr", "accuracy", 29)
        assert 0 <= row["value"] <= 100
        assert told["average"] == {}
    assert adam["run"] != convex["run"]
    commands = {row["run"]: row["command"] for row in multicsr("runs", "--db", db, "--json").json["runs"]}
    assert "--probe" not in commands[adam["run"]]
    assert "--probe convex" in commands[convex["run"]]


def test_a_wrong_probe_or_split_is_refused(tmp_path: Path, tiny_encoder: Path) -> None:
    data = write(tmp_path / "data", "cr", size=14)
    asked = ("eval", tiny_encoder, "--pooler", "mean", "--tasks", "cr", "--data", data)
    assert "--probe 'svm'" in refused(tmp_path / "s.db", *asked, "--probe", "svm").err
    assert "cr has no dev split" in refused(tmp_path / "s.db", *asked, "--split", "dev").err
