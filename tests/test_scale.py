"""Memory stays flat: twice the premises, through the same stages, take no more of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rows import GEN, Made, add_drafts, add_premises

from stages import train
from stages.config import TrainConfig
from stages.models import catalog, loading
from stages.tasks.sts import StsTask, Subset
from store.database import Store
from store.records import Run
from store.rows import drafts, premises

TESTS = Path(__file__).resolve().parent

# A process a size, since a process keeps the memory it once had. Prints its peak of memory, in bytes.
STAGES = """
import sys
from pathlib import Path
from rows import CURATE, GEN, SCORE
from dataclasses import replace
from stages import curate
from store.read import figures, runs, triplets
from store.rows import drafts, premises, scores
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
figures.written(store, gen)
triplets.listed(store, runs.view(store, run), rejected=True, limit=20, offset=count // 2)
runs.listed(store)
# Not getrusage: what it tells begins with the memory of the process that started this one.
print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
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


def test_a_peak_is_that_of_the_command_alone(tmp_path: Path) -> None:
    """Whatever the process that asks for it holds: this one holds torch, and a hundred million bytes more."""
    held = bytearray(10**8)
    peak = [sys.executable, "-m", "multicsr.paper.experiments.peak", str(tmp_path / "peak")]
    subprocess.run([*peak, sys.executable, "-c", "text = 'x' * 40_000_000"], check=True)
    assert 4e7 < int((tmp_path / "peak").read_text()) < 4e7 + 5e7 < len(held)
    assert subprocess.run([*peak, sys.executable, "-c", "raise SystemExit(3)"], check=False).returncode == 3


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


# Tokens a text, of which training holds the ids, 4 bytes each. Its mask vector takes 1536 bytes: one held would show.
TOKENS, WIDTH = 8, 384

# Of a triplet: three rows of ids with where they end, and the digests of its texts. Arrays grow by a sixteenth ahead of
# their need: an eighth of the difference between one size and its double, either way. A text kept would add half of it.
ROWS_BYTES = 3 * (4 * TOKENS + 8 + 8)


class Drawn:
    """A mask model that draws its vectors, in no time."""

    def capacity(self, texts: Sequence[str]) -> int:
        return len(texts)

    def encode(self, texts: Sequence[str], batch: int) -> np.ndarray:
        return np.random.default_rng(len(texts)).standard_normal((len(texts), WIDTH), dtype=np.float32)


def prepared(store: Store, gen: Run, encoder: Path) -> tuple[int, int]:
    """The bytes that Python and numpy hold when training takes its first step, and the most they held before."""
    dev = StsTask("dev", [Subset("", [*"abcde"], [*"bcdef"], [0.5, 1.0, 4.0, 2.0, 5.0])])
    config = TrainConfig(
        base="bert", base_fingerprint="b" * 12, mask_model="drawn", mask_model_fingerprint="m" * 12, sigma=0.9, own="place",
        tau=0.05, train_batch=4, epochs=1, lr=1e-3, max_length=TOKENS, pooler="mean", seed=0, dev="dev",
        dev_digest=dev.digest, eval_every=1000, dtype="float32",
    )  # fmt: skip
    found = catalog.locate(str(encoder), "encoder")
    loaders = train.Loaders(lambda: loading.trainable(found, torch.device("cpu"), "mean", 0), Drawn)
    gc.collect()
    tracemalloc.start()
    try:
        ticks = train.run(store, config, gen, dev, loaders, None, "cpu")
        notes = [next(ticks).note]
        while notes[-1] != "training":
            notes.append(next(ticks).note)
        assert set(notes) == {"mask model", "mask", "loading the encoder", "training"}
        _, most = tracemalloc.get_traced_memory()
        gc.collect()  # what nobody can reach any more is not held, however lately the collector came by
        held, _ = tracemalloc.get_traced_memory()
        return held, most
    finally:
        tracemalloc.stop()


def test_training_holds_token_ids_of_its_triplets_and_nothing_else(tiny_encoder: Path, tmp_path: Path) -> None:
    """No text, no vector: twice the triplets take more by what their ids take."""
    few, many = 3_000, 6_000
    found = []
    for count in (few, few, many):  # the first time, imports are counted too
        store = Store.open(tmp_path / f"{len(found)}.db")
        texts = [f"The bus with number {n} stops here late in the evening." for n in range(count)]
        gen = store.begin("gen", 1, GEN, None)
        made = (Made(text, f"A bus, {text}", f"No bus, {text}") for text in texts)
        add_drafts(store, gen, zip(add_premises(store, texts), made, strict=True))
        found.append(prepared(store, store.run(gen.id), tiny_encoder))
        store.close()
    held, most = ((more - less) / (many - few) for less, more in zip(found[1], found[2], strict=True))
    assert 0.75 * ROWS_BYTES < held < 1.25 * ROWS_BYTES
    assert most < 1.25 * ROWS_BYTES
