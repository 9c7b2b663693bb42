"""A store that cannot be opened or written: exit 1, two lines, and the file as it was."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import PREMISES, Piped
from shell import assert_problem, multicsr, process, refused

from store import opening, schema
from store.database import Store

WRITERS = ("gen", "score", "curate", "train", "eval")
READERS = (("inspect",), ("runs",), ("inspect", "--json"))


@pytest.fixture
def every(piped: Piped) -> list[tuple[object, ...]]:
    """One command line of every command, as the whole road takes them."""
    return [*piped.commands.values(), *READERS]


def unchanged(path: Path, commands: list[tuple[object, ...]], says: str) -> None:
    """Every command is refused, and not one byte of the file changes."""
    before = path.read_bytes()
    for command in commands:
        ended = multicsr(*command, "--db", path)
        assert_problem(ended)
        assert says in ended.err, ended.err
        assert str(path) in ended.err, ended.err
        assert path.read_bytes() == before


def test_a_file_that_is_not_sqlite(tmp_path: Path, every: list[tuple[object, ...]]) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("A dog runs along the beach.\n" * 50)
    unchanged(path, every, "is not an SQLite file")


def test_an_sqlite_file_of_another_program(tmp_path: Path, every: list[tuple[object, ...]]) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE runs (id TEXT); INSERT INTO runs VALUES ('mine');")
    unchanged(path, every, "not a multicsr store")
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("table", ["runs", "premises"])
def test_a_damaged_store(copied: Piped, table: str) -> None:
    """One page of a table overwritten: the schema can be read, the rows cannot."""
    with closing(sqlite3.connect(copied.db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(copied.db.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    copied.db.write_bytes(content)
    unchanged(copied.db, [("inspect",), ("inspect", "--json")], "is damaged")


def test_a_newer_store(copied: Piped, every: list[tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(copied.db)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.newest() + 1}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    unchanged(copied.db, every, "newer multicsr")


def test_a_read_only_store(copied: Piped, piped: Piped) -> None:
    with closing(sqlite3.connect(copied.db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copied.db.chmod(0o444)
    unchanged(copied.db, [piped.commands[stage] for stage in WRITERS], "read-only")
    for reader in READERS:
        assert multicsr(*reader, "--db", copied.db).code == 0
    sweep = multicsr("curate", "--sweep", "--db", copied.db, "--json")
    assert sweep.code == 0, sweep.err  # it writes nothing


def test_a_folder_and_a_missing_folder(tmp_path: Path, every: list[tuple[object, ...]]) -> None:
    for command in every:
        folder = multicsr(*command, "--db", tmp_path)
        assert_problem(folder)
        assert "is a folder" in folder.err
        assert_problem(multicsr(*command, "--db", tmp_path / "nowhere" / "s.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_store_held_by_another_writer(copied: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(copied.db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for command in (
            (*copied.commands["gen"], "--seed", 1),
            (*copied.commands["score"], "--directions", "one"),
            (*copied.commands["curate"], "--gamma", 0.25),
            (*copied.commands["train"], "--seed", 1),
            ("eval", copied.run("train"), "--pooler", "cls_before_pooler"),
        ):
            assert "held by another writer" in refused(copied.db, *command).err
        for reader in READERS:
            assert multicsr(*reader, "--db", copied.db).code == 0
        complete = multicsr(*copied.commands["gen"], "--db", copied.db)
        assert complete.code == 0, complete.err  # nothing to write
        other.execute("ROLLBACK")


def test_a_run_that_another_process_writes(copied: Piped) -> None:
    opened = Store.open(copied.db)
    with opened.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [copied.run("train")])
    with opened.only_writer(opened.run(copied.run("train"))):
        ended = refused(copied.db, *copied.commands["train"])
    assert "being written by another process" in ended.err
    assert copied.run("train") in ended.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def many(folder: Path) -> Path:
    path = folder / "many.txt"
    path.write_text("".join(f"{text[:-1]}, said number {n}.\n" for n in range(3000) for text in PREMISES))
    return path


def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path, piped: Piped) -> None:
    db, gen = small_disk / "s.db", piped.commands["gen"]
    assert multicsr(*gen, "--db", db).code == 0
    with closing(sqlite3.connect(db)) as connection:
        before = connection.execute("SELECT * FROM drafts").fetchall()
    ended = multicsr("gen", "--premises", many(tmp_path), *gen[3:], "--db", db)
    lines = ended.err.splitlines()
    assert ended.code == 1
    assert [line.startswith("error: ") for line in lines[-2:]] == [True, False]
    assert "full" in lines[-2]
    assert str(db) in lines[-2]
    assert ended.out == ""
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("SELECT * FROM drafts").fetchall() == before
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_store_that_may_not_grow(tmp_path: Path, piped: Piped) -> None:
    """The same by the limit on a file's size, which needs no right to mount; a model that does not fit is no bug."""
    db, gen = tmp_path / "s.db", piped.commands["gen"]
    assert multicsr(*gen, "--db", db).code == 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    ended = process("gen", "--premises", many(tmp_path), *gen[3:], "--db", db, preexec_fn=limit)
    assert ended.code == 1
    assert ended.err.splitlines()[-2].startswith("error: ")
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert multicsr(*gen, "--db", db, "--json").json["done"] == len(PREMISES)


def test_a_disk_too_full_for_the_trained_model(small_disk: Path, copied: Piped) -> None:
    """The run stays unfinished and the same command ends it once there is room."""
    db, ballast = small_disk / "s.db", small_disk / "ballast"
    with closing(sqlite3.connect(copied.db)) as source, closing(sqlite3.connect(db)) as target:
        source.backup(target)
    train = (*copied.commands["train"], "--seed", 5, "--db", db)
    room = os.statvfs(small_disk)
    ballast.write_bytes(b"0" * (room.f_bavail * room.f_bsize - 120_000))  # enough for rows, not for weights
    ended = multicsr(*train)
    assert ended.code == 1
    assert ended.err.splitlines()[-2].startswith("error: ")
    assert "full" in ended.err or "space" in ended.err
    assert ended.out == ""
    assert list(Path(f"{db}.files").glob("models/*")) == []
    ballast.unlink()
    assert multicsr(*train, "--json").json["steps"] > 0
    assert len(list(Path(f"{db}.files").glob("models/*/model.safetensors"))) == 1


def test_a_disk_too_full_for_the_out_folder(small_disk: Path, copied: Piped) -> None:
    """`--out` appears whole or not at all: a part of it would be in the way of the next try."""
    out, ballast = small_disk / "out", small_disk / "ballast"
    room = os.statvfs(small_disk)
    ballast.write_bytes(b"0" * (room.f_bavail * room.f_bsize - 60_000))
    train = (*copied.commands["train"], "--out", out, "--db", copied.db)
    ended = multicsr(*train)
    assert_problem(ended)
    assert not out.exists()
    ballast.unlink()
    assert multicsr(*train, "--json").code == 0
    assert (out / "model.safetensors").is_file()
