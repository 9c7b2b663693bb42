"""The store: one SQLite file and the folder beside it. Reads, writes in transactions, and keeps its runs.

Every write is one short `BEGIN IMMEDIATE` transaction in WAL mode, so readers never wait and a process killed at any
moment leaves the last whole batch. A run has one writer, held by a file lock that the operating system lets go when the
process dies.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from store import opening
from store.problem import Problem
from store.records import Run, as_config, canonical, run_id

# What `as_run` makes a run of.
RUN_COLUMNS = "id, stage, version, parent, config, finished, counts"

RECORDED_PACKAGES = ("multicsr", "torch", "transformers", "tokenizers", "numpy", "scipy")


class Store:
    """An open store. `files` is the folder for what is too big for a row; `read_only` stores refuse to write."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.is_promise = False  # of a file that is not there yet
        connection.isolation_level = None  # transactions are opened by `writing()`, never implicitly
        self.connection = connection
        connection.execute("PRAGMA foreign_keys = ON")

    @classmethod
    def open(cls, path: str | Path, create: bool = True, write: bool = True) -> Store:
        """Open (or create) the store at `path`. Raises Problem where that cannot be done, leaving the file as it was."""
        path = Path(path)
        try:
            return cls(opening.connect(path, create, write), path, read_only=not write)
        except sqlite3.Error as error:
            raise opening.explain(error, path) or error from error

    @classmethod
    def promised(cls, path: str | Path) -> Store:
        """The store at `path`, which is created at the first writing if it is not there: what is refused leaves no file.

        Raises Problem where it could not be opened or created.
        """
        path = Path(path)
        if path.exists():
            return cls.open(path)
        opening.refuse_unusable(path, create=True, write=True)
        store = cls.memory()
        store.path, store.is_promise = path, True
        return store

    def _keep_promise(self) -> None:
        assert self.path is not None
        created = Store.open(self.path)
        self.connection.close()
        self.connection, self.is_promise = created.connection, False

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
        return opening.files(self.path)

    @property
    def locks(self) -> Path:
        """The folder of the locks by which processes keep out of each other's runs."""
        if self.path is None:
            raise ValueError("a store in memory has no locks")
        return opening.locks(self.path)

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
            raise opening.explain(error, self.path) or error from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is stored or none. Raises Problem where the file cannot take it."""
        if self.is_promise:
            self._keep_promise()
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
            raise opening.explain(error, self.path) or error from error

    def begin(
        self, stage: str, version: int, config: Any, parent: str | None, environment: dict[str, str] | None = None
    ) -> Run:
        """The run for this stage, config and parent: the one that is there already, or a new row."""
        plain = as_config(config)
        id = run_id(stage, version, parent, plain)
        if self.known(id) is None:
            with self.writing() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO runs (id, stage, version, parent, config, environment, started)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [id, stage, version, parent, canonical(plain), canonical(_versions() | (environment or {})), now()],
                )
        return self.run(id)

    def finish(self, run: Run, counts: Mapping[str, Any]) -> Run:
        """Mark a run complete, with its counts beside what it spent; the finished run. Its first time of finishing stays."""
        with self.writing() as connection:
            (before,) = connection.execute("SELECT counts FROM runs WHERE id = ?", [run.id]).fetchone()
            connection.execute(
                "UPDATE runs SET finished = coalesce(finished, ?), counts = ? WHERE id = ?",
                [now(), canonical({**json.loads(before), **counts}), run.id],
            )
        return self.run(run.id)

    def known(self, id: str) -> Run | None:
        """The run with exactly this id, or None where nobody has begun it."""
        row = self.one(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", [id])
        return as_run(row) if row else None

    def run(self, id: str) -> Run:
        """The run with exactly this id. Raises ValueError where there is none."""
        known = self.known(id)
        if known is None:
            raise ValueError(f"there is no run {id}")
        return known

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
        begin_so = self.rows(
            "SELECT id, stage FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 9", [len(name), name]
        )
        if not begin_so or not name:
            raise Problem(f"no run begins with {name!r} in {self.path}", "`multicsr runs` lists them")
        if len(begin_so) > 1:
            some = ", ".join(f"{id} ({stage})" for id, stage in begin_so[:8])
            raise Problem(f"{name!r} is ambiguous: {some}", "give more digits of the run you mean")
        id, stage = begin_so[0]
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


def as_run(row: Sequence[Any]) -> Run:
    """The run of a row of RUN_COLUMNS."""
    id, stage, version, parent, config, finished, counts = row
    return Run(id, stage, version, parent, json.loads(config), finished, json.loads(counts))


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
    return datetime.now(UTC).isoformat(timespec="microseconds")


@cache
def _versions() -> dict[str, str]:
    """What is installed, read once a process: `importlib.metadata` parses the whole description of each package."""
    versions = {"sqlite": sqlite3.sqlite_version}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
