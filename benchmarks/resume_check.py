"""Claim: on a million premises a command finds in 2 s and 500 MB what is left to do: nothing, or the last few premises.

Whole processes: `gen`, `score` and `curate` on their finished runs, then `gen` and `score` on runs that lack ten premises,
each up to the line that says the LLM is being loaded. The record's figure is the slowest of the five.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from benchmarks import curate, harness, million
from store.database import Store

MISSING = 10


def measure(settings: harness.Settings) -> harness.Bound:
    made = million.cached(settings.quick)
    gen = ("gen", "--premises", str(made.premises))
    score, again = ("score", made.gen.id), ("curate", made.score.id)
    found: dict[str, list[harness.Ended]] = {}
    with million.copy(made) as path:
        with closing(Store.open(path)) as store:
            curate.decide(store, made, curate.ALPHA)

        def rounds(name: str, flags: tuple[str, ...], until: str | None) -> None:
            command = [sys.executable, "-m", "multicsr_cli", *flags, "--db", str(path)]
            found[name] = [harness.process(command, until) for _ in range(settings.rounds + 1)][1:]

        for flags in (gen, score, again):
            rounds(f"{flags[0]}, finished", flags, "complete already")
        _forget(path, "scores", made.score.id)
        rounds("score, unfinished", score, "loading the LLM")
        _forget(path, "drafts", made.gen.id)
        rounds("gen, unfinished", gen, "loading the LLM")
    seconds = {name: [round(one.seconds, 4) for one in ends] for name, ends in found.items()}
    slowest = max(seconds, key=lambda name: sorted(seconds[name])[len(seconds[name]) // 2])
    return harness.Bound(
        name="resume_check",
        claim=f"what is left to do, found anew on that store (the slowest of five: {slowest})",
        seconds=seconds[slowest],
        at_most_seconds=2.0,
        memory=max(one.memory for ends in found.values() for one in ends),
        at_most_memory=500_000_000,
        same="each command said that its run is complete, or began to load the LLM for what was taken away",
        sizes={"premises": made.written["premises"].rows, "missing": MISSING},
        extra={"seconds": seconds, "memory": {name: max(one.memory for one in ends) for name, ends in found.items()}},
    )


def _forget(path: Path, table: str, run: str) -> None:
    """Make a run unfinished: without the rows of its last premises and its mark."""
    with closing(Store.open(path)) as store, store.writing() as connection:
        (last,) = connection.execute(f"SELECT max(premise) FROM {table} WHERE run = ?", [run]).fetchone()
        connection.execute(f"DELETE FROM {table} WHERE run = ? AND premise > ?", [run, last - MISSING])
        connection.execute("UPDATE runs SET finished = NULL, counts = '{}' WHERE id = ?", [run])
