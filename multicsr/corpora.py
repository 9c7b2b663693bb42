"""Triplets made elsewhere. Arrow: a file -> premises, hypotheses and, where it has them, scores; here, a file -> jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from multicsr.job import Job
from multicsr.means.names import notes_of
from stages.config import ImportConfig, ImportedScoresConfig
from stages.stage import Ticks

if TYPE_CHECKING:
    from stages.files.corpora import Corpus
    from store.database import Store


def job(store: Store, file: str | Path | Corpus, columns: str | Sequence[str] | None = None) -> Job:
    """The import of a file of triplets or labelled pairs, or of one that was checked already, as a gen run.

    `columns` are premise, entailment, contradiction. The file is read from end to end: its content names the run. Raises
    Problem, naming the line, for what is no triplet.
    """
    return jobs(store, file, columns)[0]


def jobs(store: Store, file: str | Path | Corpus, columns: str | Sequence[str] | None = None) -> tuple[Job, Job | None]:
    """`job`, and the import of the file's scores as a score run over it, to be made after it; None where it has none."""
    from stages.files import corpora

    names = [name.strip() for name in columns.split(",")] if isinstance(columns, str) else columns
    corpus = corpora.corpus(Path(file), names) if isinstance(file, str | Path) else file
    notes = notes_of(file=corpus.path, columns=None if names is None else ",".join(names))
    run = partial(corpora.run, store, corpus, notes)
    config = ImportConfig(premises=corpus.name)
    triplets = Job(store, "gen", corpus.version, config, None, run, "import", "triplets")
    if not corpus.scored:
        return triplets, None
    start = partial(_scores, store, corpus, triplets.id, notes)
    scores = ImportedScoresConfig(premises=corpus.name)
    return triplets, Job(store, "score", corpus.version, scores, triplets.id, start, "import of scores", "triplets")


def _scores(store: Store, corpus: Corpus, parent: str, notes: dict[str, str]) -> Ticks:
    from stages.files import corpora

    return (yield from corpora.run_scores(store, corpus, store.run(parent), notes))
