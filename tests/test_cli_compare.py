"""`multicsr eval` on pairs of one's own, one model against another, several at once; and the leaderboard."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from conftest import PREMISES
from shell import Ended, assert_problem, multicsr

GOLD = [0.5, 1.0, 4.0, 3.5, 2.0, 5.0, 0.0, 1.5]


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """The same architecture with other weights."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "other"
    model = AutoModel.from_pretrained(tiny_encoder)
    torch.manual_seed(3)
    for weight in model.parameters():
        weight.data += 0.3 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    rows = zip(PREMISES, PREMISES[1:], GOLD, strict=False)
    path.write_text("sentence1,sentence2,score\n" + "".join(f'"{one}","{two}",{gold}\n' for one, two, gold in rows))
    return path


@pytest.fixture
def evaluated(tmp_path: Path, pairs: Path) -> Callable[..., Ended]:
    """`multicsr eval` with mean pooling on `pairs`, in a store of this test."""

    def run(*args: object) -> Ended:
        return multicsr("eval", *args, "--task", pairs, "--pooler", "mean", "--db", tmp_path / "s.db")

    return run


def test_ones_own_pairs_are_a_task_under_the_name_of_their_file(
    evaluated: Callable[..., Ended], tiny_encoder: Path, pairs: Path, tmp_path: Path
) -> None:
    """Alone, or beside others; and the command that `runs` shows makes the same run."""
    alone = evaluated(tiny_encoder, "--json").json
    assert [(row["task"], row["metric"], row["n"]) for row in alone["results"]] == [("pairs.csv", "spearman", 8)]
    beside = evaluated(tiny_encoder, "--tasks", "mini", "--json").json
    assert [row["task"] for row in beside["results"]] == ["mini", "pairs.csv"]
    assert beside["results"][1] == alone["results"][0]
    for row in multicsr("runs", "--db", tmp_path / "s.db", "--json").json["runs"]:
        again = multicsr(*shlex.split(row["command"])[1:], "--db", tmp_path / "s.db", "--json").json
        assert again["run"] == row["run"]


def test_a_damaged_file_of_ones_own_is_refused(
    evaluated: Callable[..., Ended], tiny_encoder: Path, pairs: Path
) -> None:
    pairs.write_text(pairs.read_text() + "one,two\n")
    ended = evaluated(tiny_encoder)
    assert_problem(ended)
    assert "pairs.csv, line 10: 2 fields, not 3" in ended.err
    called = pairs.rename(pairs.with_name("stsb"))
    ended = multicsr("eval", tiny_encoder, "--pooler", "mean", "--task", called, "--db", pairs.with_name("s.db"))
    assert_problem(ended)


def test_the_dev_split_has_figures_of_its_own(tiny_encoder: Path, tmp_path: Path) -> None:
    model = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--json")
    test, dev = (multicsr(*model, "--split", split).json for split in ("test", "dev"))
    assert multicsr(*model).json["run"] == test["run"] != dev["run"]
    assert test["results"][0]["value"] != dev["results"][0]["value"]
    for wrong in (("--split", "train"), ("--split", "dev", "--tasks", "sts12", "--data", tmp_path)):
        assert_problem(multicsr(*model[:-1], *wrong))


def test_one_model_against_another(evaluated: Callable[..., Ended], tiny_encoder: Path, other_encoder: Path) -> None:
    """The figures of both and their difference, which changes its sign the other way round."""
    said = evaluated(tiny_encoder, "--against", other_encoder, "--json").json
    values = [evaluated(model, "--json").json["results"][0]["value"] for model in (tiny_encoder, other_encoder)]
    assert said["model"] == str(tiny_encoder)
    assert said["against"] == str(other_encoder)
    assert said["results"][0]["value"] == values[0]
    (row,) = said["comparison"]
    assert set(row) == {"task", "metric", "difference", "low", "high", "p", "n", "resamples"}
    assert (row["task"], row["metric"], row["n"]) == ("pairs.csv", "spearman", 8)
    assert row["difference"] == pytest.approx(values[0] - values[1])
    assert row["low"] <= row["difference"] <= row["high"]
    assert 0 < row["p"] <= 1
    assert 9_900 < row["resamples"] <= 10_000
    back = evaluated(other_encoder, "--against", tiny_encoder, "--json").json["comparison"][0]
    assert back["difference"] == pytest.approx(-row["difference"])
    assert (back["p"], back["resamples"]) == (row["p"], row["resamples"])


def test_a_model_against_itself_differs_by_nothing(evaluated: Callable[..., Ended], tiny_encoder: Path) -> None:
    (row,) = evaluated(tiny_encoder, "--against", tiny_encoder, "--json").json["comparison"]
    assert (row["difference"], row["low"], row["high"], row["p"]) == (0.0, 0.0, 0.0, 1.0)


