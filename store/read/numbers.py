"""The numbers of every premise of a run, for arrays: read window by window, so that nothing holds up a screen or a writer.

Arrow: store -> numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from store.database import Store
from store.records import Run
from store.views import PAIRED

# Premises read at once: a few hundredths of a second.
WINDOW = 50_000


def data_version(store: Store) -> int:
    """A number that changes when another connection has written."""
    (version,) = store.one("PRAGMA data_version")
    return int(version)


def drafted(store: Store, gen: Run) -> Iterator[list[tuple[int]]]:
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


def first_problems(store: Store, gen: Run) -> dict[int, str]:
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


def at(store: Store, gen: Run, position: int) -> int | None:
    """The premise at a position (from 1) of the source that `gen` reads."""
    row = store.one("SELECT id FROM premises WHERE source = ? AND position = ?", [gen.config.get("premises"), position])
    return int(row[0]) if row else None
