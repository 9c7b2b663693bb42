"""The store as a file: what is refused and left as it was, who may write, what a full disk and a kill leave behind."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rows import GEN, Made, add_premises, content, scored
from sqlite_utils import Database

from store import migrations, opening, schema
from store.database import Store
from store.problem import Problem
from store.rows import premises, vectors

MADE = [Made("A dog runs.", a=4.0, b=1.0), Made("Rain falls.", a=2.0, b=0.5)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with two premises, scored."""
    opened = Store.open(tmp_path / "s.db")
    scored(opened, MADE)
    opened.close()
    return tmp_path / "s.db"


@contextmanager
def refused(path: Path, *words: str) -> Iterator[None]:
    """A Problem that says `words`, names the path, fits on one line, and leaves the file's bytes as they were."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(Problem) as problem:
        yield
    assert str(path) in problem.value.what
    assert all(word in problem.value.what for word in words), problem.value.what
    assert "\n" not in problem.value.what + problem.value.remedy
    assert problem.value.remedy
    if before is not None:
        assert path.read_bytes() == before


def test_a_store_in_a_file_keeps_its_rows_and_is_in_wal_mode(path: Path) -> None:
    opened, fresh = Store.open(path), Store.memory()
    scored(fresh, MADE)
    assert content(opened) == content(fresh)
    assert opened.one("PRAGMA journal_mode") == ("wal",)
    assert opened.one("PRAGMA foreign_keys") == (1,)
    assert opened.one("PRAGMA user_version") == (schema.newest(),)
    assert opened.one("PRAGMA application_id") == (schema.APPLICATION_ID,)
    assert opened.files == Path(f"{path}.files")


def test_a_reader_sees_whole_batches_while_a_writer_writes(path: Path) -> None:
    writer, reader = Store.open(path), Store.open(path, create=False, write=False)
    with writer.writing() as connection:
        connection.execute("INSERT INTO prompts (text) VALUES ('half-way')")
        assert reader.one("SELECT count(*) FROM prompts WHERE text = 'half-way'") == (0,)
    assert reader.one("SELECT count(*) FROM prompts WHERE text = 'half-way'") == (1,)
    with pytest.raises(Problem, match="read-only"), reader.writing() as connection:
        connection.execute("INSERT INTO prompts (text) VALUES ('no')")


def test_a_newer_store_is_refused_by_version_and_by_migration(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.newest() + 1}")
    connection.close()
    for write in (True, False):
        with refused(path, "newer"):
            Store.open(path, write=write)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.newest()}")
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('multicsr', 'm999_later', 'now')"
        )
    connection.close()
    for write in (True, False):
        with refused(path, "newer"):
            Store.open(path, write=write)


def test_a_store_of_an_earlier_layout_is_refused_and_says_what_to_do(path: Path) -> None:
    """By its version: none of these has tables that a migration could take up, whatever migrations it names."""
    for version in range(schema.FIRST_VERSION):
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('multicsr', ?, 'then')",
                [f"m{version + 2:03}_another"],
            )
        connection.close()
        for write in (True, False):
            with refused(path, "earlier layout", f"store version {version};"):
                Store.open(path, write=write)
    with pytest.raises(Problem) as problem:
        Store.open(path)
    assert "`multicsr export`" in problem.value.remedy
    assert "make it anew" in problem.value.remedy


@pytest.mark.parametrize("write", [True, False])
def test_a_foreign_sqlite_file_is_refused(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
        connection.execute("INSERT INTO runs VALUES ('mine')")
    connection.close()
    with refused(path, "not a multicsr store"):
        Store.open(path, write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_not_sqlite_is_refused(tmp_path: Path, write: bool) -> None:
    for name, content_ in (("text.txt", b"A dog runs.\n" * 100), ("short.bin", b"\x00\x01")):
        path = tmp_path / name
        path.write_bytes(content_)
        with refused(path, "is not an SQLite file"):
            Store.open(path, write=write)


def test_a_damaged_store_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 3000 + whole[3100:])
    for write in (True, False):
        with refused(path):
            Store.open(path, write=write)


def test_folders_and_missing_parents_are_refused(tmp_path: Path) -> None:
    with refused(tmp_path, "is a folder"):
        Store.open(tmp_path)
    with pytest.raises(Problem, match="nowhere does not exist"):
        Store.open(tmp_path / "nowhere" / "s.db")
    with refused(tmp_path / "s.db", "there is no store"):
        Store.open(tmp_path / "s.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_store_for_a_writer_and_is_refused_to_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    with refused(path, "empty"):
        Store.open(path, write=False)
    opened = Store.open(path)
    assert content(opened) == content(Store.memory())


def test_a_read_only_file_is_refused_to_a_writer_and_open_to_a_reader_also_for_root(path: Path) -> None:
    path.chmod(0o444)
    with refused(path, "read-only"):
        Store.open(path)
    reader = Store.open(path, create=False, write=False)
    assert reader.one("SELECT count(*) FROM premises") == (2,)
    assert sorted(file.name for file in path.parent.iterdir()) == ["s.db", "s.db.files"]


def test_a_read_only_file_shows_what_a_killed_writer_left_in_the_write_ahead_log(path: Path) -> None:
    killed = os.fork()
    if killed == 0:  # the child dies holding the store open, as with `kill -9`
        add_premises(Store.open(path), ["A third."], "more")
        os._exit(0)
    assert os.waitpid(killed, 0)[1] == 0
    assert Path(f"{path}-wal").stat().st_size > 0
    path.chmod(0o444)
    reader = Store.open(path, create=False, write=False)
    assert reader.one("SELECT count(*) FROM premises") == (3,)


def test_a_store_held_by_another_writer_is_a_problem_and_stays_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    opened = Store.open(path)
    before = content(opened)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Problem, match="held by another writer"):
        opened.begin("gen", 7, GEN, None)
    assert content(opened) == before  # a reader is never kept out
    other.execute("ROLLBACK")
    assert opened.begin("gen", 7, GEN, None).version == 7


def test_a_full_disk_is_a_problem_and_leaves_the_old_rows(path: Path) -> None:
    opened = Store.open(path)
    before = content(opened)
    (pages,) = opened.one("PRAGMA page_count")
    opened.one(f"PRAGMA max_page_count = {pages}")
    rows = [(place, f"a premise that needs room {place}" * 20) for place in range(1, 2000)]
    with pytest.raises(Problem, match="disk is full"):
        list(premises.add(opened, "big", "big.txt", "d", len(rows), rows))
    assert opened.one("SELECT count(*) FROM premises WHERE source = 'big'") == (0,)
    after = content(opened)
    assert after == before
    opened.one("PRAGMA max_page_count = 100000")
    list(premises.add(opened, "big", "big.txt", "d", len(rows), rows))
    assert premises.is_imported(opened, "big")
    assert opened.one("PRAGMA integrity_check") == ("ok",)


def test_a_run_has_one_writer_at_a_time(path: Path) -> None:
    one, two = Store.open(path), Store.open(path)
    run, other = one.begin("gen", 1, GEN, None), one.begin("gen", 2, GEN, None)
    with one.only_writer(run):
        with pytest.raises(Problem, match=run.id), two.only_writer(run):
            raise AssertionError("a second writer got in")
        with two.only_writer(other):
            pass
    with two.only_writer(run):
        pass
    with pytest.raises(ZeroDivisionError), one.only_writer(run):
        raise ZeroDivisionError
    with two.only_writer(run):
        pass


def test_a_creation_cut_short_anywhere_is_taken_up_again(tmp_path: Path) -> None:
    """Every prefix of the steps that make a store: mark, header, migration table, a migration that is undone, and all."""
    whole = dump_of_new(tmp_path / "whole.db")
    for steps in range(6):
        path = tmp_path / f"cut{steps}.db"
        connection = sqlite3.connect(path, isolation_level=None)
        Store(connection, path)
        if steps > 0:
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        if steps > 1:
            connection.execute("PRAGMA journal_mode = WAL")
        if steps > 2:
            migrations.migrations.ensure_migrations_table(Database(connection))
        if steps > 3:
            with pytest.raises(RuntimeError, match="power cut"):
                make_and_break_off(Database(connection))
            assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        if steps > 4:
            migrations.apply(connection)
        connection.close()
        opened = Store.open(path)
        scored(opened, MADE)
        assert opened.one("PRAGMA user_version") == (schema.newest(),), f"cut after {steps} steps"
        opened.close()
        assert dump_of_new(path) == whole


def make_and_break_off(db: Database) -> None:
    """The first migration, up to its last statement."""
    with db.atomic():
        migrations.m001_store(db)
        assert db.execute("PRAGMA user_version").fetchone() == (schema.FIRST_VERSION,)
        raise RuntimeError("power cut")


def dump_of_new(path: Path) -> str:
    """The schema of a store."""
    opened = Store.open(path)
    found = "\n".join(str(row[0]) for row in opened.rows("SELECT sql FROM sqlite_master ORDER BY type, name"))
    opened.close()
    return found


def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(path: Path) -> None:
    """In one transaction with its record: half a migration is never seen."""
    from sqlite_utils.migrations import Migrations

    later = Migrations("later")
    broken = [True]

    @later()
    def m001_more(db: Database) -> None:
        db.execute("CREATE TABLE more (x INTEGER) STRICT")
        if broken:
            raise RuntimeError("power cut")

    opened = Store.open(path)
    with pytest.raises(RuntimeError):
        later.apply(Database(opened.connection))
    assert opened.one("SELECT count(*) FROM sqlite_master WHERE name = 'more'") == (0,)
    assert len(later.pending(Database(opened.connection))) == 1
    broken.clear()
    later.apply(Database(opened.connection))
    assert opened.one("SELECT count(*) FROM more") == (0,)


def test_the_schema_names_the_migrations_there_are() -> None:
    assert [migration.name for migration in migrations.migrations._migrations] == list(schema.MIGRATIONS)


def test_threads_creating_one_store_at_once_make_one_store(tmp_path: Path) -> None:
    """Nobody is told that another writer holds it: whoever comes second waits for milliseconds."""
    together, found = threading.Barrier(6), list[BaseException]()

    def create(path: Path) -> None:
        together.wait()
        try:
            Store.open(path).close()
        except BaseException as error:
            found.append(error)

    for number in range(25):
        path = tmp_path / f"{number}.db"
        threads = [threading.Thread(target=create, args=[path]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert content(Store.open(path)) == content(Store.memory())
    assert found == []


def test_a_creation_waits_for_whoever_holds_the_file_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on the way into WAL mode, where SQLite itself gives up at once; but not for ever."""
    path = tmp_path / "s.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with monkeypatch.context() as hasty:
        hasty.setattr(opening, "BUSY_SECONDS", 0.05)
        with pytest.raises(Problem, match="held by another writer"):
            Store.open(path)
    threading.Timer(0.1, other.execute, ["ROLLBACK"]).start()
    assert content(Store.open(path)) == content(Store.memory())


