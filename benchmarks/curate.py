"""Claim: deciding a million scored premises takes no longer than pandas takes, from CSV, with the same rule.

Both sides end with the premises counted by the first reason for which they are dropped, and with a lasting answer that a
training can read: ours in the store, the reference as a CSV file of the kept triplets. That choice decides the claim: most
of the reference's time is its file, while ours stores which triplets are kept and leaves their texts where they are. So
the record also holds the reference's time without its file, the ratio to that, and what reading the kept triplets out of
the store takes. Neither side's start of the interpreter and imports count. Copies and duplicates are not dropped by
default, so neither side compares texts.
"""

from __future__ import annotations

import csv
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import harness, million
from stages import curate
from stages.config import CurateConfig
from store.database import Store
from store.records import Run, Triplet
from store.rows import training

COLUMNS = ("premise", "entailment", "contradiction", "e_problem", "c_problem", "a", "b")
TEXTS = list(COLUMNS[:3])
SCORED_REASONS = ("unscored", "a<alpha", "b>beta", "a<b+gamma")

# The defaults for scores by likelihood.
ALPHA, BETA, GAMMA = 2.0, 2.5, 1.0

Reasons = dict[str, int]


def measure(settings: harness.Settings) -> harness.Record:
    with side_by_side(settings) as (made, store_path, rows, kept):

        def never_curated() -> None:
            million.remove(store_path)
            million.copy_to(made, store_path)

        return race(
            "curate", "curate a million scored premises", 1.0, settings, made, store_path, rows, kept,
            alphas=[ALPHA] * (settings.rounds + 1), prepare=never_curated,
        )  # fmt: skip


@contextmanager
def side_by_side(settings: harness.Settings) -> Iterator[tuple[million.Million, Path, Path, Path]]:
    """The built store, a path for a copy of it, its rows as CSV, and a path for the CSV of kept triplets."""
    made = million.cached(settings.quick)
    with TemporaryDirectory(dir=made.path.parent) as folder:
        rows = Path(folder) / "rows.csv"
        write_csv(made, rows)
        yield made, Path(folder) / "copy.db", rows, Path(folder) / "kept.csv"


def race(
    name: str,
    claim: str,
    at_least: float,
    settings: harness.Settings,
    made: million.Million,
    store_path: Path,
    rows: Path,
    kept: Path,
    alphas: list[float],
    prepare: Callable[[], None],
) -> harness.Record:
    """Each alpha a round, the first of which does not count; `prepare` runs before each, outside the clock."""
    ours, reference, unwritten, read = [], [], [], []
    for alpha in alphas:
        prepare()
        with closing(Store.open(store_path)) as store:
            seconds, found = harness.timed(lambda store=store, alpha=alpha: decide(store, made, alpha))  # type: ignore[misc]
            ours.append(seconds)
            counted = found.counts["reasons"]
            seconds, wanted = harness.timed(lambda alpha=alpha: read_and_decide(rows, alpha, kept))  # type: ignore[misc]
            reference.append(seconds)
            unwritten.append(harness.timed(lambda alpha=alpha: read_and_decide(rows, alpha, None))[0])  # type: ignore[misc]
            if counted != wanted:
                raise AssertionError(f"other reasons: {counted}, {wanted}")
            reading, triplets = harness.timed(lambda store=store, run=found: list(training.triplets(store, run)))  # type: ignore[misc]
            read.append(reading)
            same = check_kept(triplets, found, kept)
    bare = statistics.median(unwritten[1:]) / statistics.median(ours[1:])
    return harness.Record(
        name=name,
        claim=claim,
        reference=f"pandas from CSV, the same rule, kept triplets written to CSV ({bare:.2f}× without writing them)",
        at_least=at_least,
        unit="premises",
        count=made.written["premises"].rows,
        race=harness.Race(*([round(one, 4) for one in side[1:]] for side in (ours, reference))),
        same=same,
        sizes={"csv_bytes": rows.stat().st_size, "store_bytes": made.path.stat().st_size},
        extra={
            "reference_seconds_without_its_file": [round(one, 4) for one in unwritten[1:]],
            "ratio_without_its_file": round(bare, 3),
            "our_seconds_to_read_the_kept_triplets": [round(one, 4) for one in read[1:]],
        },
    )


def decide(store: Store, made: million.Million, alpha: float) -> Run:
    """Our side: the curate run."""
    config = CurateConfig(alpha=alpha, beta=BETA, gamma=GAMMA)
    for _ in curate.run(store, config, made.score):
        pass
    return store.begin("curate", curate.VERSION, config, made.score.id)


def read_and_decide(rows: Path, alpha: float, kept: Path | None) -> Reasons:
    """The reference: read the CSV, give every row its first reason (by number; texts would be slower), count, write."""
    frame = pd.read_csv(rows, dtype={"e_problem": "str", "c_problem": "str"})
    problem = frame.e_problem.fillna(frame.c_problem)
    faults = [
        problem.notna(),
        frame.a.isna() | frame.b.isna(),
        frame.a < alpha,
        frame.b > BETA,
        frame.a < frame.b + GAMMA - 1e-9,
    ]
    first = np.select(faults, range(len(faults)), len(faults))
    numbers = np.bincount(first, minlength=len(faults) + 1)
    reasons = {name: int(n) for name, n in zip(SCORED_REASONS, numbers[1:], strict=False)}
    if kept is not None:
        frame.loc[first == len(faults), TEXTS].to_csv(kept, index=False)
    return {name: n for name, n in {**problem.value_counts().to_dict(), **reasons}.items() if n}


def check_kept(triplets: list[Triplet], run: Run, kept: Path) -> str:
    """Raise unless the store's triplets are those of the file, in the same order."""
    wanted = pd.read_csv(kept)
    ours = pd.DataFrame(triplets, columns=TEXTS)
    if not (len(ours) == run.counts["kept"] and (ours.to_numpy() == wanted.to_numpy()).all()):
        raise AssertionError("another set is kept")
    return f"first reasons of all premises counted alike; the same {len(ours):,} triplets kept, text for text"


def write_csv(made: million.Million, path: Path) -> None:
    """The rows of the store as a CSV file, a premise a line."""
    with closing(sqlite3.connect(made.path)) as connection, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            connection.execute(
                "SELECT premises.text, e.text, c.text, e.problem, c.problem, se.value, sc.value FROM drafts AS e"
                " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
                " JOIN premises ON premises.id = e.premise"
                " JOIN scores AS se ON se.run = :score AND se.premise = e.premise AND se.role = 'entailment'"
                " JOIN scores AS sc ON sc.run = :score AND sc.premise = e.premise AND sc.role = 'contradiction'"
                " WHERE e.run = :gen AND e.role = 'entailment' ORDER BY e.premise",
                {"gen": made.gen.id, "score": made.score.id},
            )
        )
