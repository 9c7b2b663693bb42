"""Memory stays flat: twice the premises, through the same stages, take no more of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from rows import GEN

from store import drafts, premises
from store.database import Store

TESTS = Path(__file__).resolve().parent

# A process a size, since a process keeps the memory it once had. Prints its peak of memory, in bytes.
STAGES = """
import resource, sys
from pathlib import Path
from rows import CURATE, GEN, SCORE
from dataclasses import replace
from stages import curate
from store import browse, drafts, premises, scores
from store.database import Store
from store.records import ROLES, DraftRow, ScoreRow

path, count = Path(sys.argv[1]), int(sys.argv[2])
store = Store.open(path)
texts = ((n, f"Premise number {n} of a long file, which says nothing else.") for n in range(1, count + 1))
for _ in premises.add(store, "made", "made.txt", "d", count, texts):
    pass
gen = store.begin("gen", 1, GEN, None)
after = 0
while window := drafts.missing(store, gen, "made", count, after, 2048):
    after = window[-1].id
    drafts.add(store, gen, [
        DraftRow(premise.id, role, f"What follows from number {premise.id}.", None, None, "About {premise}:", 8)
        for premise in window for role in ROLES
    ])
store.finish(gen, drafts.counts(store, gen))
score = store.begin("score", 1, SCORE, gen.id)
after = 0
while window := scores.missing(store, score, after, 2048):
    after = window[-1].premise
    scores.add(store, score, [
        ScoreRow(row.premise, role, row.premise % 5 + 0.5, "4.5") for row in window for role in ROLES
    ])
store.finish(score, scores.counts(store, score))
for config in (CURATE, replace(CURATE, alpha=1.0)):
    for _ in curate.run(store, config, store.run(score.id)):
        pass
    run = store.begin("curate", curate.VERSION, config, score.id)
browse.rows(store, browse.view(store, run), rejected=True, limit=20, offset=count // 2)
browse.runs(store)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

# Below the smaller size the 64 MB that SQLite may keep of the file are not yet in use. Any list of all premises would show:
# even one of their ids takes 4 MB more, one of their texts 12.
SMALL, LARGE, ROOM = 100_000, 200_000, 10e6


def peak(path: Path, count: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STAGES, str(path), str(count)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS)))},
    )
    return int(done.stdout)


def test_the_stages_around_the_models_hold_no_more_for_more_premises(tmp_path: Path) -> None:
    assert peak(tmp_path / "large.db", LARGE) - peak(tmp_path / "small.db", SMALL) < ROOM


def test_a_window_of_missing_premises_is_read_from_where_the_last_one_ended(store: Store) -> None:
    """Not through all premises each time: the steps SQLite takes for a window do not grow with the source."""

    def steps(count: int) -> int:
        source = f"source of {count}"
        texts = ((n, f"text {n}") for n in range(1, count + 1))
        list(premises.add(store, source, "made.txt", "d", count, texts))
        run = store.begin("gen", 1, replace(GEN, premises=source), None)
        before = store.one("SELECT min(id) FROM premises WHERE source = ?", [source])[0] - 1
        taken = 0

        def count_step() -> None:
            nonlocal taken
            taken += 1

        store.connection.set_progress_handler(count_step, 10)
        assert len(drafts.missing(store, run, source, count, before, 50)) == 50
        store.connection.set_progress_handler(None, 0)
        return taken

    assert steps(4_000) <= 1.1 * steps(1_000)
