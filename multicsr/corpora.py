"""Triplets made elsewhere. Arrow: a file of triplets -> premise and hypotheses; here, a file -> a job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from multicsr.job import Job
from multicsr.names import notes_of
from stages.config import ImportConfig

if TYPE_CHECKING:
    from stages.files.corpora import Corpus
    from store.database import Store


def job(store: Store, file: str | Path | Corpus, columns: Sequence[str] | None = None) -> Job:
    """The import of a CSV, TSV or JSONL file, or of one that was checked already; it is read from end to end for its name.

    `columns` name premise, entailment and contradiction. Raises Problem, naming the line, for what is no triplet.
    """
    from stages.files import corpora

    source = corpora.corpus(Path(file), columns) if isinstance(file, str | Path) else file
    notes = notes_of(file=source.path, columns=",".join(columns) if columns else None)
    start = partial(corpora.run, store, source, notes)
    return Job(
        store,
        "gen",
        source.version,
        ImportConfig(premises=source.name),
        None,
        start,
        f"import {source.path.name}",
        "triplets",
    )
