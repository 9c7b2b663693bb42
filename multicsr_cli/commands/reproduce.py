"""`multicsr reproduce`: the paper's tables and figures, each as a list of runs over the ordinary stages.

What two experiments share (a corpus, its scores, a training) is one run and is computed once. Everything resumes, because
every part does. Tables, plots and sentences are read from the store (`multicsr/paper/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import options, screen
from multicsr_cli.options import Batch, Data, Db, Device, Dtype, Json
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from multicsr.paper.lab import Lab
    from multicsr.paper.outcome import Experiment, Outcome
    from multicsr.paper.scales import Scale
    from store.database import Store

# Not among all: no table of the paper, and longer than any of them.
BESIDE = ("methods",)


def command(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="t1 to t13, f1, f4 to f7, and sizes (how few triplets are enough); several joined by commas, or all of"
            " these; methods, all side by side.",
        ),
    ] = "t3",
    scale: Annotated[
        str, typer.Option(metavar="mini|paper", help="Embedded models, or the paper's on a GPU.")
    ] = "mini",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings of each setting.")] = 2,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=8, help="Premises.", show_default="384 in mini, all in paper")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs, and with paper what they would take; make none.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all stored results as a page: .md or .html.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Put EXPERIMENT's stored results between their marks in a .md page.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    db: Db = Path("reproduction.db"),
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Run the paper's experiments; each ends with its table or plot, and a sentence that a paired test decided."""
    from multicsr.paper.lab import Lab
    from multicsr.paper.scales import SCALES
    from store.database import Store

    chosen = _named(experiment)
    if scale not in SCALES:
        raise Problem(f"--scale {scale!r} is not known", f"give {' or '.join(SCALES)}")
    size = options.batch_size(batch)
    wanted = SCALES[scale] if limit is None else replace(SCALES[scale], limit=limit)
    if page is not None or into is not None:
        _write(Lab(Store.open(db, create=False), wanted, seeds=seeds, data=data), page, into, chosen)
        return
    with _looked_at(db) as store:
        lab = Lab(store, wanted, seeds=seeds, data=data)
        if dry_run:
            _list(lab, chosen, json)
            return
        _lacking(lab, chosen)
        if scale == "paper":
            screen.say(_estimate(lab, chosen))
            _refuse_without_means(wanted, data)
    lab = Lab(Store.open(db), wanted, seeds=seeds, data=data, device=device, dtype=dtype, batch=size)
    told, skipped = run(lab, chosen, show=not json)
    if json:
        screen.document(told[0] if len(chosen) == 1 and told else {"experiments": told, "skipped": skipped})
        return
    screen.say(f"next: multicsr inspect --rejected --db {db}   and   multicsr runs --db {db}")
    others = [name for name in experiments() if name not in {one.name for one in chosen}]
    if others:
        screen.say(f"the other experiments: {', '.join(others)} (make reproduce EXPERIMENT=t7)")


@contextmanager
def _looked_at(db: Path) -> Iterator[Store]:
    """The store, or an empty one that is gone afterwards: to list what would be made, or to refuse it, makes none."""
    from store.database import Store

    with TemporaryDirectory() as folder:
        yield Store.open(db if db.exists() else Path(folder) / "empty.db")


def experiments() -> dict[str, Experiment]:
    """All experiments by name, in the paper's order, and then what the paper has not."""
    from multicsr.paper.beside import METHODS, SIZES
    from multicsr.paper.costs import T13
    from multicsr.paper.declared import TRAINED
    from multicsr.paper.scorers import T1
    from multicsr.paper.written import WRITTEN

    found: dict[str, Experiment] = {one.name: one for one in (T1, T13, *TRAINED, *WRITTEN, SIZES, METHODS)}
    order = [*(f"t{number}" for number in range(1, 14)), "f1", "f4", "f5", "f6", "f7", SIZES.name, *BESIDE]
    return {name: found[name] for name in order}


def _named(listed: str) -> list[Experiment]:
    known = experiments()
    if listed == "all":
        return [one for name, one in known.items() if name not in BESIDE]
    names = [name.strip() for name in listed.split(",")]
    for name in names:
        if name not in known:
            raise Problem(
                f"unknown experiment {name!r}", f"there are {', '.join(known)}, and all (of them but methods)"
            )
    return [known[name] for name in dict.fromkeys(names)]


