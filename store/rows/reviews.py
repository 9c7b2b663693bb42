"""Reviews: a person's word over a decision. Arrow: a triplet and a person -> what counts.

A word is over the texts of a premise in one gen run, so every curation of them hears it, also a later one; it says keep or
drop and leaves to the rule which hypothesis has which role. Rows are only added: the last word over a triplet counts, and
one that is taken back is a row without a verdict. The views `decisions`, `triplets` and `funnel` (store/views.py) do the
rest, and the digest of the words that change a run's triplets is part of the identity of what is trained on them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from store.database import Store, now
from store.problem import Problem
from store.records import Run, canonical, digest

Verdict = Literal["keep", "drop"]


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


def applied(store: Store, *runs: Run) -> str | None:
    """The digest of the words that change the triplets of curate or gen runs; None where none does.

    A premise is named by its source and position, so that equal words give an equal digest in every store.
    """
    turning = [row for run in runs for row in _turning(store, run)]
    return digest(canonical(turning)) if turning else None


def _turning(store: Store, run: Run) -> list[tuple[str, int, Verdict]]:
    """(source, position, verdict) of the words that change a run's triplets."""
    turning = "SELECT premise, verdict FROM overruled WHERE run = :run"
    if run.stage == "gen":
        turning = (
            "SELECT premise, verdict FROM reviewed WHERE run = :run AND verdict = 'drop' AND NOT EXISTS"
            " (SELECT 1 FROM drafts WHERE run = :run AND premise = reviewed.premise AND text = '')"
        )
    return store.rows(
        f"SELECT source, position, verdict FROM ({turning}) AS word JOIN premises ON premises.id = word.premise"
        " ORDER BY source, position",
        {"run": run.id},
    )
