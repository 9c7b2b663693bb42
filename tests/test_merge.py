"""Shards in stores of their own, joined: the rows of one run, whatever is killed, in whatever order, however often."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from asked import TOML
from conftest import PREMISES
from rows import GEN, Made, add_drafts, add_premises, drafted, dump, score_rows, scored
from shell import Ended, assert_problem, multicsr, refused, start

from store import schema
from store.database import Store
from store.records import DraftRow, Run, Shard
from store.rows import drafts, merging, premises

COUNT = 40  # premises
SHARDS = 8


@pytest.fixture(scope="module")
def gen(tiny_llm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("asked")
    sentences, prompts = folder / "many.txt", folder / "prompts.toml"
    lines = [f"{PREMISES[n % 37 % 10][:-1]}, number {n % 37}." for n in range(COUNT)]
    sentences.write_text("\n\n".join(lines))  # blank lines and three repeated ones
    prompts.write_text(TOML)
    return ("gen", "--premises", sentences, "--llm", tiny_llm, "--prompts", prompts, "--dtype", "float32")


@pytest.fixture(scope="module")
def whole(gen: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, never cut."""
    db = tmp_path_factory.mktemp("whole") / "s.db"
    assert multicsr(*gen, "--db", db).code == 0
    return db


@pytest.fixture(scope="module")
def shards(gen: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    paths = [folder / f"{number}.db" for number in range(1, SHARDS + 1)]
    for number, path in enumerate(paths, start=1):
        assert multicsr(*gen, "--shard", f"{number}/{SHARDS}", "--db", path).code == 0
    return paths


def copy(source: Path, target: Path) -> None:
    """A store as a file of its own, with what its journal still holds."""
    with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as here:
        there.backup(here)


def merged(paths: list[Path], db: Path) -> Ended:
    return multicsr("merge", *paths, "--db", db, "--json")


def only_run(store: Store, stage: str) -> Run:
    ((id,),) = store.rows("SELECT id FROM runs WHERE stage = ?", [stage])
    return store.run(id)


def assert_alike(db: Path, whole: Path) -> None:
    """Both stores hold the same finished generation, and words find the same sentences in both."""
    one, other = Store.open(db, write=False), Store.open(whole, write=False)
    run = only_run(one, "gen")
    assert run.finished
    assert (run.id, run.counts) == (only_run(other, "gen").id, only_run(other, "gen").counts)
    assert drafted(one, run) == drafted(other, run)
    for store in (one, other):
        assert store.one("PRAGMA integrity_check") == ("ok",)
        assert store.rows("PRAGMA foreign_key_check") == []
    for asked in (
        "SELECT source, position, text FROM premises ORDER BY 1, 2",
        "SELECT name, digest, rows, duplicates FROM sources",
        "SELECT digest, toml FROM prompt_sets",
        "SELECT text FROM prompts ORDER BY 1",
    ):
        assert one.rows(asked) == other.rows(asked)
    one.close()
    other.close()
    for table in ("premises", "drafts"):
        assert index_is_right(db, table)


def index_is_right(db: Path, table: str) -> bool:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute(f"INSERT INTO {table}_fts({table}_fts, rank) VALUES ('integrity-check', 1)")
    return True  # or it would have raised


def test_every_table_is_merged_or_said_not_to_be(store: Store) -> None:
    tables = {
        name
        for (name,) in store.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if "_fts" not in name and not name.startswith(("_sqlite", "sqlite_"))
    }
    assert tables == {*merging.MERGED, *merging.NOT_MERGED}
    assert not set(merging.MERGED) & set(merging.NOT_MERGED)


def test_eight_shards_in_any_order_are_one_run(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    for seed in range(3):
        mixed, db = random.Random(seed).sample(shards, SHARDS), tmp_path / f"{seed}.db"
        half = merged(mixed[:4], db).json
        assert [one["finished"] for one in half["runs"]] == [False]
        rest = merged(mixed[4:], db).json
        assert [one["finished"] for one in rest["runs"]] == [True]
        assert_alike(db, whole)


def test_merging_again_adds_nothing(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    first = merged(shards, db).json
    before = dump(db)
    again = merged(shards, db).json
    assert first["db"] == again["db"] == str(db)
    assert again["stores"] == [str(path) for path in shards]
    (one,), (other,) = first["runs"], again["runs"]
    assert (one["stage"], one["added"], one["same"]) == ("gen", 2 * 37, 0)
    assert (other["added"], other["same"], other["finished"]) == (0, 2 * 37, True)
    assert dump(db) == before
    assert merged([whole], db).json["runs"][0]["same"] == 2 * 37  # the uncut run has nothing else to say
    assert dump(db) == before


def test_what_a_store_has_may_be_completed_by_shards_or_without(
    gen: tuple[object, ...], shards: list[Path], whole: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    merged(shards[:5], db)
    ended = multicsr(*gen, "--db", db, "--json").json
    assert ended["done"] == 37
    assert_alike(db, whole)


def test_a_shard_says_that_it_is_complete_and_loads_nothing_again(gen: tuple[object, ...], shards: list[Path]) -> None:
    before = dump(shards[2])
    again = multicsr(*gen, "--shard", f"3/{SHARDS}", "--db", shards[2])
    assert again.code == 0
    assert f"shard 3/{SHARDS} is complete" in again.err
    assert "loading" not in again.err
    assert dump(shards[2]) == before
    ended = multicsr(*gen, "--shard", f"3/{SHARDS}", "--db", shards[2], "--json").json
    store = Store.open(shards[2], write=False)
    assert (ended["shard"], ended["premises"]) == (f"3/{SHARDS}", drafts.done(store, only_run(store, "gen")))


def test_the_last_shard_of_a_store_finishes_its_run(gen: tuple[object, ...], whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    for number in (2, 3, 1):
        assert multicsr(*gen, "--shard", f"{number}/3", "--db", db).code == 0
    assert_alike(db, whole)


def test_shards_divide_the_premises(file_store: Store) -> None:
    there = add_premises(file_store, [f"Sentence {n}." for n in range(23)])
    run = file_store.begin("gen", 1, GEN, None)
    for count in (1, 2, 7, 23, 30):
        for limit in (None, 10, 23, 99):
            cut = []
            for number in range(1, count + 1):
                first, last, size = premises.bounds(file_store, "made", limit, Shard(number, count))
                cut.append(drafts.missing(file_store, run, "made", last, 0, 100, first))
                assert len(cut[-1]) == size
            assert [premise for part in cut for premise in part] == there[:limit]
            assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_score_goes_on_after_the_last_shard_only(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    merged(shards[:7], db)
    run = only_run(Store.open(db), "gen").id
    early = refused(db, "score", run, "--by", "likelihood")
    assert "multicsr merge" in early.err
    merged(shards[7:], db)
    copy(whole, tmp_path / "whole.db")
    rows = []
    for path in (db, tmp_path / "whole.db"):
        assert multicsr("score", "--by", "likelihood", "--dtype", "float32", "--db", path).code == 0
        store = Store.open(path)
        rows.append(score_rows(store, only_run(store, "score")))
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2 * 37


def test_scores_are_merged_with_the_run_they_belong_to(tmp_path: Path) -> None:
    one, db = Store.open(tmp_path / "one.db"), tmp_path / "s.db"
    gen, score, _ = scored(one, [Made(f"Premise {n}.", a=n % 5, b=None) for n in range(20)])
    add_premises(Store.open(db), ["Others, so that the ids differ."], source="others")
    found = merged([tmp_path / "one.db"], db).json["runs"]
    assert [(each["run"], each["added"], each["finished"]) for each in found] == [
        (gen.id, 40, True),
        (score.id, 40, True),
    ]
    two = Store.open(db)
    assert score_rows(two, score) == score_rows(one, score)
    assert drafted(two, gen) == drafted(one, gen)
    assert two.run(score.id).counts == score.counts


def test_a_killed_shard_and_a_killed_merge_go_on(
    gen: tuple[object, ...], shards: list[Path], whole: Path, tmp_path: Path
) -> None:
    first, db = tmp_path / "1.db", tmp_path / "s.db"
    one_by_one = (*gen, "--batch", 1, "--shard", f"1/{SHARDS}", "--db", first)
    going = start(*one_by_one)
    until = time.monotonic() + 120
    while going.poll() is None and time.monotonic() < until and stored(first) < 2:
        time.sleep(0.002)
    going.kill()
    going.communicate()
    assert going.returncode == -signal.SIGKILL
    assert 0 < stored(first) < stored(shards[0])
    part = merged([first], db).json  # what it has may be merged, and the rest later
    assert part["runs"][0]["added"] == stored(first)
    assert multicsr(*one_by_one).code == 0
    for wait in (0.3, 0.5, 0.7):
        joining = start("merge", first, *shards[1:], "--db", db)
        time.sleep(wait)
        joining.kill()
        joining.communicate()
    assert merged([first, *shards[1:]], db).json["runs"][0]["finished"]
    assert_alike(db, whole)


def stored(db: Path) -> int:
    if not db.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM drafts").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0


def made(path: Path, texts: list[str], hypothesis: str = "yes", digest: str | None = None) -> Store:
    store = Store.open(path)
    there = add_premises(store, texts)
    if digest:
        store.connection.execute("UPDATE sources SET digest = ?", [digest])
    run = store.begin("gen", 1, GEN, None)
    add_drafts(store, run, [(premise, Made(premise.text, x_plus=hypothesis)) for premise in there])
    return store


def test_conflicts_are_named_and_leave_the_target_as_it_was(tmp_path: Path) -> None:
    db, texts = tmp_path / "s.db", ["One.", "Two.", "Three."]
    made(db, texts).close()
    for name, what, store in (
        ("draft", "has another entailment there for position 1 of source made", made(tmp_path / "1", texts, "no")),
        ("source", "source made has another content there", made(tmp_path / "2", texts, digest="e" * 12)),
        (
            "premise",
            "position 2 of source made has another text there",
            made(tmp_path / "3", ["One.", "Zwei.", "Three."]),
        ),
    ):
        assert store.path is not None
        store.close()
        ended = refused(db, "merge", store.path)
        assert what in ended.err, name


def test_a_score_of_another_value_is_a_conflict(tmp_path: Path) -> None:
    for name, a in (("s.db", 4.0), ("other.db", 3.0)):
        store = Store.open(tmp_path / name)
        scored(store, [Made("A premise.", a=a, b=1.0)])
        store.close()
    ended = refused(tmp_path / "s.db", "merge", tmp_path / "other.db")
    assert "has another entailment there" in ended.err


def test_what_a_server_was_paid_is_never_guessed(tmp_path: Path) -> None:
    config = replace(GEN, base_url="https://llm.example", dtype="auto", omega=0.0, omega_contradiction=0.0, nu=0.0)
    for place, name in enumerate(("s.db", "other.db")):
        store = Store.open(tmp_path / name)
        premise = add_premises(store, ["One.", "Two."])[place]
        run = store.begin("gen", 1, config, None)
        drafts.add(store, run, [DraftRow(premise.id, "entailment", "yes", None, None, "", 1)], {"prompt_tokens": 5})
        store.close()
    assert "what it spent cannot be added up" in refused(tmp_path / "s.db", "merge", tmp_path / "other.db").err
    assert merged([tmp_path / "other.db"], tmp_path / "fresh.db").json["runs"][0]["added"] == 1


def test_wrong_stores_are_refused(shards: list[Path], tmp_path: Path) -> None:
    db, newer, text = tmp_path / "s.db", tmp_path / "newer.db", tmp_path / "notes.txt"
    copy(shards[0], newer)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.newest() + 1}")
    text.write_text("no store " * 200)
    for path, what in (
        (tmp_path / "nowhere.db", "there is no store at"),
        (newer, "newer multicsr"),
        (text, "is not an SQLite file"),
        (tmp_path, "is a folder"),
    ):
        ended = multicsr("merge", shards[1], path, "--db", db)
        assert_problem(ended)
        assert what in ended.err
        assert not db.exists()
    merged(shards[:1], db)
    assert "is the store that is merged into" in refused(db, "merge", db).err


def test_a_store_that_is_being_written_is_refused(shards: list[Path], tmp_path: Path) -> None:
    source, db = tmp_path / "1.db", tmp_path / "s.db"
    copy(shards[0], source)
    merged(shards[1:2], db)
    writer = Store.open(source)
    with writer.only_writer(only_run(writer, "gen")):
        assert "is being written by another process" in refused(db, "merge", source).err
    assert merged([source], db).json["runs"][0]["added"] > 0


def test_what_stays_behind_is_said(tmp_path: Path) -> None:
    one = Store.open(tmp_path / "one.db")
    _, score, _ = scored(one, [Made("A premise.", a=5.0, b=0.0)])
    one.close()
    assert multicsr("curate", score.id, "--db", tmp_path / "one.db").code == 0
    ended = merged([tmp_path / "one.db"], tmp_path / "s.db")
    assert "one.db: not merged: 1 pairs, 1 rules" in ended.err
    assert {run["stage"] for run in ended.json["runs"]} == {"gen", "score"}


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_a_wrong_shard_is_refused(shard: str, gen: tuple[object, ...], tmp_path: Path) -> None:
    assert "is not I/N" in refused(tmp_path / "s.db", *gen, "--shard", shard).err
