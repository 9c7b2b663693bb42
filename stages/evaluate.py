"""Evaluation. Arrow: checkpoint -> metric ± error.

One row a figure, one transaction a task: an evaluation that was stopped goes on with the tasks it has no figures for, and
with the texts it has no vectors of. Vectors are kept (`stages/vectors.py`), so another task on the same sentences costs
nothing, and a model is loaded only where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stages.batches import Batches, SentenceEncoder
from stages.config import EvalConfig
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks.compare import Outcome
from stages.tasks.task import Figure, Foreseen, Task
from stages.vectors import Vectors
from store import training
from store.database import Store
from store.records import Problem
from store.training import MetricRow

VERSION = 1


def run(
    store: Store,
    config: EvalConfig,
    parent: str | None,
    tasks: Sequence[Task],
    load: Callable[[], SentenceEncoder],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
) -> Ticks:
    """Evaluate on the tasks that have no figures yet. `parent` is the train run the model comes from, if any; with
    `batch` None as many texts are encoded at once as fit."""
    run = store.begin("eval", VERSION, config, parent=parent, environment={"device": device, **(notes or {})})
    if run.finished:
        yield Tick(len(tasks), len(tasks), COMPLETE)
        return
    batches = Batches(batch, "texts", device)
    with store.only_writer(run):
        have = {row.task for row in training.metrics(store, run)}
        missing = [task for task in tasks if task.name not in have]
        done = len(tasks) - len(missing)
        vectors = Vectors(store, vectors_key(config), load, batches)
        for task in missing:
            yield Tick(done, len(tasks), task.name)
            if isinstance(task, Foreseen) and store.path is not None:  # a store in memory keeps no vectors
                encoded = 0
                for window in vectors.windows(task.texts):
                    encoded += len(window)
                    yield Tick(done, len(tasks), f"{task.name}: {encoded:,} texts", warning=batches.warning())
            try:
                figures = task.evaluate(vectors.encode)
            except ValueError as error:
                raise Problem(f"{task.name} cannot be evaluated: {error}", "check its data") from None
            training.add_metrics(store, run, [_row(task.name, figure) for figure in figures])
            done += 1
            yield Tick(done, len(tasks), task.name, warning=batches.warning())
        store.finish(run, {"tasks": len(tasks)})


def outcomes(
    store: Store,
    config: EvalConfig,
    tasks: Sequence[Task],
    load: Callable[[], SentenceEncoder],
    batch: int | None,
    device: str,
) -> list[Outcome]:
    """What each task's headline is computed from. After `run` every vector is there, and no model is loaded."""
    vectors = Vectors(store, vectors_key(config), load, Batches(batch, "texts", device))
    return [task.outcome(vectors.encode) for task in tasks]


def vectors_key(config: EvalConfig) -> str:
    """The name under which the vectors of an evaluated model are kept: its content and how it is pooled."""
    return f"{config.model_fingerprint} {config.pooler}"


def _row(task: str, figure: Figure, step: int = 0) -> MetricRow:
    return MetricRow(task, figure.subset, figure.name, step, figure.value, figure.n, figure.error)
