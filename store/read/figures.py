"""What `report` reads: a run with its ancestors, how its scores lie, a few of its triplets, its curve, its figures.

Arrow: store -> page. Whatever the size of a run, what comes back is bounded: counts in bins, a few rows, a few hundred
points of a curve.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from store.database import Store
from store.problem import Problem
from store.read.triplets import View
from store.records import Run
from store.rows.training import MetricRow
from store.rule import HIGHEST_SCORE
from store.views import PAIRED

# The stages of a run, the furthest first.
STAGES = ("eval", "train", "curate", "score", "gen")

# Knuth's multiplicative hash: smallest first, it picks rows that lie far apart, the same ones whenever it is asked.
SPREAD = "(premise * 2654435761) % 4294967296"


class Bin(NamedTuple):
    """How many premises have their two scores in these bins; None for a score that could not be read."""

    a: int | None
    b: int | None
    premises: int


class Averages(NamedTuple):
    """Premises with both scores, the means of these, and the share with a > b."""

    premises: int
    a: float
    b: float
    ordered: float


class Example(NamedTuple):
    """One triplet, and what became of it."""

    position: int
    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None


class Point(NamedTuple):
    """A stretch of a training curve: its last step, mean loss and mean share of masked negatives."""

    step: int
    loss: float
    masked_share: float


def chosen(store: Store, name: str) -> Run:
    """The run that `name` means; `latest`: the newest finished run of the furthest stage that has one."""
    if name == "latest" and not store.one("SELECT 1 FROM runs WHERE finished NOTNULL"):
        raise Problem(f"there is no finished run in {store.path}", "run `multicsr gen` first, or name a run")
    return store.find(name, STAGES)


def line(store: Store, run: Run) -> list[Run]:
    """A run and all it was made from, the first stage first."""
    found = [run]
    while found[0].parent is not None:
        found.insert(0, store.run(found[0].parent))
    return found


def times(store: Store, run: Run) -> tuple[str, str | None]:
    """When a run was begun and finished: UTC, ISO 8601."""
    started, finished = store.one("SELECT started, finished FROM runs WHERE id = ?", [run.id])
    return started, finished


def seconds(store: Store, run: Run) -> float:
    """How long a finished run took, from its row to its end: where it was stopped and gone on with, that time is in it."""
    started, finished = (datetime.fromisoformat(moment) for moment in times(store, run) if moment)
    return (finished - started).total_seconds()


def evaluations(store: Store, train: Run) -> list[Run]:
    """The finished evaluations of a trained encoder, oldest first."""
    found = store.rows(
        "SELECT id FROM runs WHERE parent = ? AND stage = 'eval' AND finished NOTNULL ORDER BY finished, rowid",
        [train.id],
    )
    return [store.run(id) for (id,) in found]


def bins(store: Store, score: Run, across: int) -> list[Bin]:
    """The joint histogram of (a, b) with `across` equal bins a side; the highest score falls into the last one."""
    place = f"min(CAST({{0}} * :across / {HIGHEST_SCORE} AS INTEGER), :across - 1)"
    return [
        Bin(*row)
        for row in store.rows(
            f"SELECT {place.format('a')}, {place.format('b')}, count(*) FROM"
            f" ({PAIRED} WHERE run = :run GROUP BY premise) GROUP BY 1, 2 ORDER BY 1, 2",
            {"run": score.id, "across": across},
        )
    ]


def averages(store: Store, score: Run) -> Averages | None:
    """The means of a score run, over premises of which both scores were read; None where there is none."""
    row = store.one(
        f"SELECT count(*), avg(a), avg(b), avg(a > b) FROM ({PAIRED} WHERE run = ? GROUP BY premise)"
        " WHERE a NOTNULL AND b NOTNULL",
        [score.id],
    )
    return Averages(*row) if row[0] else None


def problems(store: Store, gen: Run) -> list[str]:
    """What is wrong with hypotheses of a gen run, by name."""
    found = store.rows(
        "SELECT DISTINCT problem FROM drafts WHERE run = ? AND problem NOTNULL ORDER BY problem", [gen.id]
    )
    return [problem for (problem,) in found]


def examples(store: Store, shown: View, reason: str | None, limit: int) -> list[Example]:
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
        Example(*row)
        for row in store.rows(
            f"WITH picked AS MATERIALIZED (SELECT * FROM ({picked}) ORDER BY {SPREAD}, premise LIMIT :limit)"
            " SELECT premises.position, premises.text, iif(swapped, c.text, e.text), iif(swapped, e.text, c.text),"
            f" {a}, {b} FROM picked JOIN premises ON premises.id = picked.premise"
            " JOIN drafts AS e ON e.run = :gen AND e.premise = picked.premise AND e.role = 'entailment'"
            " JOIN drafts AS c ON c.run = :gen AND c.premise = picked.premise AND c.role = 'contradiction'"
            " ORDER BY premises.position, picked.premise",
            {
                "curate": shown.curate.id if shown.curate else None,
                "score": shown.score.id if shown.score else None,
                "gen": shown.gen.id,
                "reason": reason,
                "limit": limit,
            },
        )
    ]


def curve(store: Store, train: Run, points: int) -> list[Point]:
    """The training curve in at most `points` stretches of equally many steps (the last one may be shorter)."""
    (last,) = store.one("SELECT coalesce(max(step), 0) FROM steps WHERE run = ?", [train.id])
    stretch = max(1, -(-last // points))
    return [
        Point(*row)
        for row in store.rows(
            "SELECT max(step), avg(loss), avg(masked_share) FROM steps WHERE run = ?"
            " GROUP BY (step - 1) / ? ORDER BY 1",
            [train.id, stretch],
        )
    ]


def dev(store: Store, train: Run) -> list[MetricRow]:
    """What the dev task said after each measured step."""
    return [
        MetricRow(*row)
        for row in store.rows(
            "SELECT task, subset, name, step, value, n, error FROM metrics"
            " WHERE run = ? AND name = 'spearman' AND subset = '' ORDER BY step",
            [train.id],
        )
    ]
