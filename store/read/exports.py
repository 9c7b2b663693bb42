"""Triplets with what became of them, as a stream for other programs. Arrow: none of its own; reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from store.database import Store
from store.read.triplets import View

# Premises read at once; no cursor is open between two windows.
PREMISES_AT_ONCE = 4096

# Which rows: the condition on a row of a run with decisions, and of one without.
CHOICES = {
    "kept": ("verdict = 'keep'", "e.text <> '' AND c.text <> '' AND reviewed.verdict IS NOT 'drop'"),
    "rejected": ("verdict = 'drop'", ""),
    "all": ("TRUE", "TRUE"),
}


class Exported(NamedTuple):
    """A triplet as it leaves the store; a and b are None without a score run, verdict and reason without a curate run."""

    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None
    verdict: str | None
    reason: str | None


def rows(store: Store, shown: View, which: str) -> Iterator[Exported]:
    """The rows `which` ('kept', 'rejected', 'all') of a gen, score or curate run, in the order of their premises.

    Without decisions 'kept' are the triplets one could train on, and nothing is 'rejected'. Streams.
    """
    decided, undecided = CHOICES[which]
    if shown.curate is not None:
        select = (
            "SELECT premises.text, iif(swapped, c.text, e.text), iif(swapped, e.text, c.text), a, b, verdict, reason"
            " FROM decisions JOIN premises ON premises.id = decisions.premise"
            " JOIN drafts AS e ON e.run = :gen AND e.premise = premises.id AND e.role = 'entailment'"
            " JOIN drafts AS c ON c.run = :gen AND c.premise = premises.id AND c.role = 'contradiction'"
            f" WHERE decisions.run = :curate AND {decided}"
        )
    else:
        select = (
            "SELECT premises.text, e.text, c.text, se.value, sc.value, reviewed.verdict,"
            " coalesce(e.problem, c.problem, iif(reviewed.verdict = 'drop', 'review', NULL))"
            " FROM drafts AS e JOIN premises ON premises.id = e.premise"
            " JOIN drafts AS c ON c.run = :gen AND c.premise = e.premise AND c.role = 'contradiction'"
            " LEFT JOIN scores AS se ON se.run = :score AND se.premise = e.premise AND se.role = 'entailment'"
            " LEFT JOIN scores AS sc ON sc.run = :score AND sc.premise = e.premise AND sc.role = 'contradiction'"
            " LEFT JOIN reviewed ON reviewed.run = :gen AND reviewed.premise = e.premise"
            f" WHERE e.run = :gen AND e.role = 'entailment' AND {undecided}"
        )
    runs = {
        "gen": shown.gen.id,
        "score": shown.score.id if shown.score else None,
        "curate": shown.curate.id if shown.curate else None,
    }
    before, last = store.one(
        "SELECT (SELECT min(premise) FROM drafts WHERE run = :gen) - 1, (SELECT max(premise) FROM drafts WHERE run = :gen)",
        {"gen": shown.gen.id},
    )
    for start in range(before or 0, last or 0, PREMISES_AT_ONCE):
        window = {"start": start, "stop": start + PREMISES_AT_ONCE}
        for row in store.rows(
            f"{select} AND premises.id > :start AND premises.id <= :stop ORDER BY premises.id", {**runs, **window}
        ):
            yield Exported(*row)
