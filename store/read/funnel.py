"""How many premises of a run reached each level, and why the others did not. Reads only."""

from __future__ import annotations

from collections import Counter
from typing import Any

from store.database import Store
from store.read.runs import View, view
from store.records import Run
from store.rows import reviews

# Of a funnel, in their order; a run of pairs counts rewrites where others count premises.
LEVELS = ("premises", "rewrites", "generated", "scored", "kept")


def levels(store: Store, shown: View) -> dict[str, Any]:
    """How many premises reached each level, as far as the run goes, and the reasons of those dropped.

    A curate run has counted what its rule does. Decisions that persons turned are put into these counts, and where there are
    any, `kept_by_review` and `dropped_by_review` tell them apart.
    """
    if shown.curate is not None and shown.curate.finished:
        counts = shown.curate.counts
        reached = {name: counts["funnel"][name] for name in LEVELS if name in counts["funnel"]}
        reached["dropped"] = counts["dropped"]
        why, turned = Counter[str](counts["reasons"]), Counter[str]()
        for (verdict, reason), count in reviews.turned(store, shown.curate).items():
            sign = 1 if verdict == "keep" else -1
            reached["kept"] += sign * count
            reached["dropped"] -= sign * count
            why[reason or "review"] -= sign * count
            turned["kept_by_review" if verdict == "keep" else "dropped_by_review"] += count
        ordered = sorted((+why).items(), key=lambda why: (-why[1], why[0]))
        return {**reached, **turned, "reasons": dict(ordered)}
    (premises, generated) = store.one(
        "SELECT count(*), count(*) FILTER (WHERE e.problem IS NULL AND c.problem IS NULL) FROM drafts AS e"
        " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
        " WHERE e.run = ? AND e.role = 'entailment'",
        [shown.gen.id],
    )
    counted: dict[str, Any] = {"premises": premises, "generated": generated}
    if shown.score is not None:
        (counted["scored"],) = store.one(
            "SELECT count(*) FROM scores AS e JOIN scores AS c"
            " ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
            " WHERE e.run = ? AND e.role = 'entailment' AND e.value NOTNULL AND c.value NOTNULL",
            [shown.score.id],
        )
    return counted


def reasons(store: Store, curate: Run) -> list[str]:
    """The reasons that occur in a curate run."""
    if curate.finished:
        return sorted(levels(store, view(store, curate))["reasons"])
    return [
        row[0]
        for row in store.rows(
            "SELECT DISTINCT reason FROM decisions WHERE run = ? AND reason NOTNULL ORDER BY reason", [curate.id]
        )
    ]


def problems_met(store: Store, gen: Run) -> list[str]:
    """What is wrong with hypotheses of a gen run, by name."""
    rows = store.rows(
        "SELECT DISTINCT problem FROM drafts WHERE run = ? AND problem NOTNULL ORDER BY problem", [gen.id]
    )
    return [problem for (problem,) in rows]
