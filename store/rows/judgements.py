"""Judgements: how similar the LLM finds the two sentences of a task's pair. Arrow: sentence pairs -> metric ± error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from store.database import Store, spend
from store.records import Run


class JudgementRow(NamedTuple):
    """The similarity of one pair in [0, 5], or None where `reply` could not be read.

    `position` counts the pairs of a subset from 1; '' is the subset of a task without parts.
    """

    subset: str
    position: int
    value: float | None
    reply: str


def add(
    store: Store, run: Run, task: str, rows: Sequence[JudgementRow], spent: Mapping[str, int] | None = None
) -> None:
    """Store the judgements of one batch, and what was `spent`, in one transaction."""
    with store.writing() as connection:
        connection.executemany(
            "INSERT INTO judgements (run, task, subset, position, value, reply) VALUES (?, ?, ?, ?, ?, ?)",
            ((run.id, task, *row) for row in rows),
        )
        spend(connection, run, spent)


def values(store: Store, run: Run, task: str) -> dict[tuple[str, int], float | None]:
    """The value of every pair of `task` that has been judged, by (subset, position)."""
    return {
        (subset, position): value
        for subset, position, value in store.rows(
            "SELECT subset, position, value FROM judgements WHERE run = ? AND task = ?", [run.id, task]
        )
    }


def counts(store: Store, run: Run) -> dict[str, int]:
    """Pairs with a score, and those whose reply could not be read."""
    scored, rows = store.one("SELECT count(value), count(*) FROM judgements WHERE run = ?", [run.id])
    return {"scored": scored, "unparsable": rows - scored}
