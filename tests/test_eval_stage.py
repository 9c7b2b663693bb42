"""Evaluation with a tiny real encoder: one task a transaction, and a break costs at most one task."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from conftest import PREMISES
from driven import finished
from rows import content

from stages import evaluate
from stages.config import EvalConfig
from stages.models.encoder.model import Encoder
from stages.pace import vectors
from stages.tasks import sts
from stages.tasks.sts import StsTask, Subset
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import training

GOLD = [0.5, 1.0, 4.0, 3.5, 2.0, 5.0, 0.0, 1.5]
TASKS = [
    StsTask("one", [Subset("", PREMISES[:8], PREMISES[1:9], GOLD)]),
    StsTask(
        "parts", [Subset("a", PREMISES[:8], PREMISES[2:], GOLD), Subset("b", PREMISES[2:], PREMISES[:8], GOLD[::-1])]
    ),
    StsTask("three", [Subset("", PREMISES[:8], PREMISES[2:], GOLD[::-1])]),
]


def config(tasks: Sequence[StsTask] = TASKS) -> EvalConfig:
    digests = {task.name: task.digest for task in tasks}
    return EvalConfig(model="bert", model_fingerprint="b" * 12, pooler="mean", tasks=digests)


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> Encoder:
    import torch

    from stages.models import catalog, loading

    torch.set_num_threads(1)
    return loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")


def evaluated(store: Store, encoder: Any, tasks: Sequence[StsTask] = TASKS, batch: int = 4) -> Run:
    return finished(evaluate.run(store, config(tasks), None, tasks, lambda: encoder, batch, "cpu"))


def test_every_figure_of_every_task_is_a_row(store: Store, encoder: Encoder) -> None:
    run = evaluated(store, encoder)
    rows = [(row.task, row.subset, row.name, row.value, row.n, row.error) for row in training.metrics(store, run)]
    wanted = [
        (task.name, figure.subset, figure.name, figure.value, figure.n, figure.error)
        for task in TASKS
        for figure in sts.evaluate(task, lambda texts: encoder.encode(texts, 64))
    ]
    assert sorted(rows, key=repr) == sorted(wanted, key=repr)
    assert run.counts == {"tasks": 3}
    assert run.finished
    assert {row[:2] for row in rows} == {("one", ""), ("parts", ""), ("parts", "a"), ("parts", "b"), ("three", "")}
    board = store.rows("SELECT task, subset, metric, value, error, n, model FROM leaderboard")
    assert sorted(board, key=repr) == sorted(((*r[:4], r[5], r[4], "bert") for r in rows), key=repr)


@pytest.mark.parametrize("batch", [1, 64])
def test_figures_do_not_change_with_the_batch(store: Store, encoder: Encoder, batch: int) -> None:
    other = Store.memory()
    one, two = evaluated(store, encoder, batch=4), evaluated(other, encoder, batch=batch)
    assert training.metrics(store, one) == training.metrics(other, two)


@pytest.mark.parametrize("ticks", range(1, 7))
def test_walking_away_and_running_again_equals_an_evaluation_without_a_break(
    store: Store, encoder: Encoder, ticks: int
) -> None:
    whole = Store.memory()
    evaluated(whole, encoder)
    going = evaluate.run(store, config(), None, TASKS, lambda: encoder, 4, "cpu")
    done = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    run = store.begin("eval", evaluate.VERSION, config(), None)
    assert {row.task for row in training.metrics(store, run)} == {task.name for task in TASKS[:done]}
    asked: list[str] = []

    class Listening:
        def encode(self, texts: Sequence[str], batch: int) -> np.ndarray:
            asked.extend(texts)
            return encoder.encode(texts, batch)

    evaluated(store, Listening() if done < len(TASKS) else None)
    assert asked == [text for task in TASKS[done:] for text in task.texts]
    assert content(store) == content(whole)


def test_a_complete_evaluation_never_loads_the_model(store: Store, encoder: Encoder) -> None:
    evaluated(store, encoder)
    before = content(store)
    ticks = list(evaluate.run(store, config(), None, TASKS, never, 4, "cpu"))
    assert [(tick.done, tick.total, tick.note) for tick in ticks] == [(3, 3, "complete")]
    assert content(store) == before


def test_other_data_under_the_same_name_is_another_evaluation(store: Store, encoder: Encoder) -> None:
    first = evaluated(store, encoder, TASKS[:1])
    other = replace(TASKS[0], subsets=[replace(TASKS[0].subsets[0], gold=GOLD[::-1])])
    second = evaluated(store, encoder, [other])
    assert first.id != second.id
    assert training.metrics(store, first) != training.metrics(store, second)


@pytest.mark.parametrize("gold", [[1.0] * 8, GOLD[:3]], ids=["constant", "short"])
def test_a_task_that_cannot_be_judged_is_a_problem_and_keeps_the_others(
    store: Store, encoder: Encoder, gold: list[float]
) -> None:
    bad = StsTask("bad", [Subset("", PREMISES[: len(gold)], PREMISES[1 : len(gold) + 1], gold)])
    with pytest.raises(Problem, match="bad"):
        evaluated(store, encoder, [TASKS[0], bad, TASKS[2]])
    assert store.rows("SELECT DISTINCT task FROM metrics") == [("one",)]
    assert store.one("SELECT finished FROM runs") == (None,)


class Counting:
    """An encoder that notes what it is asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.asked: list[str] = []

    def capacity(self, texts: Sequence[str]) -> int:
        return self.encoder.capacity(texts)

    def encode(self, texts: Sequence[str], batch: int) -> np.ndarray:
        self.asked.extend(texts)
        return self.encoder.encode(texts, batch)


