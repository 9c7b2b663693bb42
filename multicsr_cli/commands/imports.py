"""`multicsr import`: a file of triplets -> premise and hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multicsr.names import notes_of
from multicsr_cli import screen
from multicsr_cli.commands.gen import summary
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.records import Run

if TYPE_CHECKING:
    from stages.files.corpora import Corpus
    from store.database import Store


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
    from stages.config import ImportedScoresConfig
    from stages.files import corpora
    from store.database import Store

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    source = corpora.corpus(file, names)
    store = Store.open(db)
    notes = notes_of(file=file, columns=columns)
    run, work = make(store, source, notes)
    result, next_run = {**summary(run, work), **source.left_out}, run
    if source.scored:
        screen.drive_ticks(corpora.run_scores(store, source, run, notes), "import of scores", "triplets")
        next_run = store.begin("score", source.version, ImportedScoresConfig(premises=source.name), run.id)
        result |= {"score": next_run.id, **next_run.counts}
    if json:
        screen.document(result)
        return
    shown = {
        name: value for name, value in result.items() if name not in ("run", "stage", "seconds", "premises_per_second")
    }
    problems = [(name, count) for name, count in run.counts.items() if name not in result]
    screen.facts(f"gen {run.id}", [*shown.items(), *problems])
    onward = "curate" if source.scored else "score"
    screen.say(f"next: multicsr {onward} {next_run.id}   or   multicsr train {run.id}")


def make(store: Store, source: Corpus, notes: dict[str, str]) -> tuple[Run, screen.Work]:
    """Import what is missing of a corpus: its gen run."""
    from stages.config import ImportConfig
    from stages.files import corpora

    work = screen.drive_ticks(corpora.run(store, source, notes), "import", "triplets")
    return store.begin("gen", source.version, ImportConfig(premises=source.name), None), work
