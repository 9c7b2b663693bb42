"""Evaluation of the LLM itself as scorer. Arrow: sentence pairs -> metric ± error.

No encoder: the LLM says how similar the two sentences of a pair are, in [0, 5] (MultiCSR, table 1), with in-context examples
or without; how it is read stands in stages/texts/similarity.py. One row a pair, one transaction a batch. A reply without a
number is a row without a value; figures are over the other pairs, and `unparsable` tells their share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from stages.config import JudgeConfig
from stages.models.llm.request import Reader
from stages.pace.batches import Batches
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks import sts
from stages.tasks.sts import StsTask
from stages.tasks.task import Figure
from stages.texts import similarity
from stages.texts.prompts import PromptSet
from store.database import Store
from store.rows import drafts, judgements, training
from store.rows.judgements import JudgementRow
from store.rows.training import MetricRow

VERSION = 1


class Pair(NamedTuple):
    """Two sentences of a task; `position` counts those of a subset from 1."""

    subset: str
    position: int
    first: str
    second: str


def run(
    store: Store,
    config: JudgeConfig,
    tasks: Sequence[StsTask],
    prompts: PromptSet,
    load: Callable[[], Reader],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
) -> Ticks:
    """Judge the pairs of `tasks` that have no row yet, a batch a transaction; with `batch` None as many as fit."""
    run = store.begin("eval", VERSION, config, parent=None, environment={"device": device, **(notes or {})})
    total = sum(len(pairs(task)) for task in tasks)
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return run
    drafts.keep_prompt_set(store, prompts.digest, prompts.name, prompts.toml)
    shown = prompts.with_shots(config.by, config.shots)
    batches, reader = Batches(batch, "pairs", device), cache(load)

    def measure(pair: Pair) -> int:
        return capacity(pair, config, shown, reader())

    def work(part: Sequence[Pair]) -> list[JudgementRow]:
        return judge(part, config, shown, reader())

    with store.only_writer(run):
        done, fresh = sum(judgements.counts(store, run).values()), 0
        for task in tasks:
            there = judgements.values(store, run, task.name)
            missing = [pair for pair in pairs(task) if (pair.subset, pair.position) not in there]
            if missing and not fresh:
                yield Tick(done, total, "loading the LLM")
                reader()
                yield Tick(done, total, task.name)
            missing.sort(key=lambda pair: -len(pair.first) - len(pair.second))
            for part, rows in batches.over(missing, measure, work):
                judgements.add(store, run, task.name, rows, reader().take_spent())
                done, fresh = done + len(part), fresh + len(part)
                yield Tick(done, total, task.name, fresh, batches.take_warning())
            found = figures(task, judgements.values(store, run, task.name))
            training.add_metrics(store, run, [_row(task.name, figure) for figure in found])
        return store.finish(run, {"tasks": len(tasks), **judgements.counts(store, run)})


def pairs(task: StsTask) -> list[Pair]:
    """The pairs of a task, in the order of its files."""
    return [
        Pair(part.name, position, first, second)
        for part in task.subsets
        for position, (first, second) in enumerate(zip(part.first, part.second, strict=True), start=1)
    ]


def capacity(pair: Pair, config: JudgeConfig, prompts: PromptSet, reader: Reader) -> int:
    """How many pairs as long as this one can be judged at once."""
    return similarity.capacity([(pair.first, pair.second)], config, prompts, reader)


def judge(part: Sequence[Pair], config: JudgeConfig, prompts: PromptSet, reader: Reader) -> list[JudgementRow]:
    """Pairs in, judgements out: the pure middle of the stage."""
    answers = similarity.similarities([(pair.first, pair.second) for pair in part], config, prompts, reader)
    return [JudgementRow(pair.subset, pair.position, *answer) for pair, answer in zip(part, answers, strict=True)]


def figures(task: StsTask, values: Mapping[tuple[str, int], float | None]) -> list[Figure]:
    """Correlations over the pairs that have a value, and the share of those that have none, of all pairs.

    Where fewer than four pairs have a value, or all the same one, there is no correlation.
    """
    gold = [np.array(part.gold) for part in task.subsets]
    scores = [
        np.array([values[part.name, position] for position in range(1, len(part.gold) + 1)], dtype=float)  # None: nan
        for part in task.subsets
    ]
    read = [~np.isnan(part) for part in scores]
    predicted = [part[has] for part, has in zip(scores, read, strict=True)]
    truth = [part[has] for part, has in zip(gold, read, strict=True)]
    try:
        found = sts.figures([part.name for part in task.subsets], predicted, truth)
    except ValueError:
        found = []
    everywhere = np.concatenate(read)
    return [*found, Figure("", "unparsable", 100 * float((~everywhere).mean()), len(everywhere), None)]


def _row(task: str, figure: Figure) -> MetricRow:
    return MetricRow(task, figure.subset, figure.name, 0, figure.value, figure.n, figure.error)
