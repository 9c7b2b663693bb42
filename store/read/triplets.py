"""Triplets with what became of them: a page for `inspect`, a stream for other programs, a few for a report. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from store.database import Store
from store.read.runs import View

# Premises read at once; no cursor is open between two windows.
PREMISES_AT_ONCE = 4096

# (premise, verdict, reason) of every triplet of a curate run, and of a run without decisions, where only persons have spoken.
DECIDED = "SELECT premise, verdict, reason FROM decisions WHERE run = :curate"
UNDECIDED = """
    SELECT drafts.premise, reviewed.verdict, iif(reviewed.verdict = 'drop', 'review', NULL) AS reason FROM drafts
    LEFT JOIN reviewed ON reviewed.run = :gen AND reviewed.premise = drafts.premise
    WHERE drafts.run = :gen AND role = 'entailment'
"""

# Which triplets leave the store: the condition on one of a run with decisions, and of one without.
CHOICES = {
    "kept": ("verdict = 'keep'", "e.text <> '' AND c.text <> '' AND reviewed.verdict IS NOT 'drop'"),
    "rejected": ("verdict = 'drop'", ""),
    "all": ("TRUE", "TRUE"),
}

# Knuth's multiplicative hash: smallest first, it picks rows that lie far apart, the same ones whenever it is asked.
SPREAD = "(premise * 2654435761) % 4294967296"


class ListedTriplet(NamedTuple):
    """One premise with what became of it."""

    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None
    verdict: str | None
    reason: str | None
    premise_id: int


class ExportedTriplet(NamedTuple):
    """A triplet as it leaves the store; a and b are None without a score run, verdict and reason without a curate run."""

    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None
    verdict: str | None
    reason: str | None


class ExampleTriplet(NamedTuple):
    """One triplet, and what became of it."""

    position: int
    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None


def listed(
    store: Store,
    shown: View,
    *,
    rejected: bool = False,
    reason: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[ListedTriplet]:
    """A page of rows in the order of their premises. `search` finds words in premises and hypotheses."""
    where, values = ["TRUE"], shown.ids
    if rejected:
        where.append("verdict = 'drop'")
    if reason is not None:
        where.append("reason = :reason")
        values["reason"] = reason
    if search is not None:
        where.append(
            "premise IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search"
            " UNION SELECT premise FROM drafts WHERE run = :gen AND id IN"
            " (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search))"
        )
        values["search"] = full_text_query(search)
    every = DECIDED if shown.curate is not None else UNDECIDED
    # The page is chosen by numbers alone; texts are read for its rows only.
    page = store.rows(
        f"WITH page AS MATERIALIZED (SELECT * FROM ({every}) WHERE {' AND '.join(where)}"
        " ORDER BY premise LIMIT :limit OFFSET :offset)"
        " SELECT premises.text, e.text, c.text, se.value, sc.value, page.verdict, page.reason, page.premise"
        " FROM page JOIN premises ON premises.id = page.premise"
        " JOIN drafts AS e ON e.run = :gen AND e.premise = page.premise AND e.role = 'entailment'"
        " JOIN drafts AS c ON c.run = :gen AND c.premise = page.premise AND c.role = 'contradiction'"
        " LEFT JOIN scores AS se ON se.run = :score AND se.premise = page.premise AND se.role = 'entailment'"
        " LEFT JOIN scores AS sc ON sc.run = :score AND sc.premise = page.premise AND sc.role = 'contradiction'"
        " ORDER BY page.premise",
        {**values, "limit": limit, "offset": offset},
    )
    return [ListedTriplet(*row) for row in page]


def exported(store: Store, shown: View, which: str) -> Iterator[ExportedTriplet]:
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
    before, last = store.one(
        "SELECT (SELECT min(premise) FROM drafts WHERE run = :gen) - 1, (SELECT max(premise) FROM drafts WHERE run = :gen)",
        {"gen": shown.gen.id},
    )
    for start in range(before or 0, last or 0, PREMISES_AT_ONCE):
        window = {"start": start, "stop": start + PREMISES_AT_ONCE}
        for row in store.rows(
            f"{select} AND premises.id > :start AND premises.id <= :stop ORDER BY premises.id", {**shown.ids, **window}
        ):
            yield ExportedTriplet(*row)


def examples(store: Store, shown: View, reason: str | None, limit: int) -> list[ExampleTriplet]:
    """A few triplets dropped for `reason` (None: kept, or before curation: without a problem), spread over the run.

    Which ones depends on the run alone. They come in the order of their premises.
    """
    if shown.curate is not None:
        picked = "SELECT premise, a, b, swapped FROM decisions WHERE run = :curate AND reason IS :reason"
    else:
        picked = (
            "SELECT e.premise AS premise, NULL AS a, NULL AS b, 0 AS swapped FROM drafts AS e JOIN drafts AS c"
            " ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
            " WHERE e.run = :gen AND e.role = 'entailment' AND coalesce(e.problem, c.problem) IS :reason"
        )
    side = "(SELECT value FROM scores WHERE run = :score AND premise = picked.premise AND role = '{0}')"
    a = f"coalesce(picked.a, {side.format('entailment')})"
    b = f"coalesce(picked.b, {side.format('contradiction')})"
    return [
        ExampleTriplet(*row)
        for row in store.rows(
            f"WITH picked AS MATERIALIZED (SELECT * FROM ({picked}) ORDER BY {SPREAD}, premise LIMIT :limit)"
            " SELECT premises.position, premises.text, iif(swapped, c.text, e.text), iif(swapped, e.text, c.text),"
            f" {a}, {b} FROM picked JOIN premises ON premises.id = picked.premise"
            " JOIN drafts AS e ON e.run = :gen AND e.premise = picked.premise AND e.role = 'entailment'"
            " JOIN drafts AS c ON c.run = :gen AND c.premise = picked.premise AND c.role = 'contradiction'"
            " ORDER BY premises.position, picked.premise",
            {**shown.ids, "reason": reason, "limit": limit},
        )
    ]


def full_text_query(search: str) -> str:
    """What the user typed as a full-text query: all its words, the last one as a beginning; no query syntax."""
    words = re.findall(r"\w+", search)
    quoted = [f'"{word}"' for word in words]
    return " ".join(quoted) + "*" if quoted else '""'
