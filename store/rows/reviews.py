"""Reviews: a person's word over a decision. Arrow: a triplet and a person -> what counts.

A word is over the texts of a premise in one gen run, so every curation of them hears it, also a later one; it says keep or
drop and leaves to the rule which hypothesis has which role. Rows are only added: the last word over a triplet counts, and
one that is taken back is a row without a verdict. The views `decisions`, `triplets` and `funnel` (store/views.py) do the
rest, and the digest of the words that change a run's triplets is part of the identity of what is trained on them.
"""

from __future__ import annotations

import json
from typing import Literal, NamedTuple

from store.database import Store, now
from store.problem import Problem
from store.records import Run, canonical, digest
from store.rows.drafts import gen_of

Verdict = Literal["keep", "drop"]

ALL = 2**63 - 1  # SQLite's largest id: as the last word, every word there is

# The words over a gen run that were in force when the word `:last` had been said; `reviewed` has them with no such end.
SPOKEN = """
    SELECT premise, verdict FROM reviews WHERE run = :gen AND verdict NOTNULL AND id = (
        SELECT max(later.id) FROM reviews AS later
        WHERE later.run = reviews.run AND later.premise = reviews.premise AND later.id <= :last
    )
"""


class Word(NamedTuple):
    """One row: what a person said; no verdict where an earlier word was taken back."""

    premise: int
    verdict: Verdict | None
    note: str
    written: str


def add(store: Store, gen: Run, premise: int, verdict: Verdict, note: str = "") -> None:
    """Say keep or drop of what `gen` wrote for a premise. Raises Problem where there is no triplet that could be kept."""
    if verdict == "keep":
        missing = store.one(
            "SELECT role FROM drafts WHERE run = ? AND premise = ? AND text = '' ORDER BY role DESC", [gen.id, premise]
        )
        if missing:
            raise Problem(
                f"this premise has no {missing[0]}: there is no triplet to keep", "drop it, or leave it as it is"
            )
    _write(store, gen, premise, verdict, note)


def take_back(store: Store, gen: Run, premise: int) -> bool:
    """Let the rule decide again; False where there is no word to take back."""
    if not store.one("SELECT 1 FROM reviewed WHERE run = ? AND premise = ?", [gen.id, premise]):
        return False
    _write(store, gen, premise, None, "")
    return True


def _write(store: Store, gen: Run, premise: int, verdict: Verdict | None, note: str) -> None:
    with store.writing() as connection:
        connection.execute(
            "INSERT INTO reviews (run, premise, verdict, note, written) VALUES (?, ?, ?, ?, ?)",
            [gen.id, premise, verdict, note, now()],
        )


def standing(store: Store, gen: Run) -> dict[int, Word]:
    """The words in force over what `gen` wrote, by premise."""
    words = store.rows("SELECT premise, verdict, note, written FROM reviewed WHERE run = ?", [gen.id])
    return {row[0]: Word(*row) for row in words}


def said(store: Store, gen: Run, premise: int) -> list[Word]:
    """Every word over one triplet, oldest first."""
    return [
        Word(*row)
        for row in store.rows(
            "SELECT premise, verdict, note, written FROM reviews WHERE run = ? AND premise = ? ORDER BY id",
            [gen.id, premise],
        )
    ]


def turned(store: Store, curate: Run) -> dict[tuple[Verdict, str | None], int]:
    """How many decisions of a curate run persons turned, by (their verdict, the rule's reason)."""
    return {
        (verdict, reason): count
        for verdict, reason, count in store.rows(
            "SELECT verdict, reason, count(*) FROM overruled WHERE run = ? GROUP BY verdict, reason ORDER BY 1, 2",
            [curate.id],
        )
    }


def applied(store: Store, *runs: Run, last: int = ALL) -> str | None:
    """The digest of the words up to `last` that change the triplets of curate or gen runs; None where none does.

    A premise is named by its source and position, so that equal words give an equal digest in every store.
    """
    turning = [row for run in runs for row in _turning(store, run, last)]
    return digest(canonical(turning)) if turning else None


def _turning(store: Store, run: Run, last: int) -> list[tuple[str, int, Verdict]]:
    """(source, position, verdict) of the words that change a run's triplets."""
    turning = (
        f"SELECT word.premise, word.verdict FROM ({SPOKEN}) AS word CROSS JOIN ruled ON ruled.run = :run"
        " AND ruled.premise = word.premise WHERE word.verdict <> ruled.verdict"
    )
    if run.stage == "gen":
        turning = (
            f"SELECT premise, verdict FROM ({SPOKEN}) AS word WHERE verdict = 'drop' AND NOT EXISTS"
            " (SELECT 1 FROM drafts WHERE run = :run AND premise = word.premise AND text = '')"
        )
    return store.rows(
        f"SELECT source, position, verdict FROM ({turning}) AS word JOIN premises ON premises.id = word.premise"
        " ORDER BY source, position",
        {"run": run.id, "gen": gen_of(store, run).id, "last": last},
    )


def heard(store: Store, known: str | None, *runs: Run) -> int:
    """The last word that was heard when `applied` was `known`; 0 where none was.

    Words are only added, so that what a training read can be told when others have been said since. Raises ValueError
    where `applied` never was that.
    """
    gens = json.dumps([gen_of(store, run).id for run in runs])
    ids = store.rows("SELECT id FROM reviews WHERE run IN (SELECT value FROM json_each(?)) ORDER BY id DESC", [gens])
    last: int
    for last in (*(id for (id,) in ids), 0):
        if applied(store, *runs, last=last) == known:
            return last
    raise ValueError(f"the words over runs {', '.join(run.id for run in runs)} never had the digest {known}")


def spoken(store: Store, gen: Run, last: int) -> dict[int, Verdict]:
    """The words that were in force over what `gen` wrote when the word `last` had been said, by premise."""
    return dict(store.rows(SPOKEN, {"gen": gen.id, "last": last}))
