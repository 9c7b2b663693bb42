"""`multicsr eval --against` and `--runs`: what two models, or several trainings of one, tell beyond their figures."""

from __future__ import annotations

from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from multicsr_cli import screen
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.evaluate import Measured, Subject
    from stages.tasks.compare import Comparison
    from store.database import Store


def against(store: Store, subjects: list[Subject], measured: list[Measured], batch: int | None, json: bool) -> None:
    """Compare two measured models on the headline of each task, and show it."""
    from stages.tasks.compare import RESAMPLES, SEED

    found = _comparisons(store, subjects, batch)
    for task, one in found.items():
        if one.resamples < RESAMPLES:
            screen.say(f"{task}: {RESAMPLES - one.resamples:,} resamples without a {one.metric} are left out")
    first, second = measured
    if json:
        comparison = [{"task": task, **one._asdict()} for task, one in found.items()]
        screen.document(first.document() | {"against": second.model, "comparison": comparison})
        return
    screen.table(
        f"{first.title or first.model} (A) against {second.title or second.model} (B)",
        ("task", "metric", "A", "B", "A - B", "from", "to", "p", "items"),
        [
            (
                task,
                one.metric,
                *(side.headline(task).value for side in measured),
                *(one.difference, one.low, one.high, f"{one.p:.4f}", one.n),
            )
            for task, one in found.items()
        ],
        caption=f"95 % interval and two-sided p by paired bootstrap, {RESAMPLES:,} resamples, seed {SEED}",
    )


def _comparisons(store: Store, subjects: list[Subject], batch: int | None) -> dict[str, Comparison]:
    """The comparison of each task, by its name, from the vectors that were kept."""
    from stages import evaluate as stage
    from stages.tasks.compare import bootstrap

    sides = [
        stage.outcomes(store, one.config, one.tasks, one.load, batch, one.device, one.learning) for one in subjects
    ]
    found = {}
    for task, one, two in zip(subjects[0].tasks, *sides, strict=True):
        try:
            found[task.name] = bootstrap(one, two)
        except ValueError as error:
            raise Problem(f"{task.name}: {error}", "compare on tasks with more items, or leave it out") from None
    return found


def refuse_twins(subjects: list[Subject]) -> None:
    """Raise Problem where two of the models are one: its figures would count twice, and the deviation would shrink."""
    seen: dict[tuple[str, str], str] = {}
    for subject in subjects:
        content = (subject.config.model_fingerprint, subject.config.pooler)
        if content in seen:
            raise Problem(f"--runs: {subject.name} is the same model as {seen[content]}", "name each model once")
        seen[content] = subject.name


def seeds(listed: str, tasks: list[str], measured: list[Measured], json: bool) -> None:
    """Mean and standard deviation (n - 1) over several models, for each headline and each average, and show them."""
    rows: list[dict[str, Any]] = []
    for task in tasks:
        heads = [one.headline(task) for one in measured]
        rows.append(_spread(task, heads[0].name, [head.value for head in heads]))
    averages = [_spread(group, "average", [one.average[group] for one in measured]) for group in measured[0].average]
    if json:
        screen.document(
            {
                "model": listed,
                "runs": [one.run.id for one in measured],
                "results": [{"model": one.model, **row} for one in measured for row in one.document()["results"]],
                "average": {row["task"]: row["mean"] for row in averages},
                "seeds": rows + averages,
            }
        )
        return
    screen.table(
        f"{len(measured)} models: {listed}",
        ("task", "metric", "mean", "sd", "each"),
        [
            (row["task"], row["metric"], row["mean"], row["sd"], ", ".join(f"{value:.2f}" for value in row["values"]))
            for row in rows + averages
        ],
        caption="x 100; sd: standard deviation over the models (n - 1)",
    )


def _spread(task: str, metric: str, values: list[float]) -> dict[str, Any]:
    return {
        "task": task,
        "metric": metric,
        "mean": mean(values),
        "sd": stdev(values),
        "n_models": len(values),
        "values": values,
    }
