"""What the browser reads: the numbers of every premise of a run, and the texts of the few that are on the screen.

Arrow: store -> screen. Each query reads a bounded piece (a window of premises, a page, one triplet), so that none holds up
the screen or a writer, whatever the size of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from store.database import Store
from store.read.triplets import View, _words
from store.records import ROLES, Role, Run
from store.views import PAIRED

# Premises read at once: a few hundredths of a second.
WINDOW = 50_000


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


class Figure(NamedTuple):
    """A row of the leaderboard. `value` is correlation or accuracy x 100."""

    task: str
    subset: str
    metric: str
    value: float
    error: float | None
    n: int
    model: str
    trained: str | None
    run: str


def newest(store: Store) -> Run | None:
    """The run that was begun last, of those whose triplets can be shown."""
    row = store.one("SELECT id FROM runs WHERE stage IN ('gen', 'score', 'curate') ORDER BY started DESC, rowid DESC")
    return store.run(row[0]) if row else None


def data_version(store: Store) -> int:
    """A number that changes when another connection has written."""
    (version,) = store.one("PRAGMA data_version")
    return int(version)


def written(store: Store, gen: Run) -> Iterator[list[tuple[int]]]:
    """The premises for which `gen` has hypotheses, in order, window by window."""
    yield from _windows(
        store, "SELECT premise FROM drafts WHERE run = :run AND role = 'entailment' AND premise > :after", gen.id
    )


def scored(store: Store, score: Run) -> Iterator[list[tuple[int, float | None, float | None]]]:
    """(premise, a, b) of every premise that `score` has read, in order, window by window."""
    curated = store.one(
        "SELECT 1 FROM rules JOIN runs ON runs.id = rules.run WHERE score = ? AND finished NOTNULL", [score.id]
    )
    if curated:  # the two scores lie side by side already
        yield from _windows(store, "SELECT premise, a, b FROM pairs WHERE run = :run AND premise > :after", score.id)
        return
    paired = f"SELECT premise, a, b FROM ({PAIRED} WHERE run = :run AND premise > :after GROUP BY premise)"
    yield from _windows(store, paired, score.id)


def _windows(store: Store, sql: str, run: str) -> Iterator[list[Any]]:
    after = -1
    while True:
        rows = store.rows(f"{sql} ORDER BY premise LIMIT :limit", {"run": run, "after": after, "limit": WINDOW})
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def problems(store: Store, gen: Run) -> dict[int, str]:
    """The first problem of each premise that has one: the entailment's before the contradiction's."""
    return dict(  # of two rows of a premise the later one stays
        store.rows(
            "SELECT premise, problem FROM drafts WHERE run = ? AND problem NOTNULL ORDER BY premise, role", [gen.id]
        )
    )


def repeats(store: Store, curate: Run) -> dict[int, str]:
    """The premises that a curate run drops for how they read: copies and duplicates."""
    return dict(store.rows("SELECT premise, reason FROM repeats WHERE run = ?", [curate.id]))


def lengths(store: Store, gen: Run) -> Iterator[list[tuple[int, int, str]]]:
    """(premise, characters, source) of what `gen` has written, in order, window by window."""
    yield from _windows(
        store,
        "SELECT premise, length(premises.text), source FROM drafts JOIN premises ON premises.id = premise"
        " WHERE run = :run AND role = 'entailment' AND premise > :after",
        gen.id,
    )


def found(store: Store, gen: Run, search: str) -> list[int]:
    """The premises in whose texts the words of `search` occur, the last one as a beginning."""
    rows = store.rows(
        "SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search UNION SELECT premise FROM drafts"
        " WHERE run = :gen AND id IN (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search)",
        {"gen": gen.id, "search": _words(search)},
    )
    return [id for (id,) in rows]


def at(store: Store, gen: Run, position: int) -> int | None:
    """The premise at a position (from 1) of the source that `gen` reads."""
    row = store.one("SELECT id FROM premises WHERE source = ? AND position = ?", [gen.config.get("premises"), position])
    return int(row[0]) if row else None


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


def leaderboard(store: Store) -> list[Figure]:
    """The view `leaderboard`: whole tasks before their subsets, best first."""
    return [
        Figure(*row)
        for row in store.rows(
            "SELECT task, subset, metric, value, error, n, model, trained, run FROM leaderboard"
            " ORDER BY subset <> '', task, subset, metric, value DESC, run"
        )
    ]
