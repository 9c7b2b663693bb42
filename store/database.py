"""The store: one SQLite file and the folder beside it. Opens it, refuses what it cannot open, and keeps its runs.

Every write is one short `BEGIN IMMEDIATE` transaction in WAL mode, so readers never wait and a process killed at any
moment leaves the last whole batch. A run has one writer, held by a file lock that the operating system lets go when the
process dies.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from store import schema
from store.records import Problem, Run, as_config, canonical, run_id

# Our own writes take milliseconds; waiting longer than this means somebody holds the store open in a transaction.
BUSY_SECONDS = 5.0

# Between two tries where SQLite does not wait itself; what is waited for takes less than a millisecond.
BUSY_PAUSE = 0.005

# Creating or upgrading the schema takes far less, on any disk.
SCHEMA_SECONDS = 60.0

# Memory for pages of the file while writing. SQLite's own 2 MB halve the speed of importing a million premises.
CACHE_KIB = 64 * 1024

RECORDED_PACKAGES = ("multicsr", "torch", "transformers", "tokenizers", "numpy", "scipy")


class Store:
    """An open store. `files` is the folder for what is too big for a row; `read_only` stores refuse to write."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        connection.isolation_level = None  # transactions are opened by `writing()`, never implicitly
        self.connection = connection
        connection.execute("PRAGMA foreign_keys = ON")

    @classmethod
    def open(cls, path: str | Path, create: bool = True, write: bool = True) -> Store:
        """Open (or create) the store at `path`. Raises Problem where that cannot be done, leaving the file as it was."""
        path = Path(path)
        _refuse_unusable(path, create, write)
        try:
            return cls._open(path, write)
        except sqlite3.Error as error:
            raise explain(error, path) or error from error

    @classmethod
    def _open(cls, path: Path, write: bool) -> Store:
        if write:
            store = cls(sqlite3.connect(path, timeout=BUSY_SECONDS), path)
            if not _is_store(store, path) or _is_behind(store):
                store._make_current(path)
            # In WAL mode NORMAL can lose the last commits on power loss but never on `kill -9`, and never corrupts.
            store.connection.execute("PRAGMA synchronous = NORMAL")
            store.connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            return store
        # A reader needs to create the WAL's shared memory; where the folder forbids it, nobody can be writing either.
        # What a killed writer left in the WAL is only seen by a reader that opens it.
        wal = path.with_name(f"{path.name}-wal")
        unread = wal.exists() and wal.stat().st_size > 0
        writable = unread or (_may_write(path) and os.access(path.resolve().parent, os.W_OK))
        uri = f"{path.resolve().as_uri()}?mode=ro" + ("" if writable else "&immutable=1")
        store = cls(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS), path, read_only=True)
        if not _is_store(store, path):
            raise Problem(f"{path} is an empty store", "run `multicsr gen` first")
        if _is_behind(store):
            store.close()
            return cls._open(path, write=True)
        return store

    def _make_current(self, path: Path) -> None:
        """Create the schema, or bring it up to date; of several processes one does it and the others wait.

        In one transaction that is a writer's from its start: one that began by reading would be refused, without waiting,
        where another connection opens the file at the wrong moment.
        """
        from store import migrations

        try:
            lock = FileLock(self.locks / "schema.lock")
            with lock.acquire(timeout=SCHEMA_SECONDS, poll_interval=BUSY_PAUSE):
                if _is_store(self, path) and not _is_behind(self):
                    return
                self._use_write_ahead_log()
                with self.writing() as connection:
                    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                    migrations.apply(connection)
                    connection.execute(f"PRAGMA user_version = {schema.newest()}")
        except Timeout:
            raise Problem(
                f"the store {path} is being created or upgraded by another process", "wait for it, then try again"
            ) from None

    def _use_write_ahead_log(self) -> None:
        """Switch the file to WAL mode, waiting as long as for any write.

        SQLite does not wait where a statement that has read goes on to write, as this one does: it gives up at once, even
        where the other connection only looks after a journal that was left behind.
        """
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(BUSY_PAUSE)

    @classmethod
    def memory(cls) -> Store:
        """A store without a file, for trying things and for tests."""
        connection = sqlite3.connect(":memory:")
        _new().backup(connection)
        return cls(connection, None)

    @property
    def files(self) -> Path:
        """The folder beside the store: checkpoints, cached vectors, reports, locks."""
        if self.path is None:
            raise ValueError("a store in memory has no folder")
        folder = Path(f"{self.path}.files")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def locks(self) -> Path:
        """The folder of the locks by which processes keep out of each other's runs."""
        folder = self.files / "locks"
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        self.connection.close()

    def rows(self, sql: str, parameters: Any = ()) -> list[Any]:
        """All rows of a query, read at once so that no cursor stays open while something is written."""
        with self._explained():
            return self.connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Any = ()) -> Any:
        """The first row of a query, or None."""
        with self._explained():
            return self.connection.execute(sql, parameters).fetchone()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) or error from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is stored or none. Raises Problem where the file cannot take it."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise explain(error, self.path) or error from error

    def begin(
        self, stage: str, version: int, config: Any, parent: str | None, environment: dict[str, str] | None = None
    ) -> Run:
        """The run for this stage, config and parent: the one that is there already, or a new row."""
        plain = as_config(config)
        id = run_id(stage, version, parent, plain)
        if self.one("SELECT 1 FROM runs WHERE id = ?", [id]) is None:
            with self.writing() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO runs (id, stage, version, parent, config, environment, started)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [id, stage, version, parent, canonical(plain), canonical(_versions() | (environment or {})), now()],
                )
        return self.run(id)

    def finish(self, run: Run, counts: dict[str, Any]) -> None:
        """Mark a run complete, with its counts beside what it spent."""
        with self.writing() as connection:
            (before,) = connection.execute("SELECT counts FROM runs WHERE id = ?", [run.id]).fetchone()
            connection.execute(
                "UPDATE runs SET finished = coalesce(finished, ?), counts = ? WHERE id = ?",
                [now(), canonical({**json.loads(before), **counts}), run.id],
            )

    def run(self, id: str) -> Run:
        """The run with exactly this id."""
        row = self.one("SELECT id, stage, version, parent, config, finished, counts FROM runs WHERE id = ?", [id])
        return Run(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], json.loads(row[6]))

    def find(self, name: str, stages: tuple[str, ...]) -> Run:
        """The run that `name` means: an id, a unique prefix of one, or `latest` (newest finished of `stages`, best first)."""
        if name == "latest":
            for stage in stages:
                row = self.one(
                    "SELECT id FROM runs WHERE stage = ? AND finished IS NOT NULL ORDER BY finished DESC, rowid DESC",
                    [stage],
                )
                if row:
                    return self.run(row[0])
            raise Problem(
                f"there is no finished {' or '.join(stages)} run in {self.path}", f"run `multicsr {stages[0]}` first"
            )
        found = self.rows(
            "SELECT id, stage FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 9", [len(name), name]
        )
        if not found or not name:
            raise Problem(f"no run begins with {name!r} in {self.path}", "`multicsr runs` lists them")
        if len(found) > 1:
            some = ", ".join(f"{id} ({stage})" for id, stage in found[:8])
            raise Problem(f"{name!r} is ambiguous: {some}", "give more digits of the run you mean")
        id, stage = found[0]
        if stage not in stages:
            raise Problem(f"run {id} is a {stage} run", f"this command takes a {' or '.join(stages)} run")
        return self.run(id)

    def parent(self, run: Run) -> Run:
        """The run this one was made from."""
        if run.parent is None:
            raise ValueError(f"run {run.id} has no parent")
        return self.run(run.parent)

    @contextmanager
    def only_writer(self, run: Run) -> Iterator[None]:
        """Hold the right to write `run`; a second process asking for it is refused at once."""
        if self.path is None:
            yield
            return
        lock = FileLock(self.locks / f"{run.id}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Problem(
                f"run {run.id} is being written by another process", "wait for it to end, or stop it, then try again"
            ) from None
        try:
            yield
        finally:
            lock.release()


