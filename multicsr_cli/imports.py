"""`multicsr import`: a file of triplets -> premise and hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multicsr_cli import screen
from multicsr_cli.gen import notes_of, summary
from multicsr_cli.options import DEFAULT_DB, Db, Json


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV or JSONL with a triplet a row.")],
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="Columns of premise, entailment and contradiction.",
            show_default="SimCSE's, sentence-transformers' or ours",
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Take triplets made elsewhere as a gen run, to be scored, curated and trained on like our own."""
    from stages import imports
    from stages.config import ImportConfig
    from store.database import Store

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    source = imports.corpus(file, names)
    store = Store.open(db)
    ticks = imports.run(store, source, notes_of(file=file, columns=columns))
    work = screen.drive(ticks, "import", "triplets")
    run = store.begin("gen", imports.VERSION, ImportConfig(source.name), None)
    result = summary(run, work)
    if json:
        screen.document(result)
        return
    problems = [(name, count) for name, count in run.counts.items() if name not in result]
    screen.facts(f"gen {run.id}", [*list(result.items())[2:-2], *problems])
    screen.say(f"next: multicsr score {run.id}   or   multicsr train {run.id}")
