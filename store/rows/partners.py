"""Pairs: which rewrites are kept as partners of their premise, and towards which similarity. Arrow: scores -> decision.

CLAIF decides on a pair at a time, so `partners` has a row a pair; premises are read and decided window by window, and what
is to be said of a premise's pairs depends on that premise alone, save its random partners, which are other premises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from store.database import Store
from store.read import triplets
from store.read.triplets import View, _words
from store.records import REWRITES, Run
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
        found = store.rows(
            "SELECT premises.id, premises.text, drafts.role, drafts.text, drafts.problem, scores.value"
            " FROM drafts JOIN premises ON premises.id = drafts.premise"
            " LEFT JOIN scores ON scores.run = :score AND scores.premise = drafts.premise AND scores.role = drafts.role"
            " WHERE drafts.run = :gen AND drafts.premise BETWEEN :first AND :last ORDER BY drafts.premise, drafts.id",
            {"score": score.id, "gen": score.parent, "first": window[0], "last": window[-1]},
        )
        rows = []
        for place, ((id, text), some) in enumerate(groupby(found, key=lambda row: row[:2]), start=done):
            for one in rule(text, place, [Rewrite(*row[2:]) for row in some]):
                verdict = "drop" if one.reason else "keep"
                rows.append((run.id, id, one.role, one.other, one.label, verdict, one.reason))
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


class Shown(NamedTuple):
    """One pair as `inspect` shows it; without a score run no score, without a curate run no label, verdict and reason."""

    premise: str
    partner: str
    role: str
    rate: float | None
    score: float | None
    label: float | None
    verdict: str | None
    reason: str | None


def shown(
    store: Store,
    view: View,
    *,
    rejected: bool = False,
    reason: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Shown]:
    """A page of pairs in the order of their premises. `search` finds words in premises and rewrites."""
    where = ["TRUE"]
    if rejected:
        where.append("verdict = 'drop'")
    if reason is not None:
        where.append("reason = :reason")
    if search is not None:
        where.append(
            "(premise_id IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search)"
            " OR draft IN (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search))"
        )
    found = store.rows(
        # A rewrite has a draft; a random partner stands among the decisions alone.
        "SELECT premise, partner, role, score, label, verdict, reason FROM ("
        " SELECT premises.id AS premise_id, drafts.id AS draft, premises.text AS premise, drafts.text AS partner,"
        "  drafts.role AS role, scores.value AS score, label, verdict, coalesce(reason, problem) AS reason"
        " FROM drafts JOIN premises ON premises.id = drafts.premise"
        " LEFT JOIN scores ON scores.run = :score AND scores.premise = drafts.premise AND scores.role = drafts.role"
        " LEFT JOIN partners ON partners.run = :curate AND partners.premise = drafts.premise"
        "  AND partners.role = drafts.role"
        " WHERE drafts.run = :gen"
        " UNION ALL"
        " SELECT premises.id, NULL, premises.text, other.text, role, NULL, label, verdict, reason"
        " FROM partners JOIN premises ON premises.id = premise JOIN premises AS other ON other.id = partners.other"
        " WHERE run = :curate"
        f") WHERE {' AND '.join(where)} ORDER BY premise_id, draft IS NULL, draft, role LIMIT :limit OFFSET :offset",
        {
            "gen": view.gen.id,
            "score": view.score.id if view.score else None,
            "curate": view.curate.id if view.curate else None,
            "reason": reason,
            "search": _words(search or ""),
            "limit": limit,
            "offset": offset,
        },
    )
    by_rate = view.gen.config.get("method") == "claif"
    return [Shown._make((*row[:3], _rate(row[2]) if by_rate else None, *row[3:])) for row in found]


def _rate(role: str) -> float | None:
    """The share of words that was masked; none of a random partner."""
    return REWRITES.index(role) / 10 if role in REWRITES else None


def funnel(store: Store, view: View) -> dict[str, Any]:
    """How many rewrites reached each level, as far as the run goes, and the reasons of those dropped."""
    if view.curate is not None and view.curate.finished:
        return {"random": view.curate.counts["random"], **triplets.funnel(store, view)}
    levels = dict(
        zip(
            ("rewrites", "generated"),
            store.one("SELECT count(*), count(*) - count(problem) FROM drafts WHERE run = ?", [view.gen.id]),
            strict=True,
        )
    )
    if view.score is not None:
        (levels["scored"],) = store.one("SELECT count(value) FROM scores WHERE run = ?", [view.score.id])
    return levels
