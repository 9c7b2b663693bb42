"""Real processes, really killed: the same command goes on, and no row is lost, doubled or changed."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from asked import TOML
from conftest import PREMISES
from rows import drafted, score_rows
from shell import multicsr, start

from store.database import Store
from store.rows import training

COUNT = 40  # premises
PATIENCE = 120  # seconds until a process that writes nothing is called broken


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.txt"
    path.write_text("".join(f"{PREMISES[n % 10][:-1]}, number {n}.\n" for n in range(COUNT)))
    return path


@pytest.fixture(scope="module")
def gen(many: Path, tiny_llm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """A generation in which no text ends early: a few seconds, a transaction a premise."""
    path = tmp_path_factory.mktemp("prompts") / "endless.toml"
    path.write_text(
        TOML.replace('stop = ["e", "o"]', "stop = []").replace("one_sentence = true", "one_sentence = false")
    )
    settings = ("--max-tokens", 24, "--dtype", "float32", "--batch", 1)
    return ("gen", "--premises", many, "--llm", tiny_llm, "--prompts", path, *settings)


@pytest.fixture(scope="module")
def whole(gen: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which that generation was never interrupted."""
    db = tmp_path_factory.mktemp("whole") / "s.db"
    assert multicsr(*gen, "--db", db).code == 0
    return db


def rows(db: Path, table: str) -> int:
    """How many rows another process has stored so far."""
    if not db.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(count)
    except sqlite3.OperationalError:  # not made yet
        return 0


def stop(db: Path, table: str, enough: int, with_signal: signal.Signals, *command: object) -> tuple[int, str]:
    """Start a command, signal it once `table` has `enough` rows; its exit code and what it said."""
    going = start(*command, "--db", db)
    until = time.monotonic() + PATIENCE
    while rows(db, table) < enough and going.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    going.send_signal(with_signal)
    _, err = going.communicate()
    return going.returncode, err


def only_run(store: Store, stage: str) -> Any:
    ((id,),) = store.rows("SELECT id FROM runs WHERE stage = ?", [stage])
    return store.run(id)


def test_a_killed_generation_goes_on(gen: tuple[object, ...], whole: Path, tmp_path: Path) -> None:
    db, seen = tmp_path / "s.db", [0]
    for enough in (8, 40):
        code, _ = stop(db, "drafts", enough, signal.SIGKILL, *gen)
        assert code == -signal.SIGKILL
        stored = rows(db, "drafts")
        assert seen[-1] < stored < 2 * COUNT
        assert stored % 2 == 0  # whole transactions: both hypotheses or none
        seen.append(stored)
    before = drafted(Store.open(db, write=False), only_run(Store.open(db), "gen"))
    ended = multicsr(*gen, "--db", db, "--json")
    assert ended.json["done"] == COUNT
    one, other = Store.open(db), Store.open(whole)
    run = only_run(one, "gen")
    assert run.id == only_run(other, "gen").id
    assert drafted(one, run) == drafted(other, run)
    assert set(before) <= set(drafted(one, run))
    assert one.one("SELECT count(*) FROM premises") == (COUNT,)
    assert one.one("PRAGMA integrity_check") == ("ok",)
    assert run.counts == only_run(other, "gen").counts


