"""The commands that show things, and those that point to what is stored: sweep, inspect, runs, models, --out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES, Piped
from rows import content
from shell import multicsr

from store.database import Store

STAGES = ("gen", "score", "curate", "train", "eval")
ALIASES = {
    "smollm2", "flan-t5-small", "flan-t5-base", "flan-t5-large", "flan-t5-xl", "flan-t5-xxl", "minilm", "minilm-l4",
    "bert-base", "roberta-base", "simcse-unsup-bert", "simcse-unsup-roberta", "simcse-sup-bert", "simcse-sup-roberta",
}  # fmt: skip


def test_a_sweep_prints_the_grid_and_makes_no_run(copied: Piped) -> None:
    opened = Store.open(copied.db)
    before = content(opened)
    said = multicsr("curate", "--sweep", "--db", copied.db, "--json").json
    assert content(opened) == before
    assert said["parent"] == copied.run("score")
    assert set(said["grid"][0]) == {"alpha", "beta", "gamma", "kept"}
    point = said["grid"][0]
    settings = [part for name in ("alpha", "beta", "gamma") for part in (f"--{name}", point[name])]
    assert multicsr("curate", *settings, "--db", copied.db, "--json").json["kept"] == point["kept"]


def test_inspect_pages_filters_and_searches(piped: Piped) -> None:
    def rows(*args: object) -> Any:
        return multicsr("inspect", *args, "--db", piped.db, "--json").json

    whole = rows()
    assert set(whole) == {"run", "funnel", "rows"}
    assert whole["run"] == piped.run("curate")
    assert [row["premise"] for row in whole["rows"]] == PREMISES
    keys = {"premise", "entailment", "contradiction", "a", "b", "verdict", "reason"}
    assert all(set(row) == keys for row in whole["rows"])
    assert rows("--limit", 3, "--offset", 2)["rows"] == whole["rows"][2:5]
    assert rows("--rejected")["rows"] == [row for row in whole["rows"] if row["verdict"] == "drop"]
    for reason in piped.said["curate"].json["reasons"]:
        assert rows("--reason", reason)["rows"] == [row for row in whole["rows"] if row["reason"] == reason]
    assert [row["premise"] for row in rows("--search", "RADIO")["rows"]] == [PREMISES[3]]
    assert rows("--search", "no such words")["rows"] == []
    assert rows(piped.run("gen"))["rows"][0]["verdict"] is None
    assert whole["funnel"]["kept"] == piped.said["curate"].json["kept"]


def test_runs_lists_every_run_with_its_state(copied: Piped) -> None:
    opened = Store.open(copied.db)
    with opened.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [copied.run("eval")])
    listed = multicsr("runs", "--db", copied.db, "--json").json["runs"]
    assert [row["run"] for row in listed] == [copied.run(stage) for stage in STAGES]
    assert [row["stage"] for row in listed] == list(STAGES)
    assert [row["state"] for row in listed] == ["complete"] * 4 + ["unfinished"]
    assert [row["parent"] for row in listed] == [None, *(copied.run(stage) for stage in STAGES[:-1])]


def test_the_command_that_runs_prints_makes_that_run(copied: Piped, tmp_path: Path, tiny_encoder: Path) -> None:
    """Each one, typed again in the same folder, is the same run; also where a value has many digits."""
    table = tmp_path / "t.tsv"
    table.write_text("words\tn\nA dog runs.\t1\nRain falls.\t2\n")
    gen, train = copied.commands["gen"], copied.commands["train"]
    for more in (
        (*gen, "--omega", 0.123456789, "--omega-contradiction", -0.5, "--nu", 0.25),
        (*gen, "--sample", "--temperature", 0.9, "--limit", 5),
        ("gen", "--premises", table, "--column", "words", *gen[3:]),
        ("score", copied.run("gen"), "--by", "prompt", "--dtype", "float32"),
        ("curate", copied.run("score"), "--alpha", 1.23456789, "--drop-copies", "--swap-reversed"),
        (*train, "--lr", 1.23456789e-5, "--max-length", 8),
        ("eval", tiny_encoder, "--pooler", "mean"),
        ("eval", tiny_encoder, "--pooler", "mean", "--whiten", table, "--whiten-column", "words", "--whiten-dim", 1),
        ("eval", tiny_encoder, "--pooler", "mean", "--whiten", "bundled", "--analysis"),
    ):
        assert multicsr(*more, "--db", copied.db).code == 0
    wrong = []
    for row in multicsr("runs", "--db", copied.db, "--json").json["runs"]:
        words = shlex.split(row["command"])
        assert words[0] == "multicsr"
        again = multicsr(*words[1:], "--db", copied.db, "--json")
        if again.code or again.json["run"] != row["run"]:
            wrong.append((row["command"], again.err))
    assert wrong == []


def test_models_lists_the_aliases() -> None:
    listed = multicsr("models", "--json").json["models"]
    assert {row["name"] for row in listed} >= ALIASES
    assert all(set(row) >= {"name", "kind", "installed"} for row in listed)
    assert all(isinstance(row["installed"], bool) for row in listed)


def test_models_lists_the_prompt_sets_and_their_languages() -> None:
    listed = {row["name"]: row for row in multicsr("models", "--json").json["prompts"]}
    assert {"smollm2", "general", "flan-t5", "swahili", "tagalog"} == set(listed)
    assert listed["swahili"]["language"] == "sw"
    assert listed["smollm2"]["language"] is None
    assert "swahili" in multicsr("models").out


def test_the_store_may_be_named_by_the_environment(
    piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTICSR_DB", str(piped.db))
    assert len(multicsr("runs", "--json").json["runs"]) == len(STAGES)
    assert list(tmp_path.iterdir()) == []


def test_out_holds_the_whole_model_and_both_libraries_load_it(copied: Piped, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    said = multicsr(*copied.commands["train"], "--out", out, "--db", copied.db, "--json").json
    assert said["run"] == copied.run("train")
    assert said["checkpoint"] == str(out)
    inside = copied.db.parent / "s.db.files" / "models" / said["run"]
    assert {path.name for path in out.iterdir()} == {path.name for path in inside.iterdir()}
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    assert SentenceTransformer(str(out), device="cpu").encode(PREMISES[:2]).shape == (2, 32)
    assert AutoModel.from_pretrained(out).config.hidden_size == 32
    assert multicsr("eval", out, "--db", copied.db, "--json").json["results"][0]["value"] == pytest.approx(
        copied.said["eval"].json["results"][0]["value"], abs=1e-9
    )


def test_a_gen_run_is_trained_on_uncurated(copied: Piped) -> None:
    gen = copied.run("gen")
    said = multicsr("train", gen, *copied.commands["train"][1:], "--epochs", 1, "--db", copied.db, "--json").json
    usable = Store.open(copied.db).one("SELECT count(*) FROM triplets WHERE run = ?", [gen])
    assert (said["parent"], said["triplets"]) == (gen, *usable)