def run(lab: Lab, chosen: Sequence[Experiment], show: bool) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Run each experiment and write its files; returns their documents, and those that lack something, with the reason.

    An experiment asked for alone is refused where something is missing; of several the others go on.
    """
    from multicsr.paper import outcome as outcomes
    from multicsr.paper.plan import in_order

    missing = _lacking(lab, chosen)
    ready = [one for one in chosen if one.name not in missing]
    lab.total = len(in_order(node for one in ready for node in one.nodes(lab)))
    told: list[dict[str, Any]] = []
    for one in ready:
        made: Outcome = one.outcome(lab)
        written = outcomes.write(one, made, lab, _runs(lab, one))
        told.append({**made.document, "report": str(written)})
        if show:
            outcomes.show(one, made)
            screen.say(f"report: {written}")
    for name, why in missing.items():
        screen.say(f"left out: {name}: {why}")
    return told, [{"experiment": name, "reason": why} for name, why in missing.items()]


def _lacking(lab: Lab, chosen: Sequence[Experiment]) -> dict[str, str]:
    """The experiments that lack something, with the reason. Raises Problem for one that was asked for alone."""
    missing = {one.name: why for one in chosen if (why := one.missing(lab))}
    if len(chosen) == 1 and missing:
        raise Problem(f"{chosen[0].name} ({chosen[0].title}): {missing[chosen[0].name]}", "give it, or run another")
    return missing


def _write(lab: Lab, page: Path | None, into: Path | None, chosen: Sequence[Experiment]) -> None:
    """What is stored, as a page of its own or between the marks of another."""
    from multicsr.paper import page as results

    if page is not None:
        screen.say(f"page: {results.write(lab, page, list(experiments().values()))}")
    if into is not None:
        screen.say(f"{into}: {', '.join(results.fill(lab, into, chosen))}")


def _runs(lab: Lab, one: Experiment) -> list[Run]:
    """The runs behind an outcome."""
    return [lab.made[node] for node in one.nodes(lab) if node in lab.made]


def _list(lab: Lab, chosen: Sequence[Experiment], json: bool) -> None:
    """The runs of the experiments, those that are there already marked."""
    from multicsr.paper.estimate import estimate
    from multicsr.paper.plan import in_order

    missing = {one.name: why for one in chosen if (why := one.missing(lab))}
    wanted = in_order(node for one in chosen if one.name not in missing for node in one.nodes(lab))
    found = {node: lab.find(node) for node in wanted}
    if json:
        rows = [{"run": run and run.id, "stage": node.stage, "settings": node.told} for node, run in found.items()]
        left = estimate([node for node, run in found.items() if run is None])
        screen.document(
            {
                "runs": rows,
                "skipped": [{"experiment": name, "reason": why} for name, why in missing.items()],
                "estimate": {"gpu_hours": left.gpu_hours, "disk_bytes": left.disk}
                if lab.scale.name == "paper"
                else None,
            }
        )
        return
    screen.table(
        "runs", ("run", "what"), [(run.id if run else "to be made", node.shown) for node, run in found.items()]
    )
    for name, why in missing.items():
        screen.say(f"left out: {name}: {why}")
    done = sum(run is not None for run in found.values())
    screen.say(f"{done:,} of {len(found):,} runs are done")
    if lab.scale.name == "paper":
        screen.say(_estimate(lab, chosen))


def _estimate(lab: Lab, chosen: Sequence[Experiment]) -> str:
    from multicsr.paper.estimate import estimate
    from multicsr.paper.plan import in_order

    wanted = in_order(node for one in chosen if not one.missing(lab) for node in one.nodes(lab))
    return estimate([node for node in wanted if lab.find(node) is None]).shown


def _refuse_without_means(scale: Scale, data: Path | None) -> None:
    """The paper's scale needs a GPU, the hub, and STS-B: everything that is missing is named at once."""
    from stages.models import catalog
    from stages.models.device import device

    missing = []
    try:
        device("cuda")
    except Problem:
        missing.append("a CUDA device")
    if data is None:
        missing.append(f"--data DIR with {scale.dev} (DATA=DIR for make)")
    if not missing:  # the models are tens of gigabytes: only asked for once the rest is there
        encoders = {name for one in scale.backbones for name in (one.base, one.mask_model)}
        kinds: list[tuple[str, catalog.Kind]] = [*((name, "encoder") for name in sorted(encoders)), (scale.llm, "llm")]
        for name, kind in kinds:
            try:
                catalog.locate(name, kind)
            except Problem as problem:
                missing.append(problem.what)
    if missing:
        raise Problem(f"--scale paper lacks {' and '.join(missing)}", "run it where these are, or use --scale mini")
