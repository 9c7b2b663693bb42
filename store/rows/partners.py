"""Pairs: which rewrites are kept as partners of their premise, and towards which similarity. Arrow: scores -> decision.

CLAIF decides on a pair at a time, so `partners` has a row a pair; premises are read and decided window by window, and what
is to be said of a premise's pairs depends on that premise alone, save its random partners, which are other premises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from store.database import Store
from store.records import Run
from store.rows.drafts import FIRST

PREMISES_AT_ONCE = 4096  # whose pairs are read for training; no cursor is open between two windows


class Rewrite(NamedTuple):
    """A rewrite as it is decided on; `score` in [0, 5]."""

    role: str
    text: str
    problem: str | None
    score: float | None


class Partner(NamedTuple):
    """A pair with its verdict: dropped iff there is a reason. `other` is the premise that a random partner is."""

    role: str
    other: int | None
    label: float | None
    reason: str | None


# (premise, its place among the run's premises, its rewrites) -> its pairs
Decide = Callable[[str, int, Sequence[Rewrite]], list[Partner]]


def premises(store: Store, gen: Run) -> list[int]:
    """The premises of a gen run, in order."""
    return [
        id for (id,) in store.rows(f"SELECT premise FROM drafts WHERE run = ? AND {FIRST} ORDER BY premise", [gen.id])
    ]


def decide(store: Store, run: Run, ids: Sequence[int], rule: Decide, at_once: int) -> Iterator[int]:
    """Decide on the pairs of every premise of `ids` by `rule`, `at_once` a transaction, yielding how many are done."""
    score = store.parent(run)
    done = decided(store, run)
    yield done
    while done < len(ids):
        window = ids[done : done + at_once]
        written = store.rows(
            "SELECT premises.id, premises.text, drafts.role, drafts.text, drafts.problem, scores.value"
            " FROM drafts JOIN premises ON premises.id = drafts.premise"
            " LEFT JOIN scores ON scores.run = :score AND scores.premise = drafts.premise AND scores.role = drafts.role"
            " WHERE drafts.run = :gen AND drafts.premise BETWEEN :first AND :last ORDER BY drafts.premise, drafts.id",
            {"score": score.id, "gen": score.parent, "first": window[0], "last": window[-1]},
        )
        rows = []
        for place, ((id, text), some) in enumerate(groupby(written, key=lambda row: row[:2]), start=done):
            for partner in rule(text, place, [Rewrite(*row[2:]) for row in some]):
                verdict = "drop" if partner.reason else "keep"
                rows.append((run.id, id, partner.role, partner.other, partner.label, verdict, partner.reason))
        with store.writing() as connection:
            connection.executemany(
                "INSERT INTO partners (run, premise, role, other, label, verdict, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        done += len(window)
        yield done


def decided(store: Store, run: Run) -> int:
    """How many premises have their pairs."""
    (count,) = store.one("SELECT count(DISTINCT premise) FROM partners WHERE run = ?", [run.id])
    return int(count)


def counts(store: Store, run: Run) -> dict[str, object]:
    """Premises; pairs kept (`random` of them drawn) and dropped; the drops by reason; the funnel from rewrites to kept."""
    score = store.parent(run)
    reasons = Counter[str](
        dict(
            store.rows(
                "SELECT reason, count(*) FROM partners WHERE run = ? AND reason NOTNULL GROUP BY reason", [run.id]
            )
        )
    )
    kept, drawn = store.one("SELECT count(*), count(other) FROM partners WHERE run = ? AND verdict = 'keep'", [run.id])
    written, generated = store.one(
        "SELECT count(*), count(*) FILTER (WHERE problem IS NULL) FROM drafts WHERE run = ?", [score.parent]
    )
    ordered = dict(sorted(reasons.items(), key=lambda why: (-why[1], why[0])))
    return {
        "premises": decided(store, run),
        "kept": kept,
        "random": drawn,
        "dropped": sum(reasons.values()),
        "reasons": ordered,
        "funnel": {
            "rewrites": written,
            "generated": generated,
            "scored": generated - reasons["unscored"],
            "kept": kept,
        },
    }


def pairs(store: Store, run: Run) -> Iterator[tuple[str, str, float]]:
    """(premise, partner, label in [0, 1]) of each kept pair of a curate run, in the order of premises. Streams."""
    first, last = store.one(
        "SELECT (SELECT min(premise) FROM partners WHERE run = :run), (SELECT max(premise) FROM partners WHERE run = :run)",
        {"run": run.id},
    )
    for start in range(first or 0, (last or -1) + 1, PREMISES_AT_ONCE):
        yield from store.rows(
            "SELECT premise, partner, label FROM sentence_pairs"
            " WHERE run = ? AND premise_id >= ? AND premise_id < ? ORDER BY premise_id, role",
            [run.id, start, start + PREMISES_AT_ONCE],
        )
