"""`multicsr reproduce`: the paper's tables and figures, each as a list of runs over the ordinary stages.

What two experiments share (a corpus, its scores, a training) is one run and is computed once. Everything resumes, because
every part does. Tables, plots and sentences are read from the store (`multicsr/paper/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import options, screen
from multicsr_cli.options import Batch, Data, Db, Device, Dtype, Json

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.outcome import Experiment, ExperimentOutcome


Name = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="t1 to t13, f1, f4 to f7, and sizes (how few triplets are enough); several joined by commas, or all of"
        " these; methods, all side by side.",
    ),
]
ScaleName = Annotated[str, typer.Option(metavar="mini|paper", help="Embedded models, or the paper's on a GPU.")]
Seeds = Annotated[
    int, typer.Option(metavar="N", min=1, help="Trainings of each setting; fewer than 5 give no verdict.")
]
Limit = Annotated[
    int | None, typer.Option(metavar="N", min=8, help="Premises.", show_default="384 in mini, all in paper")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="List the runs, and with paper what they would take; make none.")
]
PageFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write all stored results as a page: .md or .html.", show_default=False),
]
Into = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Put EXPERIMENT's stored results between their marks in a .md page.", show_default=False
    ),
]


def command(
    experiment: Name = "t3",
    scale: ScaleName = "mini",
    seeds: Seeds = 5,  # as many as a verdict takes (stages/tasks/hierarchy.py)
    limit: Limit = None,
    dry_run: DryRun = False,
    page: PageFile = None,
    into: Into = None,
    data: Data = None,
    db: Db = Path("reproduction.db"),
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Run the paper's experiments; each ends with its table or plot, and all with a verdict on each claim."""
    from multicsr.paper import reproduction
    from multicsr.paper.lab.lab import Lab
    from store.database import Store

    chosen, known = reproduction.named(experiment), reproduction.scale_named(scale)
    size = known if limit is None else replace(known, limit=limit)
    means: dict[str, Any] = {"device": device, "dtype": dtype, "batch": options.batch_size(batch)}
    lab_of: Callable[..., Lab] = partial(Lab, scale=size, seeds=seeds, data=data, **means, drive=screen.drive)
    if page is not None or into is not None:
        _write(lab_of(Store.open(db, create=False)), page, into, chosen)
        return
    with _looked_at(db, lab_of) as lab:
        if dry_run:
            _list(lab, chosen, json)
            return
        reproduction.lacking(lab, chosen)
        if scale == "paper":
            screen.say(reproduction.left(lab, chosen).shown)
            reproduction.refuse_without_means(size, data)
    _run(lab_of(Store.open(db)), chosen, json)


def _write(lab: Lab, page: Path | None, into: Path | None, chosen: Sequence[Experiment]) -> None:
    """What is stored, as a page of its own or between the marks of another."""
    from multicsr.paper import page as results
    from multicsr.paper import reproduction

    if page is not None:
        screen.say(f"page: {results.write(lab, page, reproduction.LISTED)}")
    if into is not None:
        screen.say(f"{into}: {', '.join(results.fill(lab, into, chosen, reproduction.LISTED))}")


def _run(lab: Lab, chosen: Sequence[Experiment], json: bool) -> None:
    """Make the experiments, and show each as it ends."""
    from multicsr.paper import reproduction
    from multicsr_cli import shown_experiments

    documents, missing = reproduction.run(lab, chosen, partial(_heard, show=not json))
    missing = shown_experiments.as_typed(missing)
    shown_experiments.say_what_is_left_out(missing)
    if json:
        several = {"experiments": documents, "skipped": shown_experiments.skipped(missing)}
        screen.document(documents[0] if len(chosen) == 1 and documents else several)
        return
    shown_experiments.show_verdicts(documents)
    db = lab.store.path
    screen.say(f"next: multicsr inspect --rejected --db {db}   and   multicsr runs --db {db}")
    others = [name for name in reproduction.EXPERIMENTS if name not in {one.name for one in chosen}]
    if others:
        screen.say(f"the other experiments: {', '.join(others)} (make reproduce EXPERIMENT=t7)")


@contextmanager
def _looked_at(db: Path, lab_of: Callable[..., Lab]) -> Iterator[Lab]:
    """A lab that writes nothing that stays: to list what would be made, or to refuse it, makes neither store nor file."""
    from store.database import Store

    with TemporaryDirectory() as folder:
        store = Store.open(db, create=False, write=False) if db.exists() else Store.open(Path(folder) / "empty.db")
        yield lab_of(store, folder=Path(folder))
        store.close()


def _heard(experiment: Experiment, outcome: ExperimentOutcome, show: bool) -> None:
    from multicsr_cli import shown_experiments

    if show:
        shown_experiments.show(experiment, outcome)


def _list(lab: Lab, chosen: Sequence[Experiment], json: bool) -> None:
    """The runs of the experiments, those that are there already marked."""
    from multicsr.paper import reproduction
    from multicsr_cli import shown_experiments

    missing = shown_experiments.as_typed(reproduction.reasons(lab, chosen))
    runs = {node: lab.find(node) for node in reproduction.wanted(lab, chosen)}
    left = reproduction.left(lab, chosen) if lab.scale.name == "paper" else None
    if json:
        screen.document(shown_experiments.listing(runs, missing, left))
    else:
        shown_experiments.show_listing(runs, missing, left)
