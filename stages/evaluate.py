"""Evaluation. Arrow: checkpoint -> metric ± error.

One row a figure, one transaction a task: an evaluation that was stopped goes on with the tasks it has no figures for, and
with the texts it has no vectors of. Vectors are kept (`stages/pace/vectors.py`), so another task on the same sentences costs
nothing, and a model is loaded only where one is missing. Where the config says so, vectors are whitened on their way to the
tasks; what is kept is what the model computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stages.config import EvalConfig
from stages.pace.batches import Batches, SentenceEncoder
from stages.pace.vectors import Vectors
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks.compare import Outcome
from stages.tasks.task import Encode, Foreseen, Task
from stages.tasks.whitening import Whitening
from store.database import Store
from store.problem import Problem
from store.rows import training
from store.rows.training import MetricRow

VERSION = 1

Sentences = Callable[[], Iterable[str]]  # what whitening is learned from, a stream made anew each time


def run(
    store: Store,
    config: EvalConfig,
    parent: str | None,
    tasks: Sequence[Task],
    load: Callable[[], SentenceEncoder],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
    sentences: Sentences | None = None,
) -> Ticks:
    """Evaluate on the tasks that have no figures yet. `parent` is the train run the model comes from, if any; with
    `batch` None as many texts are encoded at once as fit. `sentences` is given where the config whitens.

    Raises Problem for a task that the vectors allow no figure of, and for sentences that teach no whitening.
    """
    run = store.begin("eval", VERSION, config, parent=parent, environment={"device": device, **(notes or {})})
    if run.finished:
        yield Tick(len(tasks), len(tasks), COMPLETE)
        return run
    batches = Batches(batch, "texts", device)
    with store.only_writer(run):
        have = {row.task for row in training.metrics(store, run)}
        missing = [task for task in tasks if task.name not in have]
        done = len(tasks) - len(missing)
        vectors = Vectors(store, vectors_key(config.model_fingerprint, config.pooler), load, batches)
        encode: Encode = vectors.encode
        if sentences is not None and missing:
            for note in _foreseen(store, vectors, "whitening", sentences()):
                yield Tick(done, len(tasks), note, warning=batches.take_warning())
            learned = _whitening(vectors, sentences, config.whiten_dim)
            encode = learned.after(vectors.encode)
            yield Tick(done, len(tasks), "whitening", warning=_left_out(learned, config.whiten_dim))
        for task in missing:
            yield Tick(done, len(tasks), task.name)
            if isinstance(task, Foreseen):
                for note in _foreseen(store, vectors, task.name, task.texts):
                    yield Tick(done, len(tasks), note, warning=batches.take_warning())
            training.add_metrics(store, run, _figures(task, encode))
            done += 1
            yield Tick(done, len(tasks), task.name, warning=batches.take_warning())
        return store.finish(run, {"tasks": len(tasks)})


def outcomes(
    store: Store,
    config: EvalConfig,
    tasks: Sequence[Task],
    load: Callable[[], SentenceEncoder],
    batch: int | None,
    device: str,
    sentences: Sentences | None = None,
) -> list[Outcome]:
    """What each task's headline is computed from. After `run` every vector is there, and no model is loaded."""
    vectors = Vectors(
        store, vectors_key(config.model_fingerprint, config.pooler), load, Batches(batch, "texts", device)
    )
    encode: Encode = vectors.encode
    if sentences is not None:
        encode = _whitening(vectors, sentences, config.whiten_dim).after(vectors.encode)
    return [task.outcome(encode) for task in tasks]


def _whitening(vectors: Vectors, sentences: Sentences, dim: int | None) -> Whitening:
    """Learned from the vectors of `sentences`, of which one window is held at a time."""
    try:
        return Whitening.learn(vectors.windows(sentences()), dim)
    except ValueError as error:
        raise Problem(
            f"whiten: {error}", "give more sentences to learn it from, or fewer dimensions: whiten_dim=N", "whiten"
        ) from None


def _left_out(learned: Whitening, dim: int | None) -> str:
    """News for whoever did not ask for fewer dimensions than there are."""
    there, kept = learned.matrix.shape
    if dim is not None or kept == there:
        return ""
    return f"whitening keeps {kept:,} of {there:,} dimensions: in the others the {learned.n:,} sentences do not vary"


def _foreseen(store: Store, vectors: Vectors, what: str, texts: Iterable[str]) -> Iterator[str]:
    """Have the vectors of `texts` computed and kept beforehand, and say how far that is."""
    if store.path is None:
        return  # a store in memory keeps no vectors
    encoded = 0
    for window in vectors.windows(texts):
        encoded += len(window)
        yield f"{what}: {encoded:,} texts"


def vectors_key(fingerprint: str, pooler: str) -> str:
    """The name under which the vectors of a model are kept: its content and how it is pooled."""
    return f"{fingerprint} {pooler}"


def _figures(task: Task, encode: Encode) -> list[MetricRow]:
    """The figures of a task, as rows."""
    try:
        return [
            MetricRow(task.name, figure.subset, figure.name, 0, figure.value, figure.n, figure.error)
            for figure in task.evaluate(encode)
        ]
    except ValueError as error:
        raise Problem(f"{task.name} cannot be evaluated: {error}", "check its data") from None
