"""Decisions: which triplets are kept, and the first reason for which one is not. Arrow: scores -> decision.

The rule (MultiCSR, eq. 4) is written in store/rule.py; the view `ruled` (store/views.py) asks it. It reads `pairs`, which
is filled once a score run; so moving a threshold writes one row of `rules`, reads two numbers a premise, and never a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from unicodedata import category

from store import rule
from store.database import Store
from store.records import Run
from store.views import FIRST_PROBLEM, PAIRED

# Premises paired in one transaction: less than half a second's work, so that other writers wait at most that long.
PREMISES_AT_ONCE = 200_000

# a and b as the rule reads them.
AS_READ = rule.as_read(":swap")


def plain(text: str) -> str:
    """A text without case, punctuation and spacing: what counts when asking whether two sentences are the same."""
    if text.isascii():
        return re.sub(r"[\W_]+", " ", text.casefold()).strip()
    # Marks belong to the letter before them: in Hindi or Thai they are vowels.
    return " ".join("".join(sign if category(sign)[0] in "LMN" else " " for sign in text.casefold()).split())


def decide(store: Store, run: Run, thresholds: Mapping[str, float | bool | None]) -> Iterator[int]:
    """Decide every premise of the score run behind `run`, yielding how many are decided.

    `thresholds`: those of the rule by name, where one that is absent or None asks nothing, and the options copies,
    duplicates, swap. Raises KeyError where one that may not be left out is absent.
    """
    row = {"run": run.id, "score": run.parent, **rule.complete(thresholds), "swap": thresholds["swap"]}
    with store.writing() as connection:
        connection.execute(
            f"INSERT OR IGNORE INTO rules ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", row
        )
    yield from _pair(store, store.parent(run))
    if thresholds["copies"]:
        _drop(store, run, "copy", "SELECT premise_id FROM ({kept}) WHERE x IN (x_plus, x_minus)")
    if thresholds["duplicates"]:
        # Last: only a kept triplet can make another one redundant.
        first = "row_number() OVER (PARTITION BY x, x_plus, x_minus ORDER BY premise_id) = 1"
        _drop(
            store,
            run,
            "duplicate",
            f"SELECT premise_id FROM (SELECT premise_id, {first} AS first FROM ({{kept}})) WHERE NOT first",
        )
    if thresholds["copies"] or thresholds["duplicates"]:
        yield decided(store, run)


def _pair(store: Store, score: Run) -> Iterator[int]:
    """Put the two scores of each premise side by side, where an earlier curation has not; yields how many are."""
    (last,) = store.one("SELECT coalesce(max(premise), 0) FROM scores WHERE run = ?", [score.id])
    (start,) = store.one("SELECT coalesce(max(premise), 0) FROM pairs WHERE run = ?", [score.id])
    done = _paired(store, score)
    if start == last:
        yield done
    while start < last:
        stop = min(start + PREMISES_AT_ONCE, last)
        with store.writing() as connection:
            places = {"score": score.id, "gen": score.parent, "start": start, "stop": stop}
            within = "premise > :start AND premise <= :stop"
            done += connection.execute(
                f"INSERT OR IGNORE INTO pairs (run, premise, a, b) {PAIRED} WHERE run = :score AND {within} GROUP BY premise",
                places,
            ).rowcount
            connection.execute(
                f"UPDATE pairs SET problem = {FIRST_PROBLEM} WHERE run = :score AND premise IN"
                f" (SELECT premise FROM drafts WHERE run = :gen AND problem IS NOT NULL AND {within})",
                places,
            )
        start = stop
        yield done


def _drop(store: Store, run: Run, reason: str, chosen: str) -> None:
    """Drop what `chosen` picks from the triplets kept so far, by how their texts read. Read first, then written at once."""
    store.connection.create_function("plain", 1, plain, deterministic=True)
    # Kept by the rule: a curation gives the same rows whether persons review before it or after.
    kept = (
        "SELECT ruled.premise AS premise_id, plain(premises.text) AS x,"
        " plain(iif(swapped, c.text, e.text)) AS x_plus, plain(iif(swapped, e.text, c.text)) AS x_minus"
        " FROM ruled JOIN premises ON premises.id = ruled.premise"
        " JOIN drafts AS e ON e.run = :gen AND e.premise = ruled.premise AND e.role = 'entailment'"
        " JOIN drafts AS c ON c.run = :gen AND c.premise = ruled.premise AND c.role = 'contradiction'"
        " WHERE ruled.run = :run AND verdict = 'keep'"
    )
    gen = store.parent(store.parent(run))
    repeated = store.rows(chosen.format(kept=kept), {"run": run.id, "gen": gen.id})
    with store.writing() as connection:
        connection.executemany(
            "INSERT INTO repeats (run, premise, reason) VALUES (?, ?, ?)", ((run.id, id, reason) for (id,) in repeated)
        )


def decided(store: Store, run: Run) -> int:
    """How many premises have a decision."""
    return _paired(store, store.parent(run))


def _paired(store: Store, score: Run) -> int:
    (count,) = store.one("SELECT count(*) FROM pairs WHERE run = ?", [score.id])
    return int(count)


def counts(store: Store, run: Run) -> dict[str, object]:
    """By the rule: premises, kept, dropped, the drops by first reason, and the funnel from premises to kept."""
    names = ("score", *rule.columns(), "swap")
    asked = dict(zip(names, store.one(f"SELECT {', '.join(names)} FROM rules WHERE run = ?", [run.id]), strict=True))
    # One pass over the numbers: those that pass the first level, the first two, and so on. What falls between two levels is
    # dropped for the reason of the second; grouping by the view's reasons would sort a million texts.
    bounds = rule.columns(":{}")
    levels = {rule.UNSCORED: "a NOTNULL AND b NOTNULL"}
    levels |= {level.reason: level.passes(rule.A, rule.B, bounds[level.threshold]) for level in rule.LEVELS}
    passed, conditions = ["count(*)", "count(*) FILTER (WHERE problem IS NULL)"], "problem IS NULL"
    for level in levels.values():
        conditions += f" AND {level}"
        passed.append(f"count(*) FILTER (WHERE {conditions})")
    pairs = f"(SELECT run, problem, {AS_READ} FROM pairs)" if asked["swap"] else "pairs"
    total, generated, *numbers = store.one(f"SELECT {', '.join(passed)} FROM {pairs} WHERE run = :score", asked)
    dropped_for = {
        reason: above - below
        for reason, above, below in zip(levels, [generated, *numbers], numbers, strict=False)
        if above > below
    }
    dropped_for |= store.rows(
        "SELECT problem, count(*) FROM pairs WHERE run = ? AND problem IS NOT NULL GROUP BY problem", [run.parent]
    )
    dropped_for |= store.rows("SELECT reason, count(*) FROM repeats WHERE run = ? GROUP BY reason", [run.id])
    reasons = dict(sorted(dropped_for.items(), key=lambda why: (-why[1], why[0])))
    dropped = sum(reasons.values())
    funnel = {
        "premises": total,
        "generated": generated,
        "scored": generated - reasons.get("unscored", 0),
        "kept": total - dropped,
    }
    return {"premises": total, "kept": total - dropped, "dropped": dropped, "reasons": reasons, "funnel": funnel}


def sweep(store: Store, score: Run, grid: Sequence[Mapping[str, float | None]], swap: bool) -> list[int]:
    """How many triplets the thresholds at each point of the grid, named as in `decide`, would keep. Writes nothing."""
    points = json.dumps([rule.complete(point) for point in grid])
    passed = rule.keeps(rule.A, rule.B, rule.columns("(value ->> '{}')"))
    return [
        count
        for (count,) in store.rows(
            f"WITH usable AS MATERIALIZED (SELECT {AS_READ} FROM"
            f" ({PAIRED} WHERE run = :score AND premise NOT IN"
            "   (SELECT premise FROM drafts WHERE run = :gen AND problem IS NOT NULL) GROUP BY premise))"
            f" SELECT (SELECT count(*) FROM usable WHERE {passed}) FROM json_each(:grid)",
            {"score": score.id, "gen": score.parent, "swap": swap, "grid": points},
        )
    ]
