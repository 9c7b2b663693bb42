"""Scores: how similar the LLM finds a hypothesis to its premise. Arrow: hypotheses -> scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from store.database import Store, spend
from store.records import Run, ScoreRow
from store.rows.drafts import FIRST


class Unscored(NamedTuple):
    """A premise of a gen run whose hypotheses, (role, text) each, have no score yet."""

    premise: int
    text: str
    hypotheses: tuple[tuple[str, str], ...]


def missing(store: Store, run: Run, after: int, limit: int) -> list[Unscored]:
    """The next `limit` premises with an id above `after` that the parent gen run has written and `run` has not scored."""
    written = store.rows(
        f"WITH unscored AS MATERIALIZED (SELECT premise FROM drafts WHERE run = :parent AND {FIRST} AND premise > :after"
        "  AND NOT EXISTS (SELECT 1 FROM scores WHERE run = :run AND premise = drafts.premise)"
        "  ORDER BY premise LIMIT :limit)"
        " SELECT premises.id, premises.text, drafts.role, drafts.text FROM unscored"
        " CROSS JOIN premises ON premises.id = unscored.premise"
        " CROSS JOIN drafts ON drafts.run = :parent AND drafts.premise = unscored.premise"
        " ORDER BY premises.id, drafts.id",
        {"parent": run.parent, "after": after, "run": run.id, "limit": limit},
    )
    return [
        Unscored(premise, text, tuple((role, hypothesis) for *_, role, hypothesis in rows))
        for (premise, text), rows in groupby(written, key=lambda row: row[:2])
    ]


def done(store: Store, run: Run) -> int:
    """How many premises have a row for each of their hypotheses, read or not."""
    (count,) = store.one(f"SELECT count(*) FROM scores WHERE run = ? AND {FIRST}", [run.id])
    return int(count)


def written(store: Store, run: Run) -> int:
    """How many rows there are."""
    (count,) = store.one("SELECT count(*) FROM scores WHERE run = ?", [run.id])
    return int(count)


def add(store: Store, run: Run, rows: Sequence[ScoreRow], spent: Mapping[str, int] | None = None) -> None:
    """Store the scores of one batch, and what was `spent`, in one transaction."""
    with store.writing() as connection:
        connection.executemany(
            "INSERT INTO scores (run, premise, role, value, reply) VALUES (?, ?, ?, ?, ?)",
            ((run.id, row.premise, row.role, row.value, row.reply) for row in rows),
        )
        spend(connection, run, spent)


def counts(store: Store, run: Run) -> dict[str, int]:
    """Hypotheses with a score, and those whose reply could not be read."""
    scored, rows = store.one("SELECT count(value), count(*) FROM scores WHERE run = ?", [run.id])
    return {"scored": scored, "unparsable": rows - scored}
