"""Drafts: the hypotheses as the LLM wrote them. Arrow: premise -> hypotheses."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from store.database import Store, spend
from store.records import DraftRow, Premise, Run

# The condition on the one draft, or score, that every premise of a run has, whatever the run's roles are.
FIRST = "role IN ('entailment', 'rewrite-0')"


def keep_prompt_set(store: Store, digest: str, name: str, toml: str) -> None:
    """Store a prompt set as it was used, so that a later stage finds it though its file has changed or gone."""
    with store.writing() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO prompt_sets (digest, name, toml) VALUES (?, ?, ?)", [digest, name, toml]
        )


def prompt_set(store: Store, digest: str) -> tuple[str, str] | None:
    """(name, TOML text) of a stored prompt set."""
    row = store.one("SELECT name, toml FROM prompt_sets WHERE digest = ?", [digest])
    return (row[0], row[1]) if row else None


def gen_of(store: Store, run: Run) -> Run:
    """The gen run whose drafts a gen, score or curate run is over."""
    while run.stage != "gen":
        run = store.parent(run)
    return run


def missing(store: Store, run: Run, source: str, last: int, after: int, limit: int, first: int = 0) -> list[Premise]:
    """The next `limit` premises of `source` behind position `first` up to `last`, with an id above `after`, that `run`
    has not written."""
    return [
        Premise(*row)
        for row in store.rows(
            # By id from where the last window ended: through the index of positions each window would read the whole
            # source. EXCEPT walks premises and drafts side by side; a look-up for each premise takes twice as long.
            "SELECT premises.id, premises.text FROM ("
            " SELECT id FROM premises NOT INDEXED"
            " WHERE source = :source AND position > :first AND position <= :last AND id > :after"
            " EXCEPT SELECT premise FROM drafts WHERE run = :run AND premise > :after"
            " ORDER BY 1 LIMIT :limit) AS unwritten"
            " JOIN premises ON premises.id = unwritten.id ORDER BY premises.id",
            {"source": source, "first": first, "last": last, "after": after, "run": run.id, "limit": limit},
        )
    ]


def done(store: Store, run: Run) -> int:
    """How many premises have their hypotheses: those of a premise are stored together."""
    (count,) = store.one(f"SELECT count(*) FROM drafts WHERE run = ? AND {FIRST}", [run.id])
    return int(count)


def are_rewrites(store: Store, run: Run) -> bool:
    """Whether the hypotheses of a gen run are rewrites (CLAIF), which make pairs, not triplets."""
    row = store.one("SELECT role FROM drafts WHERE run = ? LIMIT 1", [run.id])
    return bool(row) and row[0].startswith("rewrite")


def written(store: Store, run: Run) -> int:
    """How many rows there are."""
    (count,) = store.one("SELECT count(*) FROM drafts WHERE run = ?", [run.id])
    return int(count)


def done_between(store: Store, run: Run, first: int, last: int) -> int:
    """The same for the premises behind position `first` up to `last`."""
    (count,) = store.one(
        "SELECT count(DISTINCT premise) FROM drafts JOIN premises ON premises.id = premise"
        " WHERE run = ? AND position > ? AND position <= ?",
        [run.id, first, last],
    )
    return int(count)


def add(store: Store, run: Run, rows: Sequence[DraftRow], spent: Mapping[str, int] | None = None) -> None:
    """Store the drafts of one batch, all roles of each of its premises, and what was `spent`, in one transaction."""
    with store.writing() as connection:
        insert(connection, run, rows)
        spend(connection, run, spent)


def insert(connection: sqlite3.Connection, run: Run, rows: Sequence[DraftRow]) -> None:
    """The same within a transaction of the caller's."""
    prompts: dict[str, int] = {}
    for text in {row.prompt for row in rows}:
        connection.execute("INSERT OR IGNORE INTO prompts (text) VALUES (?)", [text])
        (prompts[text],) = connection.execute("SELECT id FROM prompts WHERE text = ?", [text]).fetchone()
    (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM drafts").fetchone()
    connection.executemany(
        "INSERT INTO drafts (run, premise, role, text, raw, problem, prompt, masked, tokens)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.id, row.premise, row.role, row.text, row.raw, row.problem, prompts[row.prompt], row.masked, row.tokens)
            for row in rows
        ),
    )
    connection.execute("INSERT INTO drafts_fts (rowid, text) SELECT id, text FROM drafts WHERE id > ?", [before])


def counts(store: Store, run: Run) -> dict[str, int]:
    """Premises, hypotheses and, for each problem, the hypotheses that have it."""
    counted = {"premises": done(store, run)}
    (counted["hypotheses"],) = store.one("SELECT count(*) FROM drafts WHERE run = ?", [run.id])
    for problem, number in store.rows(
        "SELECT problem, count(*) FROM drafts WHERE run = ? AND problem IS NOT NULL GROUP BY problem", [run.id]
    ):
        counted[problem] = number
    return counted
