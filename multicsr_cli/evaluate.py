"""`multicsr eval`: checkpoint -> metric ± error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import options, screen
from multicsr_cli.gen import notes_of, resolve
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Json
from store.records import Problem, Run

if TYPE_CHECKING:
    from stages.tasks.task import Task
    from store.database import Store
    from store.training import MetricRow


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A train run, an alias, a hub id or a folder.")],
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Names joined by commas, or the groups sts, retrieval, bitext.",
            show_default="mini; with --data what is there",
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="test or dev.")] = "test",
    pooler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="mean, cls, cls_before_pooler or first_last_mean.", show_default="the model's own"
        ),
    ] = None,
    data: Data = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
) -> None:
    """Measure an encoder: Spearman x 100 on sentence pairs, with its standard error."""
    size = options.batch_size(batch)
    from store import training
    from store.database import Store

    chosen = choose_tasks(tasks, data, split)
    for note in notes(chosen):
        screen.say(note)
    resolve(device, "float32")
    if not db.exists():
        from stages.models import catalog

        catalog.locate(model, "encoder")  # an unknown model must not leave an empty store behind
    store = Store.open(db)
    done = make(store, model, chosen, split=split, pooler=pooler, device=device, batch=size, data=data)
    rows = training.metrics(store, done)
    results = [
        {"task": row.task, "metric": row.name, "value": row.value, "n": row.n, "error": row.error}
        | ({"subset": row.subset} if row.subset else {})
        for row in rows
    ]
    average = averages(rows, split)
    if json:
        screen.document({"model": model, "run": done.id, "results": results, "average": average})
        return
    screen.table(
        f"{model}, eval {done.id}",
        ("task", "subset", "metric", "x 100", "± error", "pairs"),
        [(row.task, row.subset, row.name, row.value, row.error, row.n) for row in rows],
        caption=", ".join(f"average of the seven STS tasks {value:.2f}" for value in average.values()) or None,
    )


def choose_tasks(listed: str | None, data: Path | None, split: str) -> list[Task]:
    """The tasks of `--tasks`, loaded; without it those that `data` holds, or the bundled one."""
    from stages.tasks import registry

    if listed is not None or data is None:
        return registry.chosen("mini" if listed is None else listed, data, split)
    found, absent = registry.found(data, split)
    if not found:
        raise Problem(f"no task lies under {data}", "give the folder of the SentEval layout")
    others = f"; not there: {', '.join(absent)}" if absent else ""
    screen.say(f"found under {data}: {', '.join(task.name for task in found)}{others}")
    return found


def notes(tasks: list[Task]) -> list[str]:
    """What a reader of the figures of `tasks` must know."""
    from stages.tasks import registry

    return registry.notes(tasks)


def make(
    store: Store,
    model: str,
    tasks: list[Task],
    *,
    split: str = "test",
    pooler: str | None = None,
    device: str,
    batch: int | None = None,
    data: Path | None = None,
    title: str | None = None,
) -> Run:
    """Evaluate what is missing."""
    from stages import evaluate as stage
    from stages.config import POOLERS, EvalConfig
    from stages.models import catalog, pooling

    trained = _train_run(store, model)
    name = model
    if trained is not None:
        from multicsr_cli.train import model_folder

        name = str(model_folder(store, trained))
    found = catalog.locate(name, "encoder")
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
    )

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(found, where, pooler)

    parent = trained.id if trained else None
    ticks = stage.run(store, config, parent, tasks, load, batch, where, notes_of(data=data))
    screen.drive(ticks, title or f"eval {config.model}", "tasks", announce=title is None)
    return store.begin("eval", stage.VERSION, config, parent)


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
