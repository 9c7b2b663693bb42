"""t13: what training costs, with and without the mask. Arrow: triplet -> checkpoint, timed in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multicsr_cli.experiments.outcome import SIGNIFICANT, UNKNOWN, Outcome, Table, chance, machine
from multicsr_cli.experiments.plan import Node, node
from multicsr_cli.experiments.read import Read
from multicsr_cli.experiments.scales import OMEGA
from stages.tasks.metrics import paired
from store.records import Problem, Run
from store.training import MetricRow

if TYPE_CHECKING:
    from multicsr_cli.experiments.lab import Lab

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
    pairs = list(zip(lab.scale.batches, costs[::2], costs[1::2], strict=True))
    cells = [
        [f"{batch:,}", *(f"{value:,.1f}" for value in (*plain, *masked)), PUBLISHED.get(batch, UNKNOWN)]
        for batch, plain, masked in pairs
    ]
    steps = [lab.scale.costed / batch for batch in lab.scale.batches]
    plain_ms, masked_ms = (
        [1000 * both[place].seconds / count for both, count in zip(((a, b) for _, a, b in pairs), steps, strict=True)]
        for place in (0, 1)
    )
    _, _, p = paired(np.array(masked_ms), np.array(plain_ms))
    more = float(np.mean(masked_ms) / np.mean(plain_ms))
    found = (
        f"takes {more:.2f} times as long a step" if p < SIGNIFICANT else "takes no longer a step that these can show"
    )
    said = [
        f"Training with the mask {found} as without (paired t test over {len(pairs)} batch sizes, {chance(p)}); the paper"
        f" says that its time grows. Measured on {machine()}."
    ]
    columns = ("batch", "SimCSE, s", "SimCSE, MB", "with stage 3, s", "with stage 3, MB", "paper")
    table = Table(
        f"Time and memory of {lab.scale.costed:,} copies of one triplet, one epoch",
        columns,
        cells,
        "s: the whole training with loading; MB: the most memory its process held. A process of its own each. The paper's are"
        " unsupervised SimCSE on 1M sentences, and stage 3 on 0.19M triplets, on one V100.",
    )
    rows = {str(batch): {"plain": plain._asdict(), "masked": masked._asdict()} for batch, plain, masked in pairs}
    return Outcome([table], said, {"experiment": "t13", "machine": machine(), "rows": rows, "sentences": said})


class Cost(NamedTuple):
    """What a training took: seconds, and megabytes at its highest."""

    seconds: float
    megabytes: float


def _cost(lab: Lab, wanted: Node) -> Cost:
    """The cost of a training, measured once, in a process of its own, and kept with its run."""
    from store import training

    assert wanted.parent is not None
    parent = lab.make(wanted.parent)
    run = lab.find(wanted)
    if run is None:
        run, spent = _spent(lab, wanted, parent)
        training.add_metrics(lab.store, run, [MetricRow(COST, "", *one, 1, None) for one in spent])
    lab.made[wanted] = run
    kept = {row.name: row.value for row in training.metrics(lab.store, run) if row.task == COST}
    if not kept:
        raise Problem(f"training {run.id} was made before t13 could measure it", "measure into another --db")
    return Cost(**kept)


def _spent(lab: Lab, wanted: Node, parent: Run) -> tuple[Run, list[tuple[str, int, float]]]:
    flags = [part for name, value in wanted.settings for part in (f"--{name.replace('_', '-')}", str(value))]
    where = ["--db", str(lab.store.path), "--device", lab.device, "--dtype", lab.dtype, "--json"]
    where += ["--data", str(lab.data)] if lab.data else []
    command = [sys.executable, "-m", "multicsr_cli", "train", parent.id, *flags, *where]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Problem(f"the training that t13 measures ended with {process.returncode}", "see what it said above")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    seconds = time.monotonic() - started
    return lab.store.run(json.loads(said)["run"]), [("seconds", 0, seconds), ("megabytes", 0, used.ru_maxrss / unit)]


T13 = Read("t13", "Time and memory against batch size", _nodes, _read, makes=True)
