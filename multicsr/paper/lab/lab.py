"""Makes the nodes of an experiment, or finds them in the store. Arrow: node -> run.

A node is the job of its stage, and a job knows its run before it is made: what is complete in the store is not made again,
so an experiment that was killed goes on where it stood. Nor is a training that would repeat another step by step
(twins.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr.job import Job, Made, Means
from multicsr.means.names import resolve
from multicsr.paper.lab.at_hand import TasksAtHand
from multicsr.paper.lab.jobs import Jobs
from multicsr.paper.lab.material import Material
from multicsr.paper.lab.twins import Twins
from multicsr.paper.node import Node, in_order, node
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from multicsr.paper.scales import Scale
    from store.database import Store

# Fewer triplets make no batch with a negative of another premise.
LEAST_TRIPLETS = 2

LEARNING = ("train", "drawn")  # stages that need that many

# Makes a job, and shows its progress under a title.
Drive = Callable[[Job, str], Made]


def in_silence(job: Job, title: str) -> Made:
    """Make a job and show nothing."""
    return job.run()


class Lab:
    """A store, a scale, and where and how to compute. `made` are the runs that were made or found, by their nodes.

    What experiments write lies in `folder`, beside the store unless another is given.
    """

    def __init__(
        self,
        store: Store,
        scale: Scale,
        *,
        seeds: int,
        data: Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch: int | None = None,
        folder: Path | None = None,
        drive: Drive = in_silence,
    ) -> None:
        self.store, self.scale, self.seeds, self.drive = store, scale, range(seeds), drive
        self.folder = folder or store.files / "reports"
        self.means = Means(device, batch)
        self.material = Material(scale, data, self.folder)
        self.tasks = TasksAtHand(self.material)
        self.jobs = Jobs(store, self.material, self.tasks, self.means, dtype)
        self.twins = Twins(store)
        self.made: dict[Node, Run] = {}
        self.drawn: dict[tuple[str, str], np.ndarray] = {}  # by run and task: figures on draws of the items
        self.number = self.total = 0
        self._absent: set[Node] = set()  # which were looked for since the last run was made

    def evals(self, model: Node | str, tasks: Sequence[str], **settings: Any) -> list[Node]:
        """The evaluations that measure `model` on `tasks`."""
        told = {"model": model} if isinstance(model, str) else {}
        parent = None if isinstance(model, str) else model
        return [node("eval", parent, tasks=group, **told, **settings) for group in self.tasks.together(tasks)]

    def labelled(self) -> Node | None:
        """A labelled NLI corpus as it is, where there is one."""
        return node("labelled", file=self.material.labelled) if self.material.labelled else None

    def find(self, wanted: Node) -> Run | None:
        """The complete run of a node, if the store holds it. Nothing is made or fetched: what a model or file is missing
        for was not made here."""
        if wanted not in self.made and wanted not in self._absent:
            run = None
            if all(self.find(needed) is not None for needed in wanted.needs):
                try:
                    run = self._complete(self.jobs.of(wanted, self.made))
                except Problem:
                    run = None
            if run is None:
                self._absent.add(wanted)
            else:
                self.made[wanted] = run
        return self.made.get(wanted)

    def make(self, wanted: Node) -> Run:
        """The run of a node, complete. Raises Problem for what the user can mend."""
        for each in in_order([wanted]):
            if each not in self.made:
                self.number += 1
                self.material.bring(*dict(each.settings).values(), self.scale.labelled if _is_labelled(each) else None)
                self.keep(each, self.jobs.of(each, self.made))
        return self.made[wanted]

    def keep(self, wanted: Node, job: Job, shared: bool = True) -> Run:
        """The complete run of a node's job, made if it is not there; unless it is `shared`, no other stands for it."""
        run = self._complete(job) if shared else job.made()
        if run is None:
            run = self.drive(job, f"[{self.number}/{self.total}] {wanted.shown}").run
            self._absent.clear()
            if wanted.stage == "train":
                self.twins.add(run)
        self.made[wanted] = run
        return run

    def _complete(self, job: Job) -> Run | None:
        return job.made() or (self.twins.of(job) if job.stage == "train" else None)

    def can_train(self, wanted: Node) -> bool:
        """Whether the triplets of a training are enough for one; what it is made from is made."""
        assert wanted.parent is not None
        return triplets(self.make(_sized_by(wanted.parent))) >= LEAST_TRIPLETS

    def is_impossible(self, wanted: Node) -> bool:
        """Whether curation left nothing to train on, or to draw as much as, so that what is wanted cannot be made."""
        corpora = [each["like"] or each.parent for each in wanted.line() if each.stage in LEARNING]
        found = [self.find(_sized_by(corpus)) for corpus in corpora if corpus is not None]
        return any(run is not None and triplets(run) < LEAST_TRIPLETS for run in found)

    def encode(self, model: str, texts: Sequence[str]) -> np.ndarray:
        """The unit vectors (len(texts), d) that an encoder gives, kept in the store."""
        from stages.models import catalog
        from stages.pace.batches import Batches
        from stages.pace.vectors import Vectors

        located = catalog.locate(model, "encoder")

        def load() -> Any:
            from stages.models import loading

            return loading.encoder(located, where)

        where, _ = resolve(self.means.device, "float32")
        rows = Vectors(self.store, located.fingerprint, load, Batches(self.means.batch, "texts", where)).encode(texts)
        unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return unit


def triplets(corpus: Run) -> int:
    """How many triplets a gen or curate run has."""
    return int(corpus.counts.get("kept", corpus.counts.get("premises", 0)))


def _sized_by(corpus: Node) -> Node:
    """The corpus that has as many triplets: of one that is drawn at random, the one that it is drawn like."""
    return corpus["like"] or corpus


def _is_labelled(wanted: Node) -> bool:
    return wanted.stage == "labelled" or bool(wanted["demonstrations"])
