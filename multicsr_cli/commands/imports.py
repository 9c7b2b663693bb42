"""`multicsr import`: a file of triplets -> premise and hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import multicsr.corpora
from multicsr_cli import documents, screen
from multicsr_cli.options import DEFAULT_DB, Db, Json


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV or JSONL: triplets, or labelled NLI pairs.")],
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
    """Take triplets made elsewhere as a gen run, to be scored, curated and trained on like our own.

    Pairs labelled entailment and contradiction are joined to triplets by their premise. Scores in the file (a and b from
    0 to 5, or CLAIF's label from 0 to 1) become a score run.
    """
    from store.database import Store

    store = Store.promised(db)
    triplets, scores = multicsr.corpora.jobs(store, file, columns)
    made = screen.drive(triplets)
    run = onward = made.run
    result = {**documents.of_gen(made), **run.counts}
    if scores is not None:
        onward = screen.drive(scores).run
        result |= {"score": onward.id, **onward.counts}
    if json:
        screen.document(result)
        return
    hidden = ("run", "stage", "seconds", "premises_per_second")
    screen.facts(f"gen {run.id}", [(name, value) for name, value in result.items() if name not in hidden])
    verb = "score" if scores is None else "curate"
    screen.say(f"next: multicsr {verb} {onward.id}   or   multicsr train {run.id}")
