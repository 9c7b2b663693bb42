"""Triplets made elsewhere, as a gen run of their own. Arrow: a file of triplets -> premise and hypotheses.

From there on they are scored, curated, trained on and inspected like our own. A file is read twice: once to check every
line and to name its content, then to store it, so that a bad line leaves the store as it was. Both passes stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from stages import reading, text
from stages.config import ImportConfig
from stages.stage import COMPLETE, Notes, Tick, Ticks
from store import drafts, imports
from store.database import Store
from store.records import Problem, Triplet

VERSION = 1

# The columns of a triplet as others call them, tried in this order: ours, sentence-transformers', SimCSE's and SynCSE's.
SHAPES = {
    "multicsr": ("premise", "entailment", "contradiction"),
    "sentence-transformers": ("anchor", "positive", "negative"),
    "simcse": ("sent0", "sent1", "hard_neg"),
}

ROWS_AT_ONCE = 10_000  # stored in one transaction: what a kill costs


@dataclass(frozen=True)
class Corpus:
    """A checked file of triplets. `name` holds a digest of its texts: other texts are another source."""

    name: str
    path: Path
    columns: tuple[str, str, str] | None
    digest: str
    rows: int

    def triplets(self) -> Iterator[tuple[int, Triplet]]:
        """(line number, triplet) of each row that is not blank."""
        return _triplets(self.path, self.columns)


def corpus(path: Path, columns: Sequence[str] | None = None) -> Corpus:
    """Check a CSV, TSV or JSONL file from end to end; `columns` name premise, entailment and contradiction.

    Raises Problem, naming the line, for what is no triplet. A hypothesis may be empty: it is stored with that problem.
    """
    if columns is not None and (len(columns) != 3 or len(set(columns)) != 3):
        raise Problem(
            f"--columns {','.join(columns)} are not three columns",
            "give premise, entailment and contradiction, as A,B,C",
        )
    chosen = None if columns is None else (columns[0], columns[1], columns[2])
    if not path.is_file():
        raise Problem(f"there is no file {path}", "give a CSV, TSV or JSONL file of triplets")
    if path.suffix.lower() not in reading.TABLES:
        raise Problem(f"{path.name} is neither {' nor '.join(reading.TABLES)}", "give a file with one of these endings")
    content, rows = hashlib.blake2b(digest_size=6), 0
    for _, triplet in _triplets(path, chosen):
        content.update(repr(tuple(triplet)).encode())
        rows += 1
    if not rows:
        raise Problem(f"{path} holds no triplet", "give a file with a header and a triplet a line")
    digest = content.hexdigest()
    return Corpus(f"{path.name}@{digest}", path, chosen, digest, rows)


def _triplets(path: Path, columns: tuple[str, str, str] | None) -> Iterator[tuple[int, Triplet]]:
    def choose(there: list[str], where: str) -> Sequence[str]:
        for names in (columns,) if columns else SHAPES.values():
            if set(names) <= set(there):
                return names
        wanted = [columns] if columns else list(SHAPES.values())
        raise Problem(
            f"{path}{where} has no columns {' or '.join(', '.join(names) for names in wanted)}",
            f"name premise, entailment and contradiction with --columns A,B,C, among {', '.join(there) or 'none'}",
        )

    for number, texts in reading.records(path, choose):
        if not any(texts):
            continue
        if not texts[0]:
            raise Problem(f"{path}, line {number} has no premise", "mend that line, or leave it out")
        yield number, Triplet(*texts)


def run(store: Store, source: Corpus, notes: Notes | None = None, at_once: int = ROWS_AT_ONCE) -> Ticks:
    """Store what is missing of the corpus, `at_once` rows a transaction. A premise that occurs again keeps each of its
    triplets."""
    run = store.begin("gen", VERSION, ImportConfig(source.name), parent=None, environment=dict(notes or {}))
    if run.finished:
        yield Tick(source.rows, source.rows, COMPLETE)
        return
    with store.only_writer(run):
        done = start = drafts.done(store, run)  # they are stored in the order of the file
        yield Tick(done, source.rows, "storing")
        rest = islice(source.triplets(), done, None)
        while part := list(islice(rest, at_once)):
            rows = [
                (place, triplet, text.problem(triplet.entailment, True), text.problem(triplet.contradiction, True))
                for place, triplet in part
            ]
            imports.add(store, run, source.name, str(source.path), source.digest, rows)
            done += len(part)
            yield Tick(done, source.rows, "storing", done - start)
        imports.complete(store, source.name)
        store.finish(run, drafts.counts(store, run))
