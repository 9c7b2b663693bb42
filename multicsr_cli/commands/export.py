"""`multicsr export`: triplet -> a file that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from store.problem import Problem

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
    from multicsr import export
    from store.database import Store

    how: dict[str, Any] = {"format": format, "shape": shape, "rows": rows, "scores": scores}
    export.refuse_unknown(format, shape, rows)
    store = Store.open(db, create=False, write=False)
    exported = store.find(run, ("curate", "score", "gen"))
    if out == STDOUT:
        if json:
            raise Problem("out - writes rows and nothing else, and json a document", "leave one of the two out", "out")
        export.stream(store, exported, sys.stdout, **how)
        return
    file = export.export(store, exported, out, **how)
    if json:
        about = {
            "run": exported.id,
            "rows": file.rows,
            "format": format,
            "columns": file.columns,
            "out": str(file.path),
        }
        screen.document(about)
    else:
        facts = [("rows", file.rows), ("columns", ", ".join(file.columns)), ("file", file.path)]
        screen.facts(f"{exported.stage} {exported.id}", facts)