def test_vectors_are_computed_once_a_model_and_text(file_store: Store) -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> list[bytes]:
        asked.append(texts)
        return [text.encode() for text in texts]

    def compute(model: str, *windows: list[str]) -> None:
        found = vectors.cached(file_store, model, windows, encode)
        assert list(found) == [[text.encode() for text in texts] for texts in windows]

    compute("m", ["a", "b", "a"], ["c", "b"])
    compute("m", ["c", "a"])
    compute("m", ["c", "d"], ["d"])
    compute("other", ["a"])
    assert asked == [["a", "b"], ["c"], ["d"], ["a"]]
    many = [f"text {number}" for number in range(1200)]
    compute("m", many)
    compute("m", [*many[::-1], "a"])
    assert asked[4:] == [many]


def test_vectors_computed_before_a_break_are_kept(file_store: Store) -> None:
    def encode(texts: list[str]) -> list[bytes]:
        return [b"first"] * len(texts)

    def go_on(texts: list[str]) -> list[bytes]:
        assert texts == ["c", "d"]
        return [b"second"] * len(texts)

    windows = [["a", "b"], ["c", "d"]]
    going = vectors.cached(file_store, "m", windows, encode)
    assert next(going) == [b"first"] * 2
    going.close()  # type: ignore[attr-defined]
    assert list(vectors.cached(file_store, "m", windows, go_on)) == [[b"first"] * 2, [b"second"] * 2]


@pytest.mark.parametrize("write", [True, False])
def test_no_connection_to_a_store_that_is_refused_stays_open(path: Path, write: bool) -> None:
    """Even where the refusal is kept: another's log is written into the file when its last connection closes, no later."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(Problem) as problem:
        Store.open(path, write=write)
    with connection:
        connection.execute("CREATE TABLE another (row INTEGER)")
    connection.close()
    assert problem.value.__traceback__ is not None
    assert not path.with_name(f"{path.name}-wal").exists()
