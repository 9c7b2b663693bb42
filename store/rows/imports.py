"""Triplets made elsewhere, as premises and drafts. Arrow: a file of triplets -> premise and hypotheses.

A source holds a text once, but a corpus may have several triplets of one premise: the second goes to the source's second
layer, `NAME (2)`, and so on, so none is lost and every premise of the run still has its two hypotheses.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from store.database import Store, now
from store.records import DraftRow, Run, Triplet
from store.rows import drafts

# (position in the file, premise, rewrite, its problem)
PairRow = tuple[int, str, str, str | None]

# (position in the file, triplet, problem of the entailment, problem of the contradiction)
TripletRow = tuple[int, Triplet, str | None, str | None]


def add(store: Store, run: Run, source: str, path: str, digest: str, rows: Sequence[TripletRow]) -> None:
    """Store the next `rows` of a corpus, premises and both hypotheses of each, in one transaction."""
    with store.writing() as connection:
        (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM premises").fetchone()
        left, layer = list(rows), 1
        while left:
            name = source if layer == 1 else f"{source} ({layer})"
            connection.execute(
                "INSERT OR IGNORE INTO sources (name, path, digest, rows) VALUES (?, ?, ?, 0)", [name, path, digest]
            )
            ids = _placed(connection, name, left)
            drafts.insert(
                connection, run, [draft for row in left if row[0] in ids for draft in _drafts(ids[row[0]], row)]
            )
            left, layer = [row for row in left if row[0] not in ids], layer + 1
        connection.execute(
            "INSERT INTO premises_fts (rowid, text) SELECT id, text FROM premises WHERE id > ?", [before]
        )


def add_pairs(store: Store, run: Run, source: str, path: str, digest: str, rows: Sequence[PairRow]) -> None:
    """Store the next `rows` of a corpus of pairs in one transaction; a premise has as many rewrites as rows."""
    with store.writing() as connection:
        (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM premises").fetchone()
        connection.execute(
            "INSERT OR IGNORE INTO sources (name, path, digest, rows) VALUES (?, ?, ?, 0)", [source, path, digest]
        )
        connection.executemany(
            "INSERT OR IGNORE INTO premises (source, position, text) VALUES (?, ?, ?)",
            ((source, position, premise) for position, premise, _, _ in rows),
        )
        named = _counted(connection, "drafts", run, source, [premise for _, premise, _, _ in rows])
        drafts.insert(
            connection,
            run,
            [
                DraftRow(id, role, text, None, problem, "", 0)
                for (id, role), (_, _, text, problem) in zip(named, rows, strict=True)
            ],
        )
        connection.execute(
            "INSERT INTO premises_fts (rowid, text) SELECT id, text FROM premises WHERE id > ?", [before]
        )


def _counted(
    connection: sqlite3.Connection, table: str, run: Run, source: str, premises: Sequence[str]
) -> list[tuple[int, str]]:
    """(premise, role) of each next pair of a run: its rewrites are counted from 0, in the order of the file."""
    known: dict[str, tuple[int, int]] = {}  # text -> (id, rewrites so far)
    named = []
    for text in premises:
        if text not in known:
            known[text] = connection.execute(
                f"SELECT id, (SELECT count(*) FROM {table} WHERE run = ? AND premise = premises.id) FROM premises"
                " WHERE source = ? AND text = ?",
                [run.id, source, text],
            ).fetchone()
        id, count = known[text]
        named.append((id, f"rewrite-{count}"))
        known[text] = (id, count + 1)
    return named


def next_pairs(store: Store, run: Run, source: str, premises: Sequence[str]) -> list[tuple[int, str]]:
    """(premise, role) of the next pairs of which a score run has no scores yet, these premises' in the order of the file."""
    return _counted(store.connection, "scores", run, source, premises)


def _placed(connection: sqlite3.Connection, source: str, rows: Sequence[TripletRow]) -> dict[int, int]:
    """The premises that this layer has room for: position -> id. The others' texts are in it already."""
    connection.executemany(
        "INSERT OR IGNORE INTO premises (source, position, text) VALUES (?, ?, ?)",
        ((source, position, triplet.premise) for position, triplet, _, _ in rows),
    )
    return dict(
        connection.execute(
            "SELECT position, id FROM premises WHERE source = ? AND position BETWEEN ? AND ?",
            [source, rows[0][0], rows[-1][0]],
        )
    )


def _drafts(premise: int, row: TripletRow) -> Iterator[DraftRow]:
    _, triplet, entailment_problem, contradiction_problem = row
    yield DraftRow(premise, "entailment", triplet.entailment, None, entailment_problem, "", 0)
    yield DraftRow(premise, "contradiction", triplet.contradiction, None, contradiction_problem, "", 0)


def complete(store: Store, source: str) -> None:
    """Mark all layers of a corpus as imported, with the rows each holds."""
    with store.writing() as connection:
        connection.execute(
            "UPDATE sources SET imported = ?, duplicates = 0,"
            " rows = (SELECT count(*) FROM premises WHERE source = sources.name)"
            " WHERE name = ? OR substr(name, 1, length(?) + 2) = ? || ' ('",
            [now(), source, source, source],
        )


def premises_at(store: Store, run: Run, first: int, last: int) -> dict[int, int]:
    """The premises of an imported run from one position in its file to another: position -> id."""
    (low, high) = store.one("SELECT min(premise), max(premise) FROM drafts WHERE run = ?", [run.id])
    return dict(
        store.rows(
            "SELECT position, premises.id FROM premises JOIN drafts ON drafts.premise = premises.id AND role = 'entailment'"
            " WHERE drafts.run = ? AND position BETWEEN ? AND ? AND premises.id BETWEEN ? AND ?",
            [run.id, first, last, low, high],
        )
    )