def test_several_models_have_a_mean_and_a_deviation(
    evaluated: Callable[..., Ended], tiny_encoder: Path, other_encoder: Path
) -> None:
    said = evaluated("--runs", f"{tiny_encoder}, {other_encoder}", "--json").json
    values = [evaluated(model, "--json").json["results"][0]["value"] for model in (tiny_encoder, other_encoder)]
    assert set(said) >= {"model", "results", "average", "seeds"}
    assert said["seeds"] == [
        {
            "task": "pairs.csv",
            "metric": "spearman",
            "mean": pytest.approx(mean(values)),
            "sd": pytest.approx(stdev(values)),
            "n_models": 2,
            "values": values,
        }
    ]
    assert [(row["model"], row["value"]) for row in said["results"]] == [
        (str(tiny_encoder), values[0]),
        (str(other_encoder), values[1]),
    ]


def test_models_that_are_named_wrongly(evaluated: Callable[..., Ended], tiny_encoder: Path) -> None:
    for wrong, says in [
        ((tiny_encoder, "--runs", f"{tiny_encoder},minilm"), "--runs"),
        (("--runs", f"{tiny_encoder},minilm", "--against", "minilm"), "--runs"),
        (("--runs", tiny_encoder), "two models"),
        (("--runs", f"{tiny_encoder},,"), "two models"),
        (("--runs", f"{tiny_encoder},{tiny_encoder}"), "same model"),
        ((tiny_encoder, "--against", "no-such-model"), "no-such-model"),
    ]:
        ended = evaluated(*wrong)
        assert_problem(ended)
        assert says in ended.err


def test_a_cls_pooler_that_would_be_random_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    """Without its weights, or with only half of them."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoTokenizer

    weights = load_file(tiny_encoder / "model.safetensors")
    for left_out in ("pooler.dense", "pooler.dense.bias"):
        folder = tmp_path / left_out
        AutoConfig.from_pretrained(tiny_encoder).save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
        kept = {name: value for name, value in weights.items() if left_out not in name}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        ended = multicsr("eval", folder, "--pooler", "cls", "--db", tmp_path / "s.db")
        assert_problem(ended)
        assert "no trained pooler" in ended.err
    assert multicsr("eval", folder, "--pooler", "mean", "--db", tmp_path / "s.db").code == 0


@pytest.fixture
def board(tiny_encoder: Path, other_encoder: Path, evaluated: Callable[..., Ended], tmp_path: Path) -> Path:
    """Two models on two tasks, one of them with two poolers, and one on dev."""
    db = tmp_path / "s.db"
    for model in (tiny_encoder, other_encoder):
        assert evaluated(model, "--tasks", "mini").code == 0
    for more in (("--pooler", "cls"), ("--pooler", "mean", "--split", "dev")):
        assert multicsr("eval", tiny_encoder, *more, "--db", db).code == 0
    return db


def test_the_leaderboard_is_models_against_tasks(board: Path, tiny_encoder: Path, other_encoder: Path) -> None:
    """Every figure is the one that eval gives; a split is a board of its own; one model pooled twice is two rows."""
    said = multicsr("runs", "--leaderboard", "--db", board, "--json").json["leaderboards"]
    assert [one["split"] for one in said] == ["test", "dev"]
    test, dev = said
    assert [(row["model"], row["setting"]["pooler"]) for row in test["models"]] == [
        (str(tiny_encoder), "mean"),
        (str(other_encoder), "mean"),
        (str(tiny_encoder), "cls"),
    ]
    assert [[row["task"] for row in model["results"]] for model in test["models"]] == [
        ["mini", "pairs.csv"],
        ["mini", "pairs.csv"],
        ["mini"],
    ]
    again = multicsr("eval", other_encoder, "--pooler", "mean", "--tasks", "mini", "--db", board, "--json").json
    (row,) = again["results"]
    assert test["models"][1]["results"][0]["value"] == row["value"]
    assert [len(model["results"]) for model in dev["models"]] == [1]


def markdown(db: Path) -> list[list[str]]:
    lines = multicsr("runs", "--leaderboard", "--markdown", "--db", db).out.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_best_of_a_column_is_marked(board: Path, tiny_encoder: Path) -> None:
    said: Any = multicsr("runs", "--leaderboard", "--db", board, "--json").json["leaderboards"][0]
    values = [model["results"][0]["value"] for model in said["models"]]
    rows = markdown(board)
    assert rows[0] == ["model", "mini", "pairs.csv"]
    assert [row[1] for row in rows[2:5]] == [f"{value:.2f}{'*' if value == max(values) else ''}" for value in values]
    assert rows[2][0] == f"{tiny_encoder} pooler=mean"
    assert rows[4][1:] == [rows[4][1], "-"]
    assert rows[5] == ["model", "mini"]
    assert "*" not in rows[7][1]  # alone in its column


def test_markdown_is_a_form_of_the_leaderboard(board: Path) -> None:
    for wrong in (("--markdown",), ("--leaderboard", "--markdown", "--json")):
        assert_problem(multicsr("runs", *wrong, "--db", board))


@pytest.mark.parametrize("width", [60, 80])
def test_headings_never_break_within_a_word(board: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Each heading's words stand whole in the table, on narrow screens too."""
    monkeypatch.setenv("COLUMNS", str(width))
    shown = multicsr("runs", "--leaderboard", "--db", board).out
    assert all(heading in shown for heading in ("model", "mini", "pairs.csv"))
    shown = multicsr("runs", "--db", board).out
    assert all(heading in shown for heading in ("run", "stage", "parent", "state", "done", "command"))
