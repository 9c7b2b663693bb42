"""The texts of the few premises that are looked at, whole: with prompts and replies, and beside what other runs wrote.

Arrow: store -> screen. Each query reads a page or one triplet, whatever the size of the run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from store.database import Store
from store.read.runs import View
from store.read.triplets import full_text_query
from store.records import ROLES, Role, Run


class Texts(NamedTuple):
    """A triplet as it was written, with the place of its premise in its source."""

    source: str
    position: int
    premise: str
    entailment: str
    contradiction: str


class Side(NamedTuple):
    """One hypothesis with all that is known of it."""

    role: Role
    text: str
    raw: str | None
    problem: str | None
    prompt: str
    tokens: int
    value: float | None
    reply: str | None


class Elsewhere(NamedTuple):
    """What another gen run wrote for the same premise, with its scores where it has some."""

    gen: Run
    entailment: str
    contradiction: str
    a: float | None
    b: float | None


def with_words(store: Store, gen: Run, search: str) -> list[int]:
    """The premises in whose texts the words of `search` occur, the last one as a beginning."""
    rows = store.rows(
        "SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search UNION SELECT premise FROM drafts"
        " WHERE run = :gen AND id IN (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search)",
        {"gen": gen.id, "search": full_text_query(search)},
    )
    return [id for (id,) in rows]


def texts(store: Store, gen: Run, premises: Sequence[int]) -> dict[int, Texts]:
    """The triplets of these premises, as they were written."""
    # CROSS JOIN keeps the order of the joins: from the few premises that are asked for.
    rows = store.rows(
        "SELECT premises.id, premises.source, premises.position, premises.text, e.text, c.text"
        " FROM json_each(:ids) AS wanted CROSS JOIN premises ON premises.id = wanted.value"
        " CROSS JOIN drafts AS e ON e.run = :gen AND e.premise = premises.id AND e.role = 'entailment'"
        " CROSS JOIN drafts AS c ON c.run = :gen AND c.premise = premises.id AND c.role = 'contradiction'",
        {"ids": json.dumps([int(id) for id in premises]), "gen": gen.id},
    )
    return {row[0]: Texts(*row[1:]) for row in rows}


def sides(store: Store, shown: View, premise: int) -> list[Side]:
    """Both hypotheses of one premise, the entailment first."""
    rows = store.rows(
        "SELECT hypotheses.role, text, raw, problem, prompt, tokens, value, reply FROM hypotheses"
        " LEFT JOIN scores ON scores.run = :score AND scores.premise = :premise AND scores.role = hypotheses.role"
        " WHERE hypotheses.run = :gen AND hypotheses.premise = :premise",
        {"gen": shown.gen.id, "score": shown.score.id if shown.score else None, "premise": premise},
    )
    return sorted((Side(*row) for row in rows), key=lambda side: ROLES.index(side.role))


def elsewhere(store: Store, gen: Run, premise: int) -> list[Elsewhere]:
    """The same premise in other gen runs, newest first, each with the scores of its newest finished score run."""
    rows = store.rows(
        "SELECT e.run, e.text, c.text, se.value, sc.value FROM runs AS gen"
        " CROSS JOIN drafts AS e ON e.run = gen.id AND e.premise = :premise AND e.role = 'entailment'"
        " CROSS JOIN drafts AS c ON c.run = gen.id AND c.premise = :premise AND c.role = 'contradiction'"
        " LEFT JOIN runs AS score ON score.id = (SELECT id FROM runs WHERE parent = gen.id AND stage = 'score'"
        "  AND finished NOTNULL ORDER BY finished DESC, rowid DESC LIMIT 1)"
        " LEFT JOIN scores AS se ON se.run = score.id AND se.premise = :premise AND se.role = 'entailment'"
        " LEFT JOIN scores AS sc ON sc.run = score.id AND sc.premise = :premise AND sc.role = 'contradiction'"
        " WHERE gen.stage = 'gen' AND gen.id <> :gen ORDER BY gen.started DESC, gen.rowid DESC",
        {"gen": gen.id, "premise": premise},
    )
    return [Elsewhere(store.run(run), *rest) for run, *rest in rows]
