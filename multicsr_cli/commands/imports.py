"""`multicsr import`: a file of triplets -> premise and hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multicsr.names import notes_of
from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json
from multicsr_cli.shown_gen import summary


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
    from multicsr import corpora
    from stages.files.corpora import corpus
    from store.database import Store

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    source = corpus(file, names)
    store = Store.open(db)
    notes = notes_of(file=file, columns=columns)
    made = screen.drive(corpora.job(store, source, notes))
    run = onward = made.run
    result = {**summary(run, made), **source.left_out}
    if source.scored:
        onward = screen.drive(corpora.scores(store, source, run, notes)).run
        result |= {"score": onward.id, **onward.counts}
    if json:
        screen.document(result)
        return
    untold = ("run", "stage", "seconds", "premises_per_second")
    problems = [(name, count) for name, count in run.counts.items() if name not in result]
    screen.facts(f"gen {run.id}", [*((name, value) for name, value in result.items() if name not in untold), *problems])
    verb = "curate" if source.scored else "score"
    screen.say(f"next: multicsr {verb} {onward.id}   or   multicsr train {run.id}")
