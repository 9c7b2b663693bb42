"""Sentence vectors, computed once per (model, text) and kept in a file of their own beside the store.

They are large and can be computed again, so they do not swell the store that people copy and query. A vector is bytes
here: the float32 numbers of one row, little-endian.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from store.database import Store
from store.opening import BUSY_SECONDS, explain

# Rows read at once; below SQLite's limit on parameters in every build.
ROWS_AT_ONCE = 500

# Several vectors fit on a page. On SQLite's usual 4096 bytes, and in the order of their keys, each took up to three times its
# size.
PAGE_BYTES = 16384


def cached(
    store: Store, model: str, windows: Iterable[Sequence[str]], encode: Callable[[list[str]], Iterable[bytes]]
) -> Iterator[list[bytes]]:
    """The vectors of each window's texts for `model` (a fingerprint), in their order, a window at a time.

    Those that are not in the cache are computed and stored, in one transaction a window. A store in memory keeps none
    beyond the call.
    """
    with _open(store) as connection:
        for texts in windows:
            keys = [_key(text) for text in texts]
            known = _read(connection, model, keys)
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
            if missing:
                computed = dict(zip(missing, encode(list(missing.values())), strict=True))
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT OR IGNORE INTO vectors (model, text, vector) VALUES (?, ?, ?)",
                    ((model, key, vector) for key, vector in computed.items()),
                )
                connection.execute("COMMIT")
                known |= computed
            yield [known[key] for key in keys]


def forget(store: Store, model: str, texts: Iterable[str]) -> None:
    """Take the vectors of `texts` by `model` out of the cache, so that to compute them again costs what it did."""
    with _open(store) as connection:
        connection.execute("BEGIN IMMEDIATE")
        keys = ((model, _key(text)) for text in texts)
        connection.executemany("DELETE FROM vectors WHERE model = ? AND text = ?", keys)
        connection.execute("COMMIT")


@contextmanager
def _open(store: Store) -> Iterator[sqlite3.Connection]:
    path = store.files / "vectors.db" if store.path is not None else None
    connection = sqlite3.connect(path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file; an old one keeps its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL,"
            " PRIMARY KEY (model, text)) STRICT"
        )
        yield connection
    except sqlite3.Error as error:
        raise explain(error, path) or error from error
    finally:
        connection.close()


def _read(connection: sqlite3.Connection, model: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """The vectors there are, by key."""
    known: dict[bytes, bytes] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        part = keys[start : start + ROWS_AT_ONCE]
        marks = ", ".join("?" * len(part))
        known.update(
            connection.execute(
                f"SELECT text, vector FROM vectors WHERE model = ? AND text IN ({marks})", [model, *part]
            ).fetchall()
        )
    return known


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
