"""A model found, measured and shown. Arrow: checkpoint -> metric ± error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.encoders import model_folder
from multicsr.names import resolve
from multicsr_cli import screen
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.config import EvalConfig
    from stages.files.sources import Source
    from stages.models.catalog import Located
    from stages.tasks.task import Task
    from store.database import Store
    from store.rows.training import MetricRow


@dataclass(frozen=True)
class Subject:
    """A model to be measured on some tasks: found, not loaded. `parent` is the train run it comes from, if any;
    `sentences` are what whitening is learned from."""

    name: str
    config: EvalConfig
    parent: str | None
    tasks: list[Task]
    device: str
    load: Callable[[], Any]
    sentences: Source | None = None

    @property
    def title(self) -> str:
        """The model, and what is done to its vectors."""
        if self.sentences is None:
            return self.name
        dim = self.config.whiten_dim
        whitened = f"{self.name} whitened by {Path(self.sentences.shown).name}"
        return f"{whitened} to {dim} dimensions" if dim else whitened

    @property
    def learning(self) -> Callable[[], Iterable[str]] | None:
        """The texts of `sentences`, a stream made anew each time."""
        source = self.sentences
        return None if source is None else lambda: (text for _, text in source.texts())


@dataclass(frozen=True)
class Measured:
    """A model with its figures; `title` says more than its name, where there is more to say."""

    model: str
    run: Run
    rows: list[MetricRow]
    average: dict[str, float]
    title: str = ""

    def headline(self, task: str) -> MetricRow:
        return next(row for row in self.rows if row.task == task and is_headline(row))

    def document(self) -> dict[str, Any]:
        """The JSON document of the contract."""
        results = [
            {"task": row.task, "metric": row.name, "value": row.value, "n": row.n, "error": row.error}
            | ({"subset": row.subset} if row.subset else {})
            for row in self.rows
        ]
        return {"model": self.model, "run": self.run.id, "results": results, "average": self.average}

    def show(self) -> None:
        """A table on stdout, and one more for what is not times 100."""
        from stages.tasks.analysis import FIGURES

        screen.table(
            f"{self.title or self.model}, eval {self.run.id}",
            ("task", "subset", "metric", "x 100", "± error", "items"),
            [
                (row.task, row.subset, row.name, row.value, row.error, row.n)
                for row in self.rows
                if row.name not in FIGURES
            ],
            caption=", ".join(f"average of {group} {value:.2f}" for group, value in self.average.items()) or None,
        )
        analysed = [row for row in self.rows if row.name in FIGURES]
        if analysed:
            screen.table(
                "on unit vectors, the lower the better; not x 100",
                ("task", "metric", "value", "± error", "pairs"),
                [
                    (
                        row.task,
                        row.name,
                        *("-" if one is None else f"{one:.4f}" for one in (row.value, row.error)),
                        row.n,
                    )
                    for row in analysed
                ],
            )


def find(
    store: Store,
    model: str,
    tasks: list[Task],
    *,
    split: str = "test",
    pooler: str | None = None,
    device: str,
    sentences: Source | None = None,
    whiten_dim: int | None = None,
    analysis: bool = False,
) -> Subject:
    """The model called `model`, and what its evaluation is. Raises Problem where it cannot be measured."""
    from stages.config import EvalConfig
    from stages.config.words import POOLERS
    from stages.models.encoder import pooling

    trained, found = locate(store, model)
    if pooler is not None and pooler not in POOLERS:
        raise Problem(f"--pooler {pooler!r} is not known", f"give one of {', '.join(POOLERS)}")
    chosen = pooler or pooling.pooling_of(found)
    if chosen is None:
        raise Problem(
            f"{model} does not record how its tokens are pooled", f"say it with --pooler: {', '.join(POOLERS)}"
        )
    where, _ = resolve(device, "float32")
    config = EvalConfig(
        model=trained.id if trained else model,
        model_fingerprint=found.fingerprint,
        pooler=chosen,
        tasks={task.name: task.digest for task in tasks},
        split=split,
        whiten=sentences.digest if sentences else None,
        whiten_dim=whiten_dim,
        analysis=analysis,
    )

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(found, where, pooler)

    parent = trained.id if trained else None
    return Subject(model, config, parent, tasks, where, load, sentences)


def locate(store: Store, model: str) -> tuple[Run | None, Located]:
    """The train run that `model` names, if it names one, and where the encoder lies. Raises Problem."""
    from stages.models import catalog

    trained = _train_run(store, model)
    if trained is None:
        return None, catalog.locate(model, "encoder")
    return trained, catalog.locate(str(model_folder(store, trained)), "encoder")


def measure(
    store: Store,
    subject: Subject,
    *,
    batch: int | None = None,
    notes: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Measured:
    """Evaluate what is missing. A caller of many gives each a `title`; one that is complete then passes in silence."""
    from stages import evaluate as stage
    from store.rows import training

    config, parent = subject.config, subject.parent
    ticks = stage.run(
        store, config, parent, subject.tasks, subject.load, batch, subject.device, notes, subject.learning
    )
    screen.drive_ticks(ticks, title or f"eval {config.model}", "tasks", announce=title is None)
    run = store.begin("eval", stage.VERSION, config, parent)
    rows = training.metrics(store, run)
    return Measured(subject.name, run, rows, averages(rows, config.split), subject.title)


def _train_run(store: Store, model: str) -> Run | None:
    """The train run that `model` names, unless an alias or a folder has that name."""
    from stages.models import catalog

    if model in catalog.ALIASES or Path(model).exists():
        return None
    if model == "latest":
        return store.find(model, ("train",))
    if not all(character in "0123456789abcdef" for character in model):
        return None
    run = store.find(model, ("train",))
    if not run.finished:
        raise Problem(f"train run {run.id} is not finished", "run the same `multicsr train` again; it goes on")
    return run


def averages(rows: Iterable[MetricRow], split: str) -> dict[str, float]:
    """The mean of each group of tasks of which all were measured."""
    from stages.tasks import registry

    return registry.averages({row.task: row.value for row in rows if is_headline(row)}, split)


def is_headline(row: MetricRow) -> bool:
    """Whether this is the figure that a whole task is known by."""
    from stages.tasks.task import HEADLINES

    return row.name in HEADLINES and not row.subset
