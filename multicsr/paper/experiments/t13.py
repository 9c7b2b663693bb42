"""t13: what training costs, with and without the mask. Arrow: triplet -> checkpoint, each in a process of its own.

The most memory that a process held is measured from outside, when its run is finished, and nothing is written into a
finished run: it lies, with the seconds of the mask model, in a file of its own beside the store, under the run's id.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from multicsr.paper.claims import Said, over_trainings
from multicsr.paper.node import Node, node
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable, machine
from multicsr.paper.read import Read
from stages.stage import Tick, Ticks
from store import whole
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.job import Job
    from multicsr.paper.lab.lab import Lab

# What the paper tells of its own trainings, by batch.
PUBLISHED = {64: "0.98 h, 0.36 h"}

# What a training says while its mask model reads, and when the mask is made of what it read.
MASK_MODEL, MASK = "mask model", "mask"

ROOM = "multicsr.paper.experiments"  # where the programs lie that a training is measured by


class Cost(NamedTuple):
    """What a training took: seconds, those of them in which the mask model was loaded and read every text, and megabytes at
    its highest."""

    seconds: float
    masking: float
    megabytes: float


def _nodes(lab: Lab) -> list[Node]:
    scale = lab.scale
    corpus = node("distinct", triplets=scale.costed)
    return [
        scale.train(corpus, 0, mask, train_batch=batch, epochs=1) for batch in scale.batches for mask in (False, True)
    ]


def _read(lab: Lab) -> ExperimentOutcome:
    costs = [_cost(lab, wanted) for wanted in _nodes(lab)]
    rows = list(zip(lab.scale.batches, costs[::2], costs[1::2], strict=True))
    said = _said(costs[::2], costs[1::2])
    table = ResultTable(
        f"Time and memory of {lab.scale.costed:,} distinct triplets, one epoch",
        ("batch", "SimCSE, s", "SimCSE, MB", "with stage 3, s", "of it P, s", "with stage 3, MB", "paper"),
        [
            [
                f"{batch:,}",
                *(f"{value:,.1f}" for value in (plain.seconds, plain.megabytes, *masked)),
                PUBLISHED.get(batch, UNKNOWN),
            ]
            for batch, plain, masked in rows
        ],
        "s: from the row of its run to its end; P: to load the mask model, read every text, none of which it has seen"
        " before, and measure the mask; MB: the most memory its process held, one of its own each. Triplets are of"
        " sentences that occur once each, no hypotheses of one another: what they say costs nothing. The paper's are"
        " unsupervised SimCSE on 1M sentences, and stage 3 on 0.19M triplets, on one V100.",
    )
    told = {str(batch): {"plain": plain._asdict(), "masked": masked._asdict()} for batch, plain, masked in rows}
    return ExperimentOutcome([table], said, {"experiment": "t13", "machine": machine(), "rows": told})


def _said(plain: list[Cost], masked: list[Cost]) -> list[Said]:
    """Whether the mask makes a training longer."""
    without, with_mask = (np.array([cost.seconds for cost in costs]) for costs in (plain, masked))
    return [
        f"Training with the mask takes {with_mask.mean() / without.mean():.2f} times as long as without. Measured on"
        f" {machine()}.",
        over_trainings(
            "Training with the mask, in seconds", with_mask, without, "batch sizes", says=("longer", "shorter")
        ),
    ]


def _cost(lab: Lab, wanted: Node) -> Cost:
    """The cost of a training, measured once, in a process of its own. No other training stands for it."""
    from store.read.runs import seconds

    assert wanted.parent is not None
    lab.make(wanted.parent)
    lab.number += wanted not in lab.made
    job = lab.jobs.of(wanted, lab.made)
    taken = lab.folder / f"cost-{job.id}.json"
    command = _command(lab, wanted)
    run = lab.keep(wanted, replace(job, start=partial(_apart, job, command, taken)), shared=False)
    if not taken.is_file():
        raise Problem(f"training {run.id} was made before t13 could measure it", "measure into another store: db=PATH")
    heard = json.loads(taken.read_text(encoding="utf-8"))
    return Cost(seconds(lab.store, run), heard["masking"], heard["bytes"] / 1e6)


def _command(lab: Lab, wanted: Node) -> list[str]:
    """What a process of its own is started with."""
    assert wanted.parent is not None
    told: Mapping[str, Any] = {
        "store": str(lab.store.path),
        "parent": lab.made[wanted.parent].id,
        "data": None if lab.material.data is None else str(lab.material.data),
        "device": lab.means.device,
        "batch": lab.means.batch,
        "settings": {"dtype": lab.jobs.dtype, **dict(wanted.settings)},
    }
    return [sys.executable, "-m", f"{ROOM}.alone", json.dumps(told)]


def _heard(told: Iterable[str]) -> Generator[Tick, None, float]:
    """Hand on the ticks that a training tells, a line each; returns the seconds that its mask model took."""
    masking, before = 0.0, time.monotonic()
    for line in told:
        heard = json.loads(line)
        if "problem" in heard:
            raise Problem(*heard["problem"])
        tick, now = Tick(**heard), time.monotonic()
        if tick.note == MASK or (tick.note == MASK_MODEL and tick.done):
            masking += now - before
        before = now
        yield tick
    return masking


def _apart(job: Job, command: list[str], taken: Path) -> Ticks:
    """Train in a process of its own, and keep what that took; its ticks are handed on."""
    with TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        measured = [sys.executable, "-m", f"{ROOM}.peak", str(peak), *command]
        with subprocess.Popen(measured, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            try:
                masking = yield from _heard(process.stdout)
            finally:
                process.stdout.close()  # which ends a training that nobody hears
        if process.returncode:
            raise Problem(f"the training that t13 measures ended with {process.returncode}", "see what it said above")
        cost = {"run": job.id, "bytes": int(peak.read_text(encoding="utf-8")), "masking": masking}
        taken.parent.mkdir(parents=True, exist_ok=True)
        whole.write(taken, json.dumps(cost))
    return job.store.run(job.id)


T13 = Read("t13", "Time and memory against batch size", _nodes, _read, makes=True)
