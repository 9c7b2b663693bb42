"""`multicsr eval`: checkpoint -> metric ± error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multicsr import judge
from multicsr.evaluate import Measured, averages, find, measure
from multicsr.names import notes_of, read_source, resolve
from multicsr.server import BaseUrl, InFlight, PriceIn, PriceOut, Server, Timeout, cells
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Json
from store.problem import Problem

if TYPE_CHECKING:
    from stages.files.sources import Source
    from stages.tasks.task import Task


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
    from multicsr.report import pairs as drawing
    from multicsr_cli.commands import compare
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
    found, absent = registry.held(data, split, probe)
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
    from stages.files.sources import Asked

    return read_source(whiten, column, Asked(file="whiten", column="whiten_column", called="file"))


def _tell_what_is_no_pairs(flag: str, tasks: list[Task]) -> None:
    """Only sentence pairs with gold scores can be analysed and drawn. Raises Problem where there are none."""
    from stages.tasks import sts

    others = [task.name for task in tasks if not isinstance(task, sts.StsTask)]
    if len(others) == len(tasks):
        raise Problem(f"{flag} needs sentence pairs with gold scores", "choose such a task: --tasks stsb, say")
    if others:
        screen.say(f"{flag}: not for {', '.join(others)}, no sentence pairs with gold scores")


def _analysed(tasks: list[Task]) -> list[Task]:
    from stages.tasks import sts
    from stages.tasks.analysis import Analysed

    return [Analysed(task) if isinstance(task, sts.StsTask) else task for task in tasks]
