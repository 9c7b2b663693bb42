"""Decisions: which triplets are kept, and the first reason for which one is not. Arrow: scores -> decision.

The rule (MultiCSR, eq. 4) is written once, as one SQL expression, so that moving a threshold reads two numbers a
premise and never a model: keep iff a >= alpha and b <= beta and a >= b + gamma, with a = sim(x, x+), b = sim(x, x-).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from store.database import Store
from store.records import Run

# Premises decided in one transaction: about a second's work, so that other writers wait at most that long.
PREMISES_AT_ONCE = 200_000

# Both hypotheses of a premise side by side. With `swap`, a pair whose scores are reversed (a < b) changes roles, as the
# released MultiCSR code does; the paper drops it.
PAIRS = """
    SELECT e.premise AS premise, e.problem AS e_problem, c.problem AS c_problem,
           iif(:swap AND se.value < sc.value, sc.value, se.value) AS a,
           iif(:swap AND se.value < sc.value, se.value, sc.value) AS b,
           coalesce(:swap AND se.value < sc.value, 0) AS swapped,
           premises.text AS x,
           iif(:swap AND se.value < sc.value, c.text, e.text) AS x_plus,
           iif(:swap AND se.value < sc.value, e.text, c.text) AS x_minus
    FROM drafts AS e
    JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'
    JOIN premises ON premises.id = e.premise
    LEFT JOIN scores AS se ON se.run = :score AND se.premise = e.premise AND se.role = 'entailment'
    LEFT JOIN scores AS sc ON sc.run = :score AND sc.premise = e.premise AND sc.role = 'contradiction'
    WHERE e.run = :gen AND e.role = 'entailment'
"""

# The first reason that applies, NULL to keep. Scores are rounded when they are stored, gamma and b are not added in
# binary to the same digits, hence the tiny allowance: 3.3 >= 2.3 + 1.0 must hold.
REASON = """
    CASE
        WHEN e_problem IS NOT NULL THEN e_problem
        WHEN c_problem IS NOT NULL THEN c_problem
        WHEN a IS NULL OR b IS NULL THEN 'unscored'
        WHEN a < :alpha THEN 'a<alpha'
        WHEN b > :beta THEN 'b>beta'
        WHEN a < b + :gamma - 1e-9 THEN 'a<b+gamma'
        WHEN :copies AND (plain(x_plus) = plain(x) OR plain(x_minus) = plain(x)) THEN 'copy'
    END
"""


def plain(text: str) -> str:
    """A text without case, punctuation and spacing: what counts when asking whether two sentences are the same."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def decide(store: Store, run: Run, thresholds: Mapping[str, float | bool]) -> Iterator[int]:
    """Decide every premise of the gen run behind `run`, yielding how many are decided.

    `thresholds`: alpha, beta, gamma, and the options copies, duplicates, swap.
    """
    score = store.parent(run)
    values = {**thresholds, "gen": score.parent, "score": score.id, "run": run.id}
    store.db.conn.create_function("plain", 1, plain, deterministic=True)
    (last,) = store.one("SELECT coalesce(max(premise), 0) FROM drafts WHERE run = ?", [score.parent])
    (first,) = store.one("SELECT coalesce(max(premise), 0) FROM decisions WHERE run = ?", [run.id])
    for start in range(first, last, PREMISES_AT_ONCE):
        with store.writing() as connection:
            connection.execute(
                "INSERT INTO decisions (run, premise, verdict, reason, swapped)"
                " SELECT :run, premise, iif(reason IS NULL, 'keep', 'drop'), reason, swapped FROM"
                f" (SELECT *, {REASON} AS reason FROM ({PAIRS} AND e.premise > :start AND e.premise <= :stop))",
                {**values, "start": start, "stop": min(start + PREMISES_AT_ONCE, last)},
            )
        yield decided(store, run)
    if thresholds["duplicates"]:
        _drop_duplicates(store, values)
        yield decided(store, run)


def _drop_duplicates(store: Store, values: Mapping[str, object]) -> None:
    """Of kept triplets that read the same, keep the first. Runs last: only a kept triplet can make another redundant."""
    with store.writing() as connection:
        connection.execute(
            "UPDATE decisions SET verdict = 'drop', reason = 'duplicate' WHERE run = :run AND premise IN ("
            " SELECT premise FROM (SELECT pairs.premise, row_number() OVER ("
            " PARTITION BY plain(x), plain(x_plus), plain(x_minus) ORDER BY pairs.premise) AS place"
            f" FROM ({PAIRS}) AS pairs JOIN decisions AS made"
            " ON made.run = :run AND made.premise = pairs.premise AND made.verdict = 'keep') WHERE place > 1)",
            values,
        )


def decided(store: Store, run: Run) -> int:
    """How many premises have a decision."""
    (count,) = store.one("SELECT count(*) FROM decisions WHERE run = ?", [run.id])
    return int(count)


def counts(store: Store, run: Run) -> dict[str, object]:
    """Premises, kept, dropped, the drops by first reason, and the funnel from premises to kept."""
    reasons = dict(
        store.rows(
            "SELECT reason, count(*) FROM decisions WHERE run = ? AND verdict = 'drop' GROUP BY reason"
            " ORDER BY count(*) DESC, reason",
            [run.id],
        )
    )
    total = decided(store, run)
    dropped = sum(reasons.values())
    score = store.parent(run)
    unusable = sum(
        reasons.get(problem, 0)
        for (problem,) in store.rows(
            "SELECT DISTINCT problem FROM drafts WHERE run = ? AND problem IS NOT NULL", [score.parent]
        )
    )
    generated = total - unusable
    funnel = {
        "premises": total,
        "generated": generated,
        "scored": generated - reasons.get("unscored", 0),
        "kept": total - dropped,
    }
    return {"premises": total, "kept": total - dropped, "dropped": dropped, "reasons": reasons, "funnel": funnel}


def sweep(store: Store, score: Run, grid: Sequence[tuple[float, float, float]], swap: bool) -> list[int]:
    """How many triplets each (alpha, beta, gamma) of the grid would keep. Writes nothing."""
    return [
        count
        for (count,) in store.rows(
            "WITH pairs AS MATERIALIZED (SELECT a, b FROM"
            f" ({PAIRS}) WHERE e_problem IS NULL AND c_problem IS NULL AND a NOTNULL AND b NOTNULL)"
            " SELECT (SELECT count(*) FROM pairs WHERE a >= value ->> 0 AND b <= value ->> 1"
            " AND a >= b + (value ->> 2) - 1e-9) FROM json_each(:grid)",
            {"gen": score.parent, "score": score.id, "swap": swap, "grid": json.dumps(grid)},
        )
    ]
