"""A measured model: its figures, and which of them a task is known by. Arrow: run -> metric ± error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.records import Run

if TYPE_CHECKING:
    from store.database import Store
    from store.rows.training import MetricRow


@dataclass(frozen=True)
class Measured:
    """A model with its figures; `title` says more than its name, where there is more to say."""

    model: str
    run: Run
    rows: list[MetricRow]
    title: str

    @property
    def average(self) -> dict[str, float]:
        """The mean of each group of tasks of which all were measured."""
        from stages.tasks import registry

        heads = {row.task: row.value for row in self.rows if is_headline(row)}
        return registry.averages(heads, self.run.config["split"])

    def headline(self, task: str) -> MetricRow:
        """The figure that the whole of `task` is known by."""
        return next(row for row in self.rows if row.task == task and is_headline(row))

    def document(self) -> dict[str, Any]:
        """The JSON document of the contract: correlations and accuracies x 100."""
        results = [
            {"task": row.task, "metric": row.name, "value": row.value, "n": row.n, "error": row.error}
            | ({"subset": row.subset} if row.subset else {})
            for row in self.rows
        ]
        return {"model": self.model, "run": self.run.id, "results": results, "average": self.average}


def measured(store: Store, run: Run, model: str | None = None, title: str | None = None) -> Measured:
    """The figures of a finished evaluation, whole tasks before their subsets; `model` is what it is called by."""
    from store.rows import training

    name = model or run.config["model"]
    return Measured(name, run, training.metrics(store, run), title or name)


def is_headline(row: MetricRow) -> bool:
    """Whether this is the figure that a whole task is known by."""
    from stages.tasks.task import HEADLINES

    return row.name in HEADLINES and not row.subset
