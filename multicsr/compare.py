"""What two models, or several trainings of one, tell beyond their figures. Arrow: checkpoints -> difference ± chance."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from multicsr.evaluate import Evaluation, evaluation
from multicsr.job import Means, Progress
from multicsr.report.measured import Measured
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.tasks.task import Task
    from store.database import Store


class Compared(NamedTuple):
    """Two models on the headline of a task of `n` items: their figures x 100, `first` less `second` with its 95 % interval
    and two-sided p, over as many `resamples` of the items as have a figure (stages/tasks/compare.py)."""

    task: str
    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    resamples: int


class Spread(NamedTuple):
    """A headline, or an average of some, over several models: x 100, `sd` the standard deviation (n - 1)."""

    task: str
    metric: str
    mean: float
    sd: float
    n_models: int
    values: list[float]


def compare(
    store: Store,
    first: str | Run,
    second: str | Run,
    tasks: Sequence[Task],
    *,
    means: Means = Means(),
    progress: Progress | None = None,
    **told: Any,
) -> list[Compared]:
    """Evaluate both models on `tasks` where that is not done yet, and compare them, a row a task.

    `told` are arguments of `evaluate.evaluation`. Raises Problem as it does, and as `differences` does.
    """
    sides = [evaluation(store, model, tasks, means=means, **told) for model in (first, second)]
    for side in sides:
        side.job.run(progress)
    return differences(sides[0], sides[1])


def differences(first: Evaluation, second: Evaluation) -> list[Compared]:
    """The paired bootstrap of two complete evaluations on the same tasks, from the vectors that were kept.

    Raises Problem for a task whose items allow no comparison.
    """
    from stages.tasks.compare import bootstrap

    rows, one, two = [], first.measured(), second.measured()
    for task, outcome, other in zip(first.tasks, first.outcomes(), second.outcomes(), strict=True):
        try:
            tested = bootstrap(outcome, other)
        except ValueError as error:
            raise Problem(f"{task.name}: {error}", "compare on tasks with more items, or leave it out") from None
        heads = one.headline(task.name).value, two.headline(task.name).value
        chance = tested.difference, tested.low, tested.high, tested.p
        rows.append(Compared(task.name, tested.metric, *heads, *chance, tested.n, tested.resamples))
    return rows


def refuse_twins(evaluations: Sequence[Evaluation]) -> None:
    """Raise Problem where two of the models are one: its figures would count twice, and the deviation would shrink."""
    seen: dict[tuple[str, str], str] = {}
    for evaluated in evaluations:
        subject = evaluated.subject
        content = subject.fingerprint, subject.pooler
        if content in seen:
            raise Problem(f"runs: {subject.name} is the same model as {seen[content]}", "name each model once", "runs")
        seen[content] = subject.name


def spread(models: Sequence[Measured], tasks: Sequence[str]) -> list[Spread]:
    """Mean and standard deviation over several models: of the headline of each of `tasks`, then of each average."""
    rows = []
    for task in tasks:
        heads = [model.headline(task) for model in models]
        rows.append(_spread(task, heads[0].name, [head.value for head in heads]))
    return rows + [_spread(group, "average", [model.average[group] for model in models]) for group in models[0].average]


def _spread(task: str, metric: str, values: list[float]) -> Spread:
    return Spread(task, metric, mean(values), stdev(values), len(values), values)
