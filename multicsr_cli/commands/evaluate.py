"""`multicsr eval`: checkpoint -> metric ± error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import multicsr.compare
import multicsr.evaluate
import multicsr.judge
from multicsr.evaluate import Evaluation, Tasks
from multicsr.job import Means
from multicsr.means.server import Server, cells
from multicsr.means.told import taken_apart
from multicsr.report.measured import measured
from multicsr_cli import opened, options, screen, shown_figures, shown_pairs
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Json
from stages.config import EvalConfig, JudgeConfig
from store.problem import Problem

if TYPE_CHECKING:
    from stages.tasks.task import Task
    from store.database import Store

ModelName = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="A train run, an alias, a hub id or a folder.", show_default=False),
]
Against = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Compare with this one: paired bootstrap.", show_default=False)
]
Runs = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="In place of MODEL: several, mean ± standard deviation.", show_default=False),
]
Scorer = Annotated[
    str | None, typer.Option(metavar="LLM", help="Instead of MODEL: this LLM itself scores the pairs, from 0 to 5.")
]
TaskNames = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Names joined by commas, or the groups sts, transfer, retrieval, bitext.",
        show_default="mini; with --data what is there",
    ),
]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Your own pairs: two sentences and a score, CSV, TSV or JSONL.", show_default=False
    ),
]
Bitext = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="FILE FILE", help="Your own translations: two text files, aligned line by line.", show_default=False
    ),
]
Probe = Annotated[
    str, typer.Option(metavar="NAME", help="What transfer tasks train: adam (SentEval's) or convex (the optimum).")
]
WhitenColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="The column of sentences, in a CSV, TSV or JSONL file.")
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw predicted against gold: .png or .svg.", show_default=False)
]
Histogram = Annotated[bool, typer.Option("--histogram", help="Show how the cosines of pairs are spread.")]


@options.takes(EvalConfig, JudgeConfig, Server)
def command(
    model: ModelName = None,
    against: Against = None,
    runs: Runs = None,
    scorer: Scorer = None,
    tasks: TaskNames = None,
    task: TaskFile = None,
    bitext: Bitext = None,
    data: Data = None,
    probe: Probe = "adam",
    *,
    whiten_column: WhitenColumn = None,
    plot: Plot = None,
    histogram: Histogram = False,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
    **told: Any,
) -> None:
    """Measure an encoder, or an LLM as scorer of sentence pairs: figures x 100, with their standard errors."""
    _, server, told = taken_apart(told)
    drawn = {"plot": plot, "histogram": histogram}
    others = {"MODEL": model, "against": against, "runs": runs, "whiten_column": whiten_column, **drawn}
    multicsr.judge.refuse_mixture(scorer, {**others, **vars(server), **told})
    names = _names(model, against, runs) if scorer is None else []
    shown_pairs.check(plot, histogram, json, len(names))
    means, split = Means(device, options.batch_size(batch)), told.get("split", "test")
    chosen = multicsr.evaluate.tasks(tasks, data=data, split=split, probe=probe, file=task, translations=bitext)
    for line in chosen.news:
        screen.say(line)
    if scorer is not None:
        _judge(db, scorer, chosen, tasks is not None, server, json, {**told, "means": means})
        return
    _say_what_has_no_pairs(chosen, analysis=told.get("analysis"), **drawn)
    evaluations = _evaluate(
        db, names, runs is not None, chosen, {**told, "whiten_column": whiten_column, "means": means}
    )
    _show(evaluations, runs, json)
    shown_pairs.show(evaluations[0], plot, histogram)


def _names(model: str | None, against: str | None, runs: str | None) -> list[str]:
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


def _say_what_has_no_pairs(chosen: Tasks[Task], **asked: Any) -> None:
    """Of which tasks what is `asked` for gives nothing. Raises Problem where that is all of them."""
    for name in (name for name, value in asked.items() if value):
        if left_out := multicsr.evaluate.without_pairs(name, chosen):
            screen.say(f"--{name}: not for {', '.join(left_out)}, no sentence pairs with gold scores")


def _evaluate(
    db: Path, names: list[str], distinct: bool, chosen: Tasks[Task], told: dict[str, Any]
) -> list[Evaluation]:
    """The evaluations of all models, which must be `distinct` or need not, planned and then made."""

    def plan(store: Store) -> list[Evaluation]:
        evaluations = [multicsr.evaluate.evaluation(store, name, chosen, **told) for name in names]
        if distinct:
            multicsr.compare.refuse_twins(evaluations)
        return evaluations

    evaluations = opened.planned(db, plan)
    for evaluated in evaluations:
        screen.drive(evaluated.job)
    return evaluations


def _show(evaluations: list[Evaluation], runs: str | None, json: bool) -> None:
    """One model, two against each other, or all that `runs` lists together."""
    models = [evaluated.measured() for evaluated in evaluations]
    if runs is not None:
        spread = multicsr.compare.spread(models, [task.name for task in evaluations[0].tasks])
        if json:
            screen.document(shown_figures.spread(runs, models, spread))
        else:
            shown_figures.show_spread(runs, models, spread)
    elif len(models) > 1:
        first, second = models
        rows = multicsr.compare.differences(evaluations[0], evaluations[1])
        shown_figures.say_what_is_left_out(rows)
        if json:
            screen.document(shown_figures.comparison(first, second, rows))
        else:
            shown_figures.show_comparison(first, second, rows)
    elif json:
        screen.document(models[0].document())
    else:
        shown_figures.show(models[0])


def _judge(
    db: Path, scorer: str, chosen: Tasks[Task], named: bool, server: Server, json: bool, told: dict[str, Any]
) -> None:
    """`--scorer`: the figures of an LLM, and what they cost where it is behind a server."""
    pairs, others = multicsr.judge.tasks_of_pairs(chosen, named)
    if others:
        screen.say(f"no scored sentence pairs, left out: {', '.join(others)}")
    job = opened.planned(db, lambda store: multicsr.judge.job(store, scorer, pairs, server=server, **told))
    if "by" not in told and job.config["by"] == "likelihood":
        screen.say(f"{scorer} is too small to answer with a number: scoring by likelihood (--by prompt asks it anyway)")
    run = screen.drive(job).run
    judged, cost = measured(job.store, run), server.cost(run.counts)
    for line in multicsr.judge.news(judged.rows):
        screen.say(line)
    if json:
        screen.document({**judged.document(), **cost})
        return
    shown_figures.show(judged)
    if cost:
        screen.facts(f"eval {run.id}", cells(cost))