@cache
def _new() -> sqlite3.Connection:
    """A store without rows, to copy: the schema takes a hundred times as long as a copy."""
    from store import migrations

    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrations.apply(connection)
    return connection


def spend(connection: sqlite3.Connection, run: Run, spent: Mapping[str, int] | None) -> None:
    """Add to what `run` spent so far, in the transaction that stores what it was spent on."""
    if spent:
        (counts,) = connection.execute("SELECT counts FROM runs WHERE id = ?", [run.id]).fetchone()
        before = json.loads(counts)
        total = {name: before.get(name, 0) + number for name, number in spent.items()}
        connection.execute("UPDATE runs SET counts = ? WHERE id = ?", [canonical({**before, **total}), run.id])


def now() -> str:
    """UTC, ISO 8601 with microseconds, so that text order is time order."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def explain(error: sqlite3.Error, path: Path | None) -> Problem | None:
    """The Problem behind an SQLite error the user can mend, or None for one that is our own mistake."""
    text = str(error)
    known = [
        ("file is not a database", "is not an SQLite file", "give another --db PATH"),
        ("malformed", "is damaged", "restore a copy, or salvage it with `sqlite3 FILE .recover`"),
        ("readonly", "is read-only", "make the file and its folder writable, or give another --db PATH"),
        ("locked", "is held by another writer", "wait for it to finish, or close the program that holds it"),
        ("disk is full", "cannot grow: the disk is full", "free some space; what was written before is safe"),
        ("disk I/O error", "cannot be written: the disk failed or is full", "check the disk, then run it again"),
        ("unable to open", "cannot be opened", "check that its folder exists and is writable"),
    ]
    for sign, what, remedy in known:
        if sign in text:
            return Problem(f"the store {path} {what}", remedy)
    return None


def _refuse_unusable(path: Path, create: bool, write: bool) -> None:
    if path.is_dir():
        raise Problem(f"{path} is a folder", "--db takes a file, such as multicsr.db")
    if not path.exists():
        if not create:
            raise Problem(f"there is no store at {path}", "give --db PATH, or run `multicsr gen` first")
        if not path.resolve().parent.is_dir():
            raise Problem(f"the folder {path.resolve().parent} does not exist", "create it, or give another --db PATH")
    elif write and not _may_write(path):
        raise Problem(f"the store {path} is read-only", "make it writable (chmod u+w), or give another --db PATH")


def _may_write(path: Path) -> bool:
    # Asked of the mode bits too: for root every file is writable, but somebody who ran `chmod a-w` meant it.
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def _is_store(store: Store, path: Path) -> bool:
    """True for a multicsr store this version can read, False for an empty file. Raises Problem for anything else."""
    tables = {row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return False
    (application,) = store.one("PRAGMA application_id")
    if application == schema.APPLICATION_ID and "runs" not in tables:
        return False  # its creation was cut short; migrations take it up where they stopped
    if application != schema.APPLICATION_ID:
        raise Problem(f"{path} is an SQLite file, but not a multicsr store", "give another --db PATH")
    (version,) = store.one("PRAGMA user_version")
    known, applied = set(schema.MIGRATIONS), _applied(store)
    if version > schema.newest() or applied - known:
        raise Problem(
            f"{path} was written by a newer multicsr (store version {max(version, len(applied | known))},"
            f" this one reads up to {schema.newest()})",
            "upgrade with `pip install -U multicsr`",
        )
    return True


def _is_behind(store: Store) -> bool:
    """Whether migrations are missing, or a migration was cut short before its version was noted."""
    (version,) = store.one("PRAGMA user_version")
    return version < schema.newest() or _applied(store) != set(schema.MIGRATIONS)


def _applied(store: Store) -> set[str]:
    return {row[0] for row in store.rows("SELECT name FROM _sqlite_migrations WHERE migration_set = 'multicsr'")}


@cache
def _versions() -> dict[str, str]:
    """What is installed, read once a process: `importlib.metadata` parses the whole description of each package."""
    found = {"sqlite": sqlite3.sqlite_version}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
