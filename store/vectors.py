"""Sentence vectors, computed once per (model, text) and kept in a file of their own beside the store.

They are large and can be computed again, so they do not swell the store that people copy and query. A vector is bytes
here: the float32 numbers of one row, little-endian.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from store.database import BUSY_SECONDS, Store, explain

# Rows read or written at once; below SQLite's limit on parameters in every build.
ROWS_AT_ONCE = 500


def cached(
    store: Store, model: str, texts: Sequence[str], encode: Callable[[list[str]], Iterable[bytes]], batch: int
) -> Iterator[tuple[int, int]]:
    """Compute the vectors of `texts` that are missing for `model` (a fingerprint), yielding (done, total)."""
    unique = list(dict.fromkeys(texts))
    with _open(store) as connection:
        missing = [
            text for text, vector in zip(unique, _read(connection, model, unique), strict=True) if vector is None
        ]
        done = len(unique) - len(missing)
        if missing:
            yield done, len(unique)
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            vectors = encode(part)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT OR IGNORE INTO vectors (model, text, vector) VALUES (?, ?, ?)",
                [(model, _key(text), vector) for text, vector in zip(part, vectors, strict=True)],
            )
            connection.execute("COMMIT")
            done += len(part)
            yield done, len(unique)


def read(store: Store, model: str, texts: Sequence[str]) -> list[bytes]:
    """The cached vectors of `texts`, in their order. Raises KeyError for a text that was never encoded."""
    with _open(store) as connection:
        found = _read(connection, model, texts)
    vectors = [vector for vector in found if vector is not None]
    if len(vectors) < len(texts):
        raise KeyError(f"{len(texts) - len(vectors)} texts have no vector of {model}")
    return vectors


@contextmanager
def _open(store: Store) -> Iterator[sqlite3.Connection]:
    path = store.files / "vectors.db"
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL,"
            " PRIMARY KEY (model, text)) STRICT, WITHOUT ROWID"
        )
        yield connection
    except sqlite3.Error as error:
        raise explain(error, path) or error from error
    finally:
        connection.close()


def _read(connection: sqlite3.Connection, model: str, texts: Sequence[str]) -> list[bytes | None]:
    keys = [_key(text) for text in texts]
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        part = keys[start : start + ROWS_AT_ONCE]
        marks = ", ".join("?" * len(part))
        found.update(
            connection.execute(
                f"SELECT text, vector FROM vectors WHERE model = ? AND text IN ({marks})", [model, *part]
            ).fetchall()
        )
    return [found.get(key) for key in keys]


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
