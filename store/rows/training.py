"""What training and evaluation leave behind: steps, checkpoints, metrics. Arrow: triplet -> checkpoint -> metric."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from store.database import Store, now
from store.records import Run, Triplet
from store.rows import drafts

# Premises whose triplets are read at once.
PREMISES_AT_ONCE = 4096


class StepRow(NamedTuple):
    """One optimiser step."""

    step: int
    epoch: int
    loss: float
    masked_share: float
    lr: float


class MetricRow(NamedTuple):
    """One figure: `value` with its standard error over `n` items. `subset` names a part of a task, '' is the whole."""

    task: str
    subset: str
    name: str
    step: int
    value: float
    n: int
    error: float | None


def triplets(store: Store, run: Run) -> Iterator[Triplet]:
    """The triplets of a curate run (kept) or a gen run (all), in the order of their premises.

    Streams: memory does not grow with the run, and no cursor is open between two of them.
    """
    for row in _columns(store, run, "premise, entailment, contradiction"):
        yield Triplet(*row)


def windows(store: Store, run: Run) -> Iterator[tuple[int, int]]:
    """The ids of a run's premises in windows: those above the first number up to the second.

    Of ids, not of rows: to find its next rows in order, a view would read all that are left.
    """
    before, last = store.one(
        "SELECT (SELECT min(premise) FROM drafts WHERE run = :gen) - 1, (SELECT max(premise) FROM drafts WHERE run = :gen)",
        {"gen": drafts.gen_of(store, run).id},
    )
    for start in range(before or 0, last or 0, PREMISES_AT_ONCE):
        yield start, start + PREMISES_AT_ONCE


def _columns(store: Store, run: Run, columns: str) -> Iterator[Any]:
    """`columns` of a run's triplets, in the order of their premises."""
    for start, stop in windows(store, run):
        yield from store.rows(
            f"SELECT {columns} FROM triplets WHERE run = ? AND premise_id > ? AND premise_id <= ? ORDER BY premise_id",
            [run.id, start, stop],
        )


def similarities(store: Store, run: Run) -> Iterator[tuple[float | None, float | None]]:
    """The scores (a, b) in [0, 5] of each of the `triplets` of a curate run, in their order; None where there is none."""
    for row in _columns(store, run, "a, b"):
        yield row[0], row[1]


def count_triplets(store: Store, run: Run) -> int:
    """How many `triplets` there are."""
    (count,) = store.one("SELECT count(*) FROM triplets WHERE run = ?", [run.id])
    return int(count)


def add_progress(store: Store, run: Run, steps: Sequence[StepRow], metrics: Sequence[MetricRow] = ()) -> None:
    """Store steps and dev figures; a step done again after a restart replaces its equal."""
    with store.writing() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO steps (run, step, epoch, loss, masked_share, lr) VALUES (?, ?, ?, ?, ?, ?)",
            ((run.id, *step) for step in steps),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO metrics (run, task, subset, name, step, value, n, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((run.id, *metric) for metric in metrics),
        )


def add_metrics(store: Store, run: Run, metrics: Sequence[MetricRow]) -> None:
    """Store the figures of one task in one transaction."""
    add_progress(store, run, (), metrics)


def metrics(store: Store, run: Run) -> list[MetricRow]:
    """All figures of a run, whole tasks before their subsets."""
    return [
        MetricRow(*row)
        for row in store.rows(
            "SELECT task, subset, name, step, value, n, error FROM metrics WHERE run = ?"
            " ORDER BY task, subset <> '', subset, name, step",
            [run.id],
        )
    ]


def best_step(store: Store, run: Run, task: str, name: str) -> MetricRow | None:
    """The dev figure of the best step so far: highest value, earliest step."""
    row = store.one(
        "SELECT task, subset, name, step, value, n, error FROM metrics"
        " WHERE run = ? AND task = ? AND name = ? AND subset = '' ORDER BY value DESC, step LIMIT 1",
        [run.id, task, name],
    )
    return MetricRow(*row) if row else None


def masked_share(store: Store, run: Run) -> float:
    """Mean share of negatives that the mask removed, over all steps."""
    (share,) = store.one("SELECT coalesce(avg(masked_share), 0.0) FROM steps WHERE run = ?", [run.id])
    return float(share)


def steps(store: Store, run: Run) -> list[StepRow]:
    """The training curve."""
    return [
        StepRow(*row)
        for row in store.rows(
            "SELECT step, epoch, loss, masked_share, lr FROM steps WHERE run = ? ORDER BY step", [run.id]
        )
    ]


def checkpoint(store: Store, run: Run, kind: str) -> tuple[int, Path] | None:
    """(step, folder) of the newest checkpoint of a kind whose folder is still there: 'resume' or 'model'."""
    for step, path in store.rows(
        "SELECT step, path FROM checkpoints WHERE run = ? AND kind = ? ORDER BY step DESC", [run.id, kind]
    ):
        folder = store.files / path
        if folder.exists():
            return step, folder
    return None


def add_checkpoint(store: Store, run: Run, kind: str, step: int, folder: Path) -> list[Path]:
    """Point to a folder that is complete on disk; returns the folders this one replaces, free to be removed."""
    path = str(folder.relative_to(store.files))
    old = [
        store.files / row[0]
        for row in store.rows(
            "SELECT path FROM checkpoints WHERE run = ? AND kind = ? AND path <> ?", [run.id, kind, path]
        )
    ]
    with store.writing() as connection:
        connection.execute("DELETE FROM checkpoints WHERE run = ? AND kind = ?", [run.id, kind])
        connection.execute(
            "INSERT INTO checkpoints (run, kind, step, path, written) VALUES (?, ?, ?, ?, ?)",
            [run.id, kind, step, path, now()],
        )
    return old


def forget_resume_points(store: Store, run: Run) -> list[Path]:
    """Drop the rows of a run's resume points once its model is written; returns their folders."""
    old = [
        store.files / row[0]
        for row in store.rows("SELECT path FROM checkpoints WHERE run = ? AND kind = 'resume'", [run.id])
    ]
    with store.writing() as connection:
        connection.execute("DELETE FROM checkpoints WHERE run = ? AND kind = 'resume'", [run.id])
    return old


def recipe(store: Store, run: Run) -> list[tuple[str, str, dict[str, object], dict[str, object]]]:
    """(stage, run id, config, counts) of a run and its ancestors, oldest first: what a model card tells."""
    return [
        (stage, id, json.loads(config), json.loads(counts))
        for stage, id, config, counts in store.rows(
            "SELECT lineage.stage, ancestor, lineage.config, runs.counts FROM lineage JOIN runs ON runs.id = ancestor"
            " WHERE run = ? ORDER BY distance DESC",
            [run.id],
        )
    ]
