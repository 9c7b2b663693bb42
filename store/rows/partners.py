"""Pairs: which rewrites are kept as partners of their premise, and towards which similarity. Arrow: scores -> decision.

CLAIF decides on a pair at a time, so `partners` has a row a pair. Premises are read and decided window by window, twice: what
is to be said of a premise's own rewrites depends on them alone, and its random partners are drawn from the rewrites that
were then kept of the others.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from store.database import Store
from store.records import Run
from store.rows.drafts import FIRST

PREMISES_AT_ONCE = 4096  # whose pairs are read; no cursor is open between two windows


ROLE = "rewrite-"  # K follows


class Rewrite(NamedTuple):
    """A rewrite as it is decided on; `score` in [0, 5]."""

    role: str
    text: str
    problem: str | None
    score: float | None


class Partner(NamedTuple):
    """A pair with its verdict: dropped iff there is a reason. A random partner has the role
    `rewrite` among the drafts of the premise `other`."""

    role: str
    label: float | None
    reason: str | None
    other: int | None = None
    rewrite: str | None = None


class Kept(NamedTuple):
    """The rewrites that a run keeps, in the order of their premises: of each its premise and the K of its role, rewrite-K."""

    premises: array[int]
    numbers: array[int]

    def role(self, place: int) -> str:
        return f"{ROLE}{self.numbers[place]}"


# (premise, its rewrites) -> its pairs
Decide = Callable[[str, Sequence[Rewrite]], Iterable[Partner]]
# (premise, its id) -> its random partners
Draw = Callable[[str, int], Iterable[Partner]]


def premises(store: Store, gen: Run) -> list[int]:
    """The premises of a gen run, in order."""
    return [
        id for (id,) in store.rows(f"SELECT premise FROM drafts WHERE run = ? AND {FIRST} ORDER BY premise", [gen.id])
    ]


def decide(store: Store, run: Run, ids: Sequence[int], rule: Decide, at_once: int) -> Iterator[int]:
    """Decide on the rewrites of every premise of `ids` by `rule`, `at_once` a transaction, yielding how many are done."""
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
        whole = groupby(written, key=lambda row: row[:2])
        _add(store, run, [(id, rule(text, [Rewrite(*row[2:]) for row in some])) for (id, text), some in whole])
        done += len(window)
        yield done


def kept(store: Store, run: Run, ids: Sequence[int]) -> Kept:
    """The rewrites that the run keeps of its premises `ids`; 12 bytes each, since there may be millions."""
    found = Kept(array("q"), array("i"))
    for start in range(0, len(ids), PREMISES_AT_ONCE):
        window = ids[start : start + PREMISES_AT_ONCE]
        for premise, role in store.rows(
            "SELECT premise, role FROM partners WHERE run = ? AND premise BETWEEN ? AND ? AND verdict = 'keep'"
            " AND other IS NULL ORDER BY premise, role",
            [run.id, window[0], window[-1]],
        ):
            found.premises.append(premise)
            found.numbers.append(int(role.removeprefix(ROLE)))
    return found


def draw(store: Store, run: Run, ids: Sequence[int], rule: Draw, at_once: int) -> Iterator[None]:
    """Give every premise of `ids` its random partners by `rule`, `at_once` a transaction; those that have them keep them."""
    (last,) = store.one("SELECT max(premise) FROM partners WHERE run = ? AND other NOTNULL", [run.id])
    for start in range(bisect_right(ids, last or 0), len(ids), at_once):
        window = ids[start : start + at_once]
        texts = store.rows(
            "SELECT DISTINCT premises.id, premises.text FROM partners JOIN premises ON premises.id = partners.premise"
            " WHERE partners.run = ? AND partners.premise BETWEEN ? AND ? ORDER BY premises.id",
            [run.id, window[0], window[-1]],
        )
        _add(store, run, [(id, rule(text, id)) for id, text in texts])
        yield


def _add(store: Store, run: Run, decided: Sequence[tuple[int, Iterable[Partner]]]) -> None:
    """Store the pairs of premises, by their ids, in one transaction."""
    rows = [
        (run.id, id, one.role, one.other, one.rewrite, one.label, "drop" if one.reason else "keep", one.reason)
        for id, partners in decided
        for one in partners
    ]
    with store.writing() as connection:
        connection.executemany(
            "INSERT INTO partners (run, premise, role, other, rewrite, label, verdict, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


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
