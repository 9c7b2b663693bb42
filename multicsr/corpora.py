"""Triplets made elsewhere. Arrow: a file -> premise and hypotheses, and scores; here, a checked file -> jobs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from multicsr.job import Job
from stages.config import ImportConfig, ImportedScoresConfig
from stages.files import corpora
from stages.files.corpora import Corpus
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store


def job(store: Store, corpus: Corpus, notes: Mapping[str, str] | None = None) -> Job:
    """The gen run that holds the triplets of `corpus`, as `stages.files.corpora.corpus` checked it.

    `notes` say where the file lies, for the command that makes the run.
    """
    settings = ImportConfig(premises=corpus.name)
    start = partial(corpora.run, store, corpus, notes)
    return Job(store, "gen", corpus.version, settings, None, start, "import", "triplets")


def scores(store: Store, corpus: Corpus, gen: Run, notes: Mapping[str, str] | None = None) -> Job:
    """The score run of `gen`, the imported corpus, from the scores that stand in its file, in [0, 5]."""
    settings = ImportedScoresConfig(premises=corpus.name)
    start = partial(corpora.run_scores, store, corpus, gen, notes)
    return Job(store, "score", corpus.version, settings, gen.id, start, "import of scores", "triplets")
