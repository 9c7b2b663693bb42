"""Evaluation. Arrow: checkpoint -> metric ± error.

One row a figure, one transaction a task: an evaluation that was stopped goes on with the tasks it has no figures for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from stages.batches import Batches, SentenceEncoder
from stages.config import EvalConfig
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks.task import Figure, Task
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
        done, model = len(tasks) - len(missing), None
        for task in missing:
            yield Tick(done, len(tasks), task.name)
            if model is None:
                model = load()
            try:
                figures = task.evaluate(partial(batches.encode, model))
            except ValueError as error:
                raise Problem(f"{task.name} cannot be evaluated: {error}", "check its data") from None
            training.add_metrics(store, run, [_row(task.name, figure) for figure in figures])
            done += 1
            yield Tick(done, len(tasks), task.name, warning=batches.warning())
        store.finish(run, {"tasks": len(tasks)})


def _row(task: str, figure: Figure, step: int = 0) -> MetricRow:
    return MetricRow(task, figure.subset, figure.name, step, figure.value, figure.n, figure.error)
