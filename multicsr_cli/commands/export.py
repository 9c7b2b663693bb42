"""`multicsr export`: triplet -> a file that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import View

STDOUT = Path("-")


def command(
    run: RunName = "latest",
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The file; for hf a new folder; - is stdout.", show_default="RUN.FORMAT"),
    ] = None,
    format: Annotated[str, typer.Option(metavar="NAME", help="csv, jsonl, parquet or hf.")] = "csv",
    shape: Annotated[
        str, typer.Option(metavar="NAME", help="Column names: multicsr, simcse or sentence-transformers.")
    ] = "multicsr",
    rows: Annotated[
        str, typer.Option(metavar="NAME", help="kept, rejected (with verdict and reason) or all.")
    ] = "kept",
    scores: Annotated[bool, typer.Option("--scores", help="With the scores a and b.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write the triplets of a run to a file, in the shape that other trainers read."""
    from stages.files import export
    from stages.files.layouts import SHAPES
    from store.database import Store
    from store.read import runs, triplets

    for flag, value, known in (
        ("--format", format, export.FORMATS),
        ("--shape", shape, tuple(SHAPES)),
        ("--rows", rows, tuple(triplets.CHOICES)),
    ):
        if value not in known:
            raise Problem(f"{flag} {value!r} is not known", f"give one of {', '.join(known)}")
    store = Store.open(db, create=False, write=False)
    found = store.find(run, ("curate", "score", "gen"))
    shown = runs.view(store, found)
    _refuse(shown, found, rows, scores)
    names = export.columns(shape, scores, rows != "kept")
    stream = triplets.exported(store, shown, rows)
    if out == STDOUT:
        if format not in ("csv", "jsonl") or json:
            raise Problem("--out - writes CSV or JSONL and nothing else", "leave --json out, or give --out PATH")
        (export.csv_rows if format == "csv" else export.jsonl_rows)(stream, names, sys.stdout)
        return
    path = out or Path(f"{found.id}.{format}")
    if not path.resolve().parent.is_dir():
        raise Problem(f"the folder {path.resolve().parent} does not exist", "create it, or give another --out PATH")
    if path.is_dir() or (format == "hf" and path.exists()):
        raise Problem(f"{path} is there already", "remove it, or give another --out PATH")
    written = export.write(stream, names, format, path, _card(store, found, names) if format == "hf" else "")
    if json:
        screen.document(
            {"run": found.id, "rows": written, "format": format, "columns": list(names.values()), "out": str(path)}
        )
    else:
        screen.facts(
            f"{found.stage} {found.id}", [("rows", written), ("columns", ", ".join(names.values())), ("file", path)]
        )


def _refuse(shown: View, run: Run, rows: str, scores: bool) -> None:
    if not run.finished:
        raise Problem(
            f"{run.stage} run {run.id} is not finished", f"run the same `multicsr {run.stage}` again; it goes on"
        )
    if rows == "rejected" and shown.curate is None:
        raise Problem(f"{run.stage} run {run.id} has no decisions", "run `multicsr curate` first, or give --rows all")
    if scores and shown.score is None:
        raise Problem(f"gen run {run.id} has no scores", "run `multicsr score` first, or leave --scores out")


def _card(store: Store, run: Run, names: dict[str, str]) -> str:
    from stages.files.cards import data_card
    from store.rows import training

    return data_card(run, training.recipe(store, run), names)
