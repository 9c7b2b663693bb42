"""Scores: how similar the LLM finds a hypothesis to its premise. Arrow: hypotheses -> scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from store.database import Store, spend
from store.records import Run, ScoreRow


class Unscored(NamedTuple):
    """A premise of a gen run whose two hypotheses have no score yet."""

    premise: int
    text: str
    entailment: str
    contradiction: str


def missing(store: Store, run: Run, after: int, limit: int) -> list[Unscored]:
    """The next `limit` premises with an id above `after` that the parent gen run has written and `run` has not scored."""
    return [
        Unscored(*row)
        for row in store.rows(
            "SELECT e.premise, premises.text, e.text, c.text FROM drafts AS e"
            " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
            " JOIN premises ON premises.id = e.premise"
            " WHERE e.run = :parent AND e.role = 'entailment' AND e.premise > :after"
            " AND NOT EXISTS (SELECT 1 FROM scores WHERE run = :run AND premise = e.premise)"
            " ORDER BY e.premise LIMIT :limit",
            {"parent": run.parent, "after": after, "run": run.id, "limit": limit},
        )
    ]


def done(store: Store, run: Run) -> int:
    """How many premises have a row for both hypotheses, read or not."""
    (count,) = store.one("SELECT count(*) FROM scores WHERE run = ? AND role = 'entailment'", [run.id])
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
