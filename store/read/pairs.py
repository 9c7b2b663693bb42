"""Pairs of a premise and a partner (CLAIF) with what became of them. Reads only."""

from __future__ import annotations

from typing import Any, NamedTuple

from store.database import Store
from store.read import funnel
from store.read.runs import View
from store.read.triplets import full_text_query
from store.records import REWRITES

# Every pair of a view. `draft` is the rewrite that was written for this premise; a random partner was written for another,
# and is searched like it.
PAIRS = """
    SELECT premises.id AS premise_id, drafts.id AS draft, drafts.id AS searched, premises.text AS premise,
           drafts.text AS partner, drafts.role AS role, scores.value AS score, label, verdict,
           coalesce(reason, problem) AS reason
    FROM drafts JOIN premises ON premises.id = drafts.premise
    LEFT JOIN scores ON scores.run = :score AND scores.premise = drafts.premise AND scores.role = drafts.role
    LEFT JOIN partners ON partners.run = :curate AND partners.premise = drafts.premise AND partners.role = drafts.role
    WHERE drafts.run = :gen
    UNION ALL
    SELECT premises.id, NULL, drafts.id, premises.text, drafts.text, partners.role, NULL, label, verdict, reason
    FROM partners JOIN premises ON premises.id = partners.premise
    JOIN drafts ON drafts.run = :gen AND drafts.premise = partners.other AND drafts.role = partners.rewrite
    WHERE partners.run = :curate
"""


class ListedPair(NamedTuple):
    """One pair as `inspect` shows it; without a score run no score, without a curate run no label, verdict and reason."""

    premise: str
    partner: str
    role: str
    rate: float | None
    score: float | None
    label: float | None
    verdict: str | None
    reason: str | None


def listed(
    store: Store,
    view: View,
    *,
    rejected: bool = False,
    reason: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[ListedPair]:
    """A page of pairs in the order of their premises. `search` finds words in premises and rewrites."""
    where = ["TRUE"]
    if rejected:
        where.append("verdict = 'drop'")
    if reason is not None:
        where.append("reason = :reason")
    if search is not None:
        where.append(
            "(premise_id IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search)"
            " OR searched IN (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search))"
        )
    page = store.rows(
        f"SELECT premise, partner, role, score, label, verdict, reason FROM ({PAIRS}) WHERE {' AND '.join(where)}"
        " ORDER BY premise_id, draft IS NULL, draft, role LIMIT :limit OFFSET :offset",
        {
            **view.ids,
            "reason": reason,
            "search": full_text_query(search or ""),
            "limit": limit,
            "offset": offset,
        },
    )
    by_rate = view.gen.config.get("method") == "claif"
    return [ListedPair._make((*row[:3], _rate(row[2]) if by_rate else None, *row[3:])) for row in page]


def _rate(role: str) -> float | None:
    """The share of words that was masked; none of a random partner."""
    return REWRITES.index(role) / 10 if role in REWRITES else None


def levels(store: Store, view: View) -> dict[str, Any]:
    """How many rewrites reached each level, as far as the run goes, and the reasons of those dropped."""
    if view.curate is not None and view.curate.finished:
        return {"random": view.curate.counts["random"], **funnel.levels(store, view)}
    counted = dict(
        zip(
            ("rewrites", "generated"),
            store.one("SELECT count(*), count(*) - count(problem) FROM drafts WHERE run = ?", [view.gen.id]),
            strict=True,
        )
    )
    if view.score is not None:
        (counted["scored"],) = store.one("SELECT count(value) FROM scores WHERE run = ?", [view.score.id])
    return counted
