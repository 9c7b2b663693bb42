"""`multicsr eval`: checkpoint -> metric ± error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import judge, options, screen
from multicsr_cli.gen import notes_of, read_source, resolve
from multicsr_cli.hosted import BaseUrl, InFlight, PriceIn, PriceOut, Server, Timeout, cells
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Json
from store.records import Problem, Run

if TYPE_CHECKING:
    from stages.config import EvalConfig
    from stages.models.catalog import Located
    from stages.reading import Source
    from stages.tasks.task import Task
    from store.database import Store
    from store.training import MetricRow


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


def command(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A train run, an alias, a hub id or a folder.", show_default=False),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Names joined by commas, or the groups sts, transfer, retrieval, bitext.",
            show_default="mini; with --data what is there",
        ),
    ] = None,
    task: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Your own pairs: two sentences and a score, CSV, TSV or JSONL.", show_default=False
        ),
    ] = None,
    bitext: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="FILE FILE", help="Your own translations: two text files, aligned line by line.", show_default=False
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="test or dev.")] = "test",
    probe: Annotated[
        str, typer.Option(metavar="NAME", help="What transfer tasks train: adam (SentEval's) or convex (the optimum).")
    ] = "adam",
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare with this one: paired bootstrap.", show_default=False)
    ] = None,
    runs: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="In place of MODEL: several, mean ± standard deviation.", show_default=False),
    ] = None,
    pooler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mean, cls, cls_before_pooler, first_last_mean or prompt.",
            show_default="the model's own",
        ),
    ] = None,
    whiten: Annotated[
        str | None,
        typer.Option(metavar="bundled|FILE", help="Whiten the vectors, as learned from these unlabeled sentences."),
    ] = None,
    whiten_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of sentences, in a CSV, TSV or JSONL file.")
    ] = None,
    whiten_dim: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep the first N dimensions.", show_default="all in which the sentences vary"),
    ] = None,
    analysis: Annotated[
        bool, typer.Option("--analysis", help="Alignment and uniformity of sentence pairs too; these are not x 100.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw predicted against gold: .png or .svg.", show_default=False)
    ] = None,
    histogram: Annotated[bool, typer.Option("--histogram", help="Show how the cosines of pairs are spread.")] = False,
    data: Data = None,
    scorer: judge.Scorer = None,
    by: judge.By = None,
    shots: judge.Shots = None,
    directions: judge.Directions = None,
    expected: judge.Expected = False,
    prompts: judge.Prompts = None,
    base_url: BaseUrl = None,
    in_flight: InFlight = None,
    timeout: Timeout = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: judge.Dtype = None,
    json: Json = False,
) -> None:
    """Measure an encoder, or an LLM as scorer of sentence pairs: figures x 100, with their standard errors."""
    server = Server(base_url, in_flight, timeout, price_in, price_out)
    reading = judge.Asked(by, shots, directions, expected, prompts, dtype, server)
    others: dict[str, object] = {"MODEL": model, "--against": against, "--runs": runs, "--pooler": pooler}
    others |= {"--whiten": whiten, "--whiten-column": whiten_column, "--whiten-dim": whiten_dim}
    others |= {"--analysis": analysis, "--plot": plot, "--histogram": histogram}
    judge.refuse_mixture(scorer, others, reading)
    size = options.batch_size(batch)
    named = _named(model, against, runs) if scorer is None else []
    from multicsr_cli import compare
    from multicsr_cli import plot as drawing
    from store.database import Store

    if plot is not None or histogram:
        drawing.check(plot, histogram, json, len(named))
    sentences = _sentences(whiten, whiten_column, whiten_dim)
    chosen = choose_tasks(tasks, task, bitext, data, split, probe)
    for note in notes(chosen):
        screen.say(note)
    if scorer is not None:
        pairs = judge.tasks_of_pairs(chosen, named=tasks is not None)
        typed = notes_of(data=data, task=task)
        made = judge.plan(scorer, pairs, reading, split=split, device=device, notes=typed)
        run, rows = judge.make(Store.open(db), made, pairs, size)
        judged = Measured(scorer, run, rows, averages(rows, split))
        cost = server.cost(run.counts)
        screen.document({**judged.document(), **cost}) if json else judged.show()
        if cost and not json:
            screen.facts(f"eval {run.id}", cells(cost))
        return
    for flag, asked in (("--analysis", analysis), ("--plot", plot), ("--histogram", histogram)):
        if asked:
            _tell_what_is_no_pairs(flag, chosen)
    if analysis:
        chosen = _analysed(chosen)
    resolve(device, "float32")
    if not db.exists():
        from stages.models import catalog

        for name in named:
            catalog.locate(name, "encoder")  # an unknown model must not leave an empty store behind
    store = Store.open(db)
    subjects = [
        find(
            store,
            name,
            chosen,
            split=split,
            pooler=pooler,
            device=device,
            sentences=sentences,
            whiten_dim=whiten_dim,
            analysis=analysis,
        )
        for name in named
    ]
    if runs is not None:
        compare.refuse_twins(subjects)
    typed = {
        **notes_of(data=data, task=task, whiten=whiten, whiten_column=whiten_column),
        **(notes_of(bitext_first=bitext[0], bitext_second=bitext[1]) if bitext else {}),
        "probe": probe,
    }
    measured = [measure(store, subject, batch=size, notes=typed) for subject in subjects]
    if runs is not None:
        compare.seeds(runs, [task.name for task in chosen], measured, json)
    elif against is not None:
        compare.against(store, subjects, measured, size, json)
    elif json:
        screen.document(measured[0].document())
    else:
        measured[0].show()
    if plot is not None or histogram:
        drawing.show(store, subjects[0], measured[0], size, plot, histogram)


def _named(model: str | None, against: str | None, runs: str | None) -> list[str]:
    """The models to measure. Raises Problem for none, and for options that exclude each other."""
    if runs is None:
        if model is None:
            raise typer.BadParameter("give MODEL, several by --runs, or an LLM by --scorer")
        return [model] if against is None else [model, against]
    if model is not None or against is not None:
        raise Problem(
            f"--runs {runs!r} names the models to measure", f"leave out {'MODEL' if against is None else '--against'}"
        )
    names = [name.strip() for name in runs.split(",")]
    if len(names) < 2 or not all(names):
        raise Problem(f"--runs {runs!r} does not name two models or more", "join their names by commas")
    return names


def choose_tasks(
    listed: str | None,
    file: Path | None,
    translations: tuple[Path, Path] | None,
    data: Path | None,
    split: str,
    probe: str,
) -> list[Task]:
    """The tasks of `--tasks`, `--task` and `--bitext`, loaded; with none those that `data` holds, or the bundled one."""
    from stages.tasks import bitext, own, registry

    mine: list[Task] = [] if file is None else [own.load(file)]
    mine += [] if translations is None else [bitext.pair(*translations)]
    for task in mine:
        if task.name in (*registry.names(), *registry.opened(data)):
            raise Problem(
                f"a file of yours has the name of the task {task.name}", "give it another name, such as pairs.tsv"
            )
    if listed is not None:
        return registry.chosen(listed, data, split, probe) + mine
    if data is None:
        return mine or registry.chosen("mini", None, split)
    found, absent = registry.found(data, split, probe)
    if not found:
        raise Problem(f"no task lies under {data}", "give the folder of the SentEval layout")
    others = f"; not there: {', '.join(absent)}" if absent else ""
    screen.say(f"found under {data}: {', '.join(task.name for task in found)}{others}")
    return found + mine


def notes(tasks: list[Task]) -> list[str]:
    """What a reader of the figures of `tasks` must know."""
    from stages.tasks import registry

    return registry.notes(tasks)


def _sentences(whiten: str | None, column: str | None, dim: int | None) -> Source | None:
    """The checked sentences that whitening is learned from."""
    if whiten is None:
        for flag, value in (("--whiten-column", column), ("--whiten-dim", dim)):
            if value is not None:
                raise Problem(f"{flag} {value} goes with --whiten", "give the sentences to learn from: --whiten FILE")
        return None
    if whiten == "bundled" and column is not None:
        raise Problem(f"--whiten-column {column} goes with a file, and --whiten is bundled", "leave it out")
    if whiten != "bundled" and not Path(whiten).is_file():
        raise Problem(f"--whiten: there is no file {whiten}", "give bundled, or a file with one sentence a line")
    try:
        return read_source(whiten, column)
    except Problem as problem:
        raise Problem(problem.what, problem.remedy.replace("--column", "--whiten-column")) from None


def _tell_what_is_no_pairs(flag: str, tasks: list[Task]) -> None:
    """Only sentence pairs with gold scores can be analysed and drawn. Raises Problem where there are none."""
    from stages.tasks import sts

    others = [task.name for task in tasks if not isinstance(task, sts.Task)]
    if len(others) == len(tasks):
        raise Problem(f"{flag} needs sentence pairs with gold scores", "choose such a task: --tasks stsb, say")
    if others:
        screen.say(f"{flag}: not for {', '.join(others)}, no sentence pairs with gold scores")


def _analysed(tasks: list[Task]) -> list[Task]:
    from stages.tasks import sts
    from stages.tasks.analysis import Analysed

    return [Analysed(task) if isinstance(task, sts.Task) else task for task in tasks]


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
    """The model called `model`, and what its evaluation is. Raises Problem or Unusable where it cannot be measured."""
    from stages.config import POOLERS, EvalConfig
    from stages.models import pooling

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
    """The train run that `model` names, if it names one, and where the encoder lies. Raises Problem or Unusable."""
    from stages.models import catalog

    trained = _train_run(store, model)
    if trained is None:
        return None, catalog.locate(model, "encoder")
    from multicsr_cli.train import model_folder

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
    from store import training

    config, parent = subject.config, subject.parent
    ticks = stage.run(
        store, config, parent, subject.tasks, subject.load, batch, subject.device, notes, subject.learning
    )
    screen.drive(ticks, title or f"eval {config.model}", "tasks", announce=title is None)
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
