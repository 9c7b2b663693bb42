"""Opening a file as a store: what is refused, how a new one is made, and what SQLite's errors mean to a user.

Nothing of a file that is refused is touched.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from store import schema
from store.problem import Problem

# Our own writes take milliseconds; waiting longer than this means somebody holds the store open in a transaction.
BUSY_SECONDS = 5.0

# Between two tries where SQLite does not wait itself; what is waited for takes less than a millisecond.
BUSY_PAUSE = 0.005

# Creating or upgrading the schema takes far less, on any disk.
SCHEMA_SECONDS = 60.0

# Memory for pages of the file while writing. SQLite's own 2 MB halve the speed of importing a million premises.
CACHE_KIB = 64 * 1024


def connect(path: Path, create: bool, write: bool) -> sqlite3.Connection:
    """A connection to the store at `path`, whose schema is this version's.

    Raises Problem, or sqlite3.Error for what `explain` explains.
    """
    refuse_unusable(path, create, write)
    if write:
        with _closed_if_refused(_connected(path)) as connection:
            if not _is_current(connection, path):
                _make_current(connection, path)
            # In WAL mode NORMAL can lose the last commits on power loss but never on `kill -9`, and never corrupts.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return connection
    # A reader needs to create the WAL's shared memory; where the folder forbids it, nobody can be writing either.
    # What a killed writer left in the WAL is only seen by a reader that opens it.
    wal = path.with_name(f"{path.name}-wal")
    unread = wal.exists() and wal.stat().st_size > 0
    writable = unread or (_may_write(path) and os.access(path.resolve().parent, os.W_OK))
    place = f"{path.resolve().as_uri()}?mode=ro" + ("" if writable else "&immutable=1")
    with _closed_if_refused(_connected(place)) as connection:
        if _is_current(connection, path):
            return connection
        if not _has_runs(connection):
            raise Problem(f"{path} is an empty store", "run `multicsr gen` first")
    connection.close()
    connect(path, create, write=True).close()  # a reader may be the first to come after an upgrade
    return connect(path, create, write)


@contextmanager
def _closed_if_refused(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Leave no connection to a file that is refused: whenever it was closed, it would write another's WAL into the file."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _connected(place: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, uri=isinstance(place, str))
    connection.isolation_level = None
    return connection


def files(path: Path) -> Path:
    """The folder beside the store at `path`, made where there is none."""
    folder = Path(f"{path}.files")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def locks(path: Path) -> Path:
    """The folder of locks of the store at `path`, made where there is none."""
    folder = files(path) / "locks"
    folder.mkdir(exist_ok=True)
    return folder


def refuse_unusable(path: Path, create: bool, write: bool) -> None:
    if path.is_dir():
        raise Problem(f"{path} is a folder", "give a file, such as multicsr.db")
    if not path.exists():
        if not create:
            raise Problem(f"there is no store at {path}", "give db=PATH, or run `multicsr gen` first")
        if not path.resolve().parent.is_dir():
            raise Problem(f"the folder {path.resolve().parent} does not exist", "create it, or give another db=PATH")
    elif write and not _may_write(path):
        raise Problem(f"the store {path} is read-only", "make it writable (chmod u+w), or give another db=PATH")


def _may_write(path: Path) -> bool:
    # Asked of the mode bits too: for root every file is writable, but somebody who ran `chmod a-w` meant it.
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def _is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a store with this version's schema; False for an empty or half-made one, or one that is behind.

    Raises Problem for a file of another program and for a store of a newer version or an earlier layout.
    """
    tables = _tables(connection)
    if not tables:
        return False
    if _number(connection, "application_id") != schema.APPLICATION_ID:
        raise Problem(f"{path} is an SQLite file, but not a multicsr store", "give another db=PATH")
    if "runs" not in tables:
        return False  # its creation was cut short; migrations take it up where they stopped
    version = _number(connection, "user_version")
    if version < schema.FIRST_VERSION:
        raise Problem(
            f"{path} is a store of an earlier layout (store version {version}; this multicsr reads from"
            f" {schema.FIRST_VERSION})",
            "`multicsr export` its triplets with the version that made it, or make it anew in another file",
        )
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'multicsr'").fetchall()
    known, applied = set(schema.MIGRATIONS), {name for (name,) in rows}
    if version > schema.newest() or applied - known:
        raise Problem(
            f"{path} was written by a newer multicsr (store version {max(version, schema.newest() + len(applied - known))},"
            f" this one reads up to {schema.newest()})",
            "upgrade with `pip install -U multicsr`",
        )
    return applied == known


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}


def _has_runs(connection: sqlite3.Connection) -> bool:
    return "runs" in _tables(connection)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def _make_current(connection: sqlite3.Connection, path: Path) -> None:
    """Create the schema, or bring it up to date; of several processes one does it and the others wait.

    In one transaction that is a writer's from its start: one that began by reading would be refused, without waiting, where
    another connection opens the file at the wrong moment.
    """
    from store import migrations

    try:
        lock = FileLock(locks(path) / "schema.lock")
        with lock.acquire(timeout=SCHEMA_SECONDS, poll_interval=BUSY_PAUSE):
            if _is_current(connection, path):
                return  # another process has done it meanwhile
            _use_write_ahead_log(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                migrations.apply(connection)
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except Timeout:
        raise Problem(
            f"the store {path} is being created or upgraded by another process", "wait for it, then try again"
        ) from None


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL mode, waiting as long as for any write.

    SQLite does not wait where a statement that has read goes on to write, as this one does: it gives up at once, even where
    the other connection only looks after a journal that was left behind.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_PAUSE)


def explain(error: sqlite3.Error, path: Path | None) -> Problem | None:
    """The Problem behind an SQLite error the user can mend, or None for one that is our own mistake."""
    text = str(error)
    known = [
        ("file is not a database", "is not an SQLite file", "give another db=PATH"),
        ("malformed", "is damaged", "restore a copy, or salvage it with `sqlite3 FILE .recover`"),
        ("readonly", "is read-only", "make the file and its folder writable, or give another db=PATH"),
        ("locked", "is held by another writer", "wait for it to finish, or close the program that holds it"),
        ("disk is full", "cannot grow: the disk is full", "free some space; what was written before is safe"),
        ("disk I/O error", "cannot be written: the disk failed or is full", "check the disk, then run it again"),
        ("unable to open", "cannot be opened", "check that its folder exists and is writable"),
    ]
    for sign, what, remedy in known:
        if sign in text:
            return Problem(f"the store {path} {what}", remedy)
    return None
