"""t13: what training costs, with and without the mask. Arrow: triplet -> checkpoint, timed in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multicsr.paper.claims import SIGNIFICANT, chance
from multicsr.paper.outcome import UNKNOWN, Outcome, Table, machine
from multicsr.paper.plan import Node, node
from multicsr.paper.read import Read
from multicsr.paper.scales import OMEGA
from stages.tasks.metrics import paired
from store.problem import Problem
from store.records import Run
from store.rows.training import MetricRow

if TYPE_CHECKING:
    from multicsr.paper.lab import Lab

# What the paper tells of its own trainings, by batch.
PUBLISHED = {64: "0.98 h, 0.36 h"}

COST = "cost"  # the task under which a training's own cost stands among the metrics of its run


def _nodes(lab: Lab) -> list[Node]:
    scale = lab.scale
    corpus = node("copies", scale.curate(scale.gen(OMEGA)), copies=scale.costed, alone=True)
    return [
        scale.train(corpus, 0, mask, train_batch=batch, epochs=1) for batch in scale.batches for mask in (False, True)
    ]


def _read(lab: Lab) -> Outcome:
    costs = [_cost(lab, one) for one in _nodes(lab)]
    plains, maskeds = costs[::2], costs[1::2]
    cells = [
        [f"{batch:,}", *(f"{value:,.1f}" for value in (*plain, *masked)), PUBLISHED.get(batch, UNKNOWN)]
        for batch, plain, masked in zip(lab.scale.batches, plains, maskeds, strict=True)
    ]
    without, with_mask = (np.array([one.seconds for one in some]) for some in (plains, maskeds))
    _, _, p = paired(with_mask, without)
    more = with_mask.mean() / without.mean()
    found = f"takes {more:.2f} times as long as without" if p < SIGNIFICANT else "is not shown to take longer"
    said = [
        f"Training with the mask {found} (paired t test over {len(costs) // 2} batch sizes, {chance(p)}); the paper"
        f" says that its time grows. Measured on {machine()}."
    ]
    columns = ("batch", "SimCSE, s", "SimCSE, MB", "with stage 3, s", "with stage 3, MB", "paper")
    table = Table(
        f"Time and memory of {lab.scale.costed:,} copies of one triplet, one epoch",
        columns,
        cells,
        "s: from the row of its run to its end; MB: the most memory its process held, one of its own each. The paper's are"
        " unsupervised SimCSE on 1M sentences, and stage 3 on 0.19M triplets, on one V100.",
    )
    rows = {
        str(batch): {"plain": plain._asdict(), "masked": masked._asdict()}
        for batch, plain, masked in zip(lab.scale.batches, plains, maskeds, strict=True)
    }
    return Outcome([table], said, {"experiment": "t13", "machine": machine(), "rows": rows, "sentences": said})


class Cost(NamedTuple):
    """What a training took: seconds, and megabytes at its highest."""

    seconds: float
    megabytes: float


def _cost(lab: Lab, wanted: Node) -> Cost:
    """The cost of a training, measured once, in a process of its own, and kept with its run."""
    from store.read.runs import seconds
    from store.rows import training

    assert wanted.parent is not None
    parent = lab.make(wanted.parent)
    run = lab.find(wanted)
    if run is None:
        run, memory = _spent(lab, wanted, parent)
        training.add_metrics(lab.store, run, [MetricRow(COST, "", "megabytes", 0, memory / 1e6, 1, None)])
    lab.made[wanted] = run
    kept = [row.value for row in training.metrics(lab.store, run) if (row.task, row.name) == (COST, "megabytes")]
    if not kept:
        raise Problem(f"training {run.id} was made before t13 could measure it", "measure into another --db")
    return Cost(seconds(lab.store, run), kept[0])


def _spent(lab: Lab, wanted: Node, parent: Run) -> tuple[Run, int]:
    """The run, and the most bytes that its process held."""
    flags = [part for name, value in wanted.settings for part in (f"--{name.replace('_', '-')}", str(value))]
    where = ["--db", str(lab.store.path), "--device", lab.device, "--dtype", lab.dtype, "--json"]
    where += ["--data", str(lab.data)] if lab.data else []
    python = [sys.executable, "-m"]
    with TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        command = [*python, "multicsr.paper.peak", str(peak), *python, "multicsr_cli", "train", parent.id]
        done = subprocess.run([*command, *flags, *where], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise Problem(f"the training that t13 measures ended with {done.returncode}", "see what it said above")
        return lab.store.run(json.loads(done.stdout)["run"]), int(peak.read_text(encoding="utf-8"))


T13 = Read("t13", "Time and memory against batch size", _nodes, _read, makes=True)
