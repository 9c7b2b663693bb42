"""Runs as people ask for them: the list, the one that is meant, what is behind it, what it was made of. Reads only."""

from __future__ import annotations

import json
from datetime import datetime
from typing import NamedTuple

from store.database import RUN_COLUMNS, Store, as_run
from store.problem import Problem
from store.records import Run
from store.rows.drafts import FIRST

# The stages of a run, the furthest first.
STAGES = ("eval", "train", "curate", "score", "gen")


class ListedRun(NamedTuple):
    """One run as `multicsr runs` lists it."""

    run: Run
    started: str
    done: int


class View(NamedTuple):
    """The runs behind a listing: decisions, scores and drafts, as far as they exist."""

    gen: Run
    score: Run | None
    curate: Run | None

    @property
    def ids(self) -> dict[str, str | None]:
        """The ids of the three by stage, as parameters of a query."""
        return {stage: run.id if run else None for stage, run in self._asdict().items()}


def view(store: Store, run: Run) -> View:
    """What there is to see of a gen, score or curate run."""
    if run.stage == "gen":
        return View(run, None, None)
    if run.stage == "score":
        return View(store.parent(run), run, None)
    score = store.parent(run)
    return View(store.parent(score), score, run)


def listed(store: Store) -> list[ListedRun]:
    """Every run, oldest first, with the premises (train: steps) it has done. A finished run has counted them already."""
    return [
        ListedRun(as_run(row[:-2]), *row[-2:])
        for row in store.rows(
            f"SELECT {RUN_COLUMNS}, started, CASE stage"
            " WHEN 'gen' THEN coalesce(counts ->> 'premises',"
            f" (SELECT count(*) FROM drafts WHERE run = runs.id AND {FIRST}))"
            " WHEN 'score' THEN coalesce(iif(finished NOTNULL,"
            " (SELECT counts ->> 'premises' FROM runs AS gen WHERE gen.id = runs.parent), NULL),"
            f" (SELECT count(*) FROM scores WHERE run = runs.id AND {FIRST}))"
            " WHEN 'curate' THEN coalesce(counts ->> 'premises', (SELECT count(*) FROM decisions WHERE run = runs.id))"
            " WHEN 'train' THEN (SELECT count(*) FROM steps WHERE run = runs.id)"
            " ELSE (SELECT count(DISTINCT task) FROM metrics WHERE run = runs.id) END"
            " FROM runs ORDER BY started, rowid"
        )
    ]


def newest_shown(store: Store) -> Run | None:
    """The run that was begun last, of those whose triplets can be shown."""
    row = store.one("SELECT id FROM runs WHERE stage IN ('gen', 'score', 'curate') ORDER BY started DESC, rowid DESC")
    return store.run(row[0]) if row else None


def meant(store: Store, name: str) -> Run:
    """The run that `name` means; `latest`: the newest finished run of the furthest stage that has one."""
    if name == "latest" and not store.one("SELECT 1 FROM runs WHERE finished NOTNULL"):
        raise Problem(f"there is no finished run in {store.path}", "run `multicsr gen` first, or name a run")
    return store.find(name, STAGES)


def line(store: Store, run: Run) -> list[Run]:
    """A run and all it was made from, the first stage first."""
    ancestors = [run]
    while ancestors[0].parent is not None:
        ancestors.insert(0, store.run(ancestors[0].parent))
    return ancestors


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
    rows = store.rows(
        "SELECT id FROM runs WHERE parent = ? AND stage = 'eval' AND finished NOTNULL ORDER BY finished, rowid",
        [train.id],
    )
    return [store.run(id) for (id,) in rows]


def environment(store: Store, run: Run) -> dict[str, str]:
    """Library versions and device that a run was begun with."""
    (text,) = store.one("SELECT environment FROM runs WHERE id = ?", [run.id])
    versions: dict[str, str] = json.loads(text)
    return versions
