"""Figures of runs: how scores lie, how varied hypotheses are, how a training went, what evaluations measured. Reads only.

Whatever the size of a run, what comes back is bounded: counts in bins, means, a few hundred points of a curve.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from store.database import Store
from store.records import Run
from store.rows.decisions import plain
from store.rows.training import MetricRow
from store.rule import HIGHEST_SCORE
from store.views import PAIRED


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


class WrittenShares(NamedTuple):
    """What a gen run wrote, against its premises: shares of all premises."""

    premises: int
    entailment_copies: float
    contradiction_copies: float
    distinct_contradictions: float


class Point(NamedTuple):
    """A stretch of a training curve: its last step, mean loss and mean share of masked negatives."""

    step: int
    loss: float
    masked_share: float


class LeaderboardRow(NamedTuple):
    """One figure of a finished evaluation. `value` is correlation or accuracy x 100; `setting` is all that the evaluation
    was asked for save its tasks and the analysis beside them; `trained` is the train run the model comes from, if any."""

    task: str
    subset: str
    metric: str
    value: float
    error: float | None
    n: int
    model: str
    trained: str | None
    run: str
    setting: dict[str, Any]
    finished: str


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


def written(store: Store, gen: Run) -> WrittenShares:
    """How often hypotheses copy their premise (case, punctuation and spacing aside), and how varied contradictions are."""
    store.connection.create_function("plain", 1, plain, deterministic=True)
    count, *numbers = store.one(
        "SELECT count(*), count(*) FILTER (WHERE plain(premises.text) = plain(e.text)),"
        " count(*) FILTER (WHERE plain(premises.text) = plain(c.text)), count(DISTINCT plain(c.text)) FROM drafts AS e"
        " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
        " JOIN premises ON premises.id = e.premise WHERE e.run = ? AND e.role = 'entailment'",
        [gen.id],
    )
    return WrittenShares(count, *(number / max(count, 1) for number in numbers))


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


def leaderboard(store: Store) -> list[LeaderboardRow]:
    """The figures of finished evaluations: whole tasks before their subsets, best first."""
    return [
        LeaderboardRow._make((*row[:9], json.loads(row[9]), row[10]))
        for row in store.rows(
            "SELECT task, subset, metric, value, error, n, model, trained, run,"
            " json_remove(runs.config, '$.tasks', '$.analysis'), runs.finished FROM leaderboard JOIN runs ON runs.id = run"
            " ORDER BY subset <> '', task, subset, metric, value DESC, run"
        )
    ]