def test_an_interrupted_generation_says_what_is_stored_and_goes_on(
    gen: tuple[object, ...], whole: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    code, err = stop(db, "drafts", 8, signal.SIGINT, *gen)
    assert code == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("stopped. ")
    assert "the same command goes on" in err
    stored = rows(db, "drafts") // 2
    assert 0 < stored < COUNT
    assert f"{stored} of {COUNT} premises are stored" in err
    assert multicsr(*gen, "--db", db).code == 0
    one, other = Store.open(db), Store.open(whole)
    assert drafted(one, only_run(one, "gen")) == drafted(other, only_run(other, "gen"))


def test_an_interrupt_while_the_model_loads_is_130_as_well(gen: tuple[object, ...], tmp_path: Path) -> None:
    going = start(*gen, "--db", tmp_path / "s.db")
    assert going.stderr is not None
    for line in going.stderr:
        if "loading" in line:
            break
    going.send_signal(signal.SIGINT)
    _, err = going.communicate()
    assert going.returncode == 130
    assert "Traceback" not in err
    assert "the same command goes on" in err


def test_a_killed_judgement_of_pairs_goes_on(tiny_llm: Path, prompts_file: Path, tmp_path: Path) -> None:
    command = ("eval", "--scorer", tiny_llm, "--prompts", prompts_file, "--by", "likelihood", "--dtype", "float32")
    db, whole = tmp_path / "s.db", tmp_path / "whole.db"
    code, _ = stop(db, "judgements", 40, signal.SIGKILL, *command, "--batch", 1)
    assert code == -signal.SIGKILL
    asked = "SELECT task, subset, position, value, reply FROM judgements ORDER BY 1, 2, 3"
    before = Store.open(db, write=False).rows(asked)
    said = [multicsr(*command, "--db", path, "--json").json for path in (db, whole)]
    assert said[0] == said[1]
    after = Store.open(db).rows(asked)
    assert after == Store.open(whole).rows(asked)
    assert 40 <= len(before) < len(after) == said[0]["results"][0]["n"]
    assert set(before) <= set(after)


@pytest.fixture(scope="module")
def short(
    many: Path, tiny_llm: Path, prompts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[object, ...]]:
    """A store with a finished generation to score, and the command that scores it."""
    db = tmp_path_factory.mktemp("short") / "s.db"
    written = ("--prompts", prompts_file, "--max-tokens", 12, "--dtype", "float32")
    assert multicsr("gen", "--premises", many, "--llm", tiny_llm, *written, "--db", db).code == 0
    return db, ("score", "--by", "prompt", "--prompts", prompts_file, "--dtype", "float32", "--batch", 1)


def copy(db: Path, target: Path) -> Path:
    with closing(sqlite3.connect(db)) as source, closing(sqlite3.connect(target)) as connection:
        source.backup(connection)
    return target


def test_a_killed_scoring_goes_on(short: tuple[Path, tuple[object, ...]], tmp_path: Path) -> None:
    db, score = copy(short[0], tmp_path / "s.db"), short[1]
    code, _ = stop(db, "scores", 6, signal.SIGKILL, *score)
    assert code == -signal.SIGKILL
    stored = rows(db, "scores")
    assert 0 < stored < 2 * COUNT
    assert stored % 2 == 0
    before = score_rows(Store.open(db), only_run(Store.open(db), "score"))
    ended = multicsr(*score, "--db", db, "--json")
    assert ended.json["scored"] + ended.json["unparsable"] == 2 * COUNT
    other = copy(short[0], tmp_path / "whole.db")
    assert multicsr(*score[:-1], 16, "--db", other).code == 0  # another batch, too
    one, two = Store.open(db), Store.open(other)
    run = only_run(one, "score")
    assert score_rows(one, run) == score_rows(two, only_run(two, "score"))
    assert set(before) <= set(score_rows(one, run))


def test_a_killed_training_ends_with_the_same_weights(
    short: tuple[Path, tuple[object, ...]], tiny_encoder: Path, tmp_path: Path
) -> None:
    """On one thread, as `start` and `conftest` set it: the order of sums is part of the last bit."""
    dev = tmp_path / "dev.tsv"
    dev.write_text("".join(f"{one}\t{two}\t{n % 4}\n" for n, (one, two) in enumerate(pairwise(PREMISES))))
    db, gen = copy(short[0], tmp_path / "s.db"), only_run(Store.open(short[0]), "gen")
    base = ("--base", tiny_encoder, "--pooler", "mean", "--mask-model", "none", "--dtype", "float32", "--dev", dev)
    train = ("train", gen.id, *base, "--train-batch", 4, "--epochs", 10, "--eval-every", 5)
    code, _ = stop(db, "steps", 15, signal.SIGKILL, *train)
    assert code == -signal.SIGKILL
    stored = rows(db, "steps")
    ended = multicsr(*train, "--db", db, "--json")
    assert 0 < stored < ended.json["steps"]
    other = copy(short[0], tmp_path / "whole.db")
    assert multicsr(*train, "--db", other).code == 0

    def result(path: Path) -> tuple[Any, ...]:
        store = Store.open(path)
        run = only_run(store, "train")
        found = training.checkpoint(store, run, "model")
        assert found is not None
        weights = (found[1] / "model.safetensors").read_bytes()
        return run.id, run.counts, training.steps(store, run), training.metrics(store, run), found[0], weights

    assert result(db) == result(other)
    assert list(Path(f"{db}.files").glob("models/.*")) == []  # nothing half-written is left


def test_two_processes_on_one_run_write_it_once(gen: tuple[object, ...], whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    both = [start(*gen, "--db", db), start(*gen, "--db", db)]
    ends = sorted((going.communicate()[1], going.returncode) for going in both)
    assert sorted(code for _, code in ends) in ([0, 1], [0, 0])  # refused, or come when all was done
    assert all("being written by another process" in err for err, code in ends if code)
    one, other = Store.open(db), Store.open(whole)
    assert drafted(one, only_run(one, "gen")) == drafted(other, only_run(other, "gen"))
