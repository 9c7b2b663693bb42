"""Premises: unlabeled sentences of one source each. Arrow: a source of text -> premise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from store.database import Store, now
from store.records import Shard

# Rows of one transaction: the index of texts is written all over, so many rows at once write each of its pages less often;
# few enough that another writer waits a second or two.
ROWS_AT_ONCE = 50_000


def is_imported(store: Store, source: str) -> bool:
    """Whether all of `source` is in the store."""
    row = store.one("SELECT imported FROM sources WHERE name = ?", [source])
    return bool(row and row[0])


def source(store: Store, name: str) -> tuple[str, str, int] | None:
    """(path, digest, rows) of a source of which all is in the store, None for any other."""
    row = store.one("SELECT path, digest, rows FROM sources WHERE name = ? AND imported IS NOT NULL", [name])
    return (str(row[0]), str(row[1]), int(row[2])) if row else None


def add(
    store: Store, source: str, path: str, digest: str, rows: int, texts: Iterable[tuple[int, str]]
) -> Iterator[int]:
    """Store `texts` (position, text) of a source, yielding how many were read. A text is stored once a source.

    Streams: memory does not grow with the source. Stopped half-way, the same call goes on; a source is complete when
    its row carries the time of import and the number of duplicates.
    """
    with store.writing() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO sources (name, path, digest, rows) VALUES (?, ?, ?, ?)", [source, path, digest, rows]
        )
    pending, read = iter(texts), 0
    while batch := list(islice(pending, ROWS_AT_ONCE)):
        with store.writing() as connection:
            (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM premises").fetchone()
            connection.executemany(
                "INSERT OR IGNORE INTO premises (source, position, text) VALUES (?, ?, ?)",
                ((source, position, text) for position, text in batch),
            )
            connection.execute(
                "INSERT INTO premises_fts (rowid, text) SELECT id, text FROM premises WHERE id > ?", [before]
            )
        read += len(batch)
        yield read
    with store.writing() as connection:
        connection.execute(
            "UPDATE sources SET imported = ?, duplicates ="
            " rows - (SELECT count(*) FROM premises WHERE source = sources.name) WHERE name = ?",
            [now(), source],
        )


def duplicates(store: Store, source: str) -> int:
    """How many rows of an imported source repeated an earlier text."""
    (count,) = store.one("SELECT duplicates FROM sources WHERE name = ?", [source])
    return int(count)


def last_position(store: Store, source: str, limit: int | None) -> int:
    """The position up to which a run with this `limit` (a number of distinct premises) reads the source."""
    if limit is not None:
        row = store.one(
            "SELECT position FROM premises WHERE source = ? ORDER BY position LIMIT 1 OFFSET ?", [source, limit - 1]
        )
        if row:
            return int(row[0])
    (last,) = store.one("SELECT coalesce(max(position), 0) FROM premises WHERE source = ?", [source])
    return int(last)


def count(store: Store, source: str, limit: int | None) -> int:
    """How many premises a run with this `limit` has: those of an imported source are counted when it is imported."""
    (distinct,) = store.one("SELECT rows - duplicates FROM sources WHERE name = ?", [source])
    return int(distinct if limit is None else min(limit, distinct))


def bounds(store: Store, source: str, limit: int | None, shard: Shard) -> tuple[int, int, int]:
    """(first, last, count): a shard has the `count` premises behind position `first` up to position `last`.

    Shards are alike to one premise. Positions themselves are no measure: where every other line is blank, half of them
    belong to nobody.
    """
    total = count(store, source, limit)
    before, upto = ((shard.number - 1) * total // shard.count, shard.number * total // shard.count)
    first, last = (last_position(store, source, number) if number else 0 for number in (before, upto))
    return first, last, upto - before