def test_a_store_in_a_file_gives_the_figures_of_one_in_memory(
    store: Store, file_store: Store, encoder: Encoder
) -> None:
    """Vectors that went through the cache are the same to the last bit; every text is encoded once for all tasks."""
    counting = Counting(encoder)
    one, two = evaluated(store, encoder), evaluated(file_store, counting)
    assert training.metrics(store, one) == training.metrics(file_store, two)
    assert sorted(counting.asked) == sorted(set(PREMISES))


def test_a_task_on_known_sentences_never_loads_the_model(file_store: Store, encoder: Encoder) -> None:
    evaluated(file_store, encoder)
    other = StsTask("other", [Subset("", PREMISES[4:], PREMISES[:6], GOLD[:6])])
    run = finished(evaluate.run(file_store, config([other]), None, [other], never, 4, "cpu"))
    assert run.counts == {"tasks": 1}
    assert training.metrics(file_store, run)[0].value == other.evaluate(lambda texts: encoder.encode(texts, 4))[0].value


@pytest.mark.parametrize("change", [{"model_fingerprint": "c" * 12}, {"pooler": "cls"}])
def test_another_model_or_pooler_reads_none_of_these_vectors(
    file_store: Store, encoder: Encoder, change: dict[str, str]
) -> None:
    evaluated(file_store, encoder)
    counting = Counting(encoder)
    list(evaluate.run(file_store, replace(config(), **change), None, TASKS, lambda: counting, 4, "cpu"))
    assert sorted(counting.asked) == sorted(set(PREMISES))


def test_a_break_between_two_windows_costs_no_vector(file_store: Store, encoder: Encoder) -> None:
    """Ticks show how far the encoding of a task is, and what was encoded is not encoded again."""
    texts = [f"The number {place} bus." for place in range(vectors.WINDOW + 3)]
    big = StsTask("big", [Subset("", texts, texts[::-1], [float(place) for place in range(len(texts))])])
    going = evaluate.run(file_store, config([big]), None, [big], lambda: encoder, 64, "cpu")
    notes = [tick.note for tick in itertools.islice(going, 2)]
    going.close()  # type: ignore[attr-defined]
    assert notes[-1] == f"big: {vectors.WINDOW:,} texts"
    counting = Counting(encoder)
    evaluated(file_store, counting, [big])
    assert counting.asked == texts[-3:]


def test_the_other_split_is_another_evaluation(file_store: Store) -> None:
    one, two = (file_store.begin("eval", 1, replace(config(), split=split), None) for split in ("test", "dev"))
    assert one.id != two.id
    with pytest.raises(Problem, match="split 'train'"):
        replace(config(), split="train")


def test_what_was_evaluated_is_compared_without_loading_the_model(file_store: Store, encoder: Encoder) -> None:
    """An outcome gives the headline again: of all items once, as of any draw of them."""
    run = evaluated(file_store, encoder)
    heads = {
        row.task: row.value for row in training.metrics(file_store, run) if (row.subset, row.name) == ("", "spearman")
    }
    found = evaluate.outcomes(file_store, config(), TASKS, never, 4, "cpu")
    for task, outcome in zip(TASKS, found, strict=True):
        assert outcome.n == sum(len(part.gold) for part in task.subsets)
        assert outcome.resampled(np.ones((outcome.n, 1), dtype=int))[0] == pytest.approx(heads[task.name])
