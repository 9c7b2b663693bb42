"""Triplets made elsewhere, as a gen run of their own. Arrow: a file of triplets -> premise and hypotheses (and scores).

What a file's columns are is known by their names (`stages/files/layouts.py`), and labelled pairs of an NLI corpus are joined
to triplets first (`stages/files/labelled.py`). From there on they are scored, curated, trained on and inspected like our own.
A file is read twice: once to check every line and to name its content, then to store it, so that a bad line leaves the store
as it was. Both passes stream; of labelled pairs those that wait for their other half are held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from stages.config import ImportConfig, ImportedScoresConfig
from stages.files import layouts, sources, tables
from stages.files.labelled import LABELS, Pairs
from stages.files.layouts import Layout
from stages.stage import COMPLETE, Notes, Tally, Tick, Ticks
from stages.texts import replies as text
from store.database import Store
from store.problem import Problem
from store.records import ROLES, Run, ScoreRow, Triplet
from store.rows import drafts, imports, scores

VERSION = 1
PAIRS_VERSION = 2  # of scored pairs: a pair is a rewrite of its premise, and no triplet

ROWS_AT_ONCE = 10_000  # stored in one transaction: what a kill costs


class CorpusRow(NamedTuple):
    """A triplet of the file with its line, and its scores in [0, 5] as far as there are any; a pair has no contradiction."""

    line: int
    triplet: Triplet
    scores: tuple[float | None, float | None]
    pair: bool


@dataclass(frozen=True)
class Corpus:
    """A checked file of triplets. `name` holds a digest of its content: another content is another source."""

    name: str
    path: Path
    columns: tuple[str, str, str] | None
    digest: str
    rows: int
    scored: bool
    left_out: dict[str, int]  # of labelled pairs, those that make no triplet, by why
    scored_pairs: bool  # CLAIF's pairs, which become rewrites of their premise

    @property
    def version(self) -> int:
        """The version of the stage that made the run: of pairs it is another stage."""
        return PAIRS_VERSION if self.scored_pairs else VERSION

    def triplets(self) -> Iterator[CorpusRow]:
        """Each row that is not blank; of labelled pairs each triplet, with the line that completes it."""
        return _rows(self.path, self.columns, Pairs())


def corpus(path: Path, columns: Sequence[str] | None = None) -> Corpus:
    """Check a file of triplets from end to end; `columns` name premise, entailment and contradiction.

    Raises Problem, naming the line, for what is no triplet. A hypothesis may be empty: it is stored with that problem.
    """
    chosen = _three(columns)
    if not path.is_file():
        raise Problem(f"there is no file {path}", "give a CSV, TSV or JSONL file of triplets")
    if path.suffix.lower() not in tables.SUFFIXES:
        raise Problem(
            f"{path.name} is neither {' nor '.join(tables.SUFFIXES)}", "give a file with one of these endings"
        )
    content, rows, scored, scored_pairs = hashlib.blake2b(digest_size=6), 0, False, False
    pairs = Pairs()
    for row in _rows(path, chosen, pairs):
        scored_pairs = row.pair
        has = row.scores != (None, None)
        content.update(repr((tuple(row.triplet), row.scores) if has else tuple(row.triplet)).encode())
        rows, scored = rows + 1, scored or has
    if not rows:
        remedy = "give a file with a header and a triplet a line"
        if pairs.left_out:
            remedy = "give pairs of which some premise has an entailment and a contradiction"
        raise Problem(f"{path} holds no triplet", remedy)
    digest = content.hexdigest()
    left_out = dict(+pairs.left_out)
    return Corpus(f"{path.name}@{digest}", path, chosen, digest, rows, scored, left_out, scored_pairs)


def _three(columns: Sequence[str] | None) -> tuple[str, str, str] | None:
    if columns is None:
        return None
    if len(columns) != 3 or len(set(columns)) != 3:
        raise Problem(
            f"columns {','.join(columns)} are not three columns",
            "give premise, entailment and contradiction, as A,B,C",
            setting="columns",
        )
    return columns[0], columns[1], columns[2]


def _rows(path: Path, columns: tuple[str, str, str] | None, pairs: Pairs) -> Iterator[CorpusRow]:
    layout = Layout(("",))

    def choose(there: list[str], where: str) -> Sequence[str]:
        nonlocal layout
        layout = layouts.layout(columns, there, f"{path}{where}")
        return layout.columns

    for line, fields in sources.records(path, choose, layouts.NUMBERS):
        if not any(fields):
            continue
        where = tables.at(path, line)
        texts, scores = fields[: len(layout.texts)], fields[len(layout.texts) :]
        if not texts[0]:
            raise Problem(f"{where} has no premise", "mend that line, or leave it out")
        if layout.label:
            if triplet := _paired(pairs, where, *fields):
                yield CorpusRow(line, triplet, (None, None), False)
            continue
        a, b = [*(layouts.score(text, layout.top, where) for text in scores), None, None][:2]
        yield CorpusRow(line, Triplet(*texts, *[""] * (3 - len(texts))), (a, b), len(texts) == 2)


def _paired(pairs: Pairs, where: str, premise: str, hypothesis: str, label: str) -> Triplet | None:
    """The triplet that a labelled pair completes, if it does."""
    try:
        return pairs.add(premise, hypothesis, label)
    except KeyError:
        raise Problem(f"{where}: the label {label!r} is not known", f"give one of {', '.join(LABELS)}") from None


def run(store: Store, source: Corpus, notes: Notes | None = None, at_once: int = ROWS_AT_ONCE) -> Ticks:
    """Store what is missing of the corpus as a gen run, `at_once` rows a transaction; ticks count rows.

    A premise that occurs again keeps each of its triplets. Raises Problem where another process writes the run.
    """
    config = ImportConfig(premises=source.name)
    run = store.begin("gen", source.version, config, parent=None, environment=dict(notes or {}))
    if run.finished:
        yield Tick(source.rows, source.rows, COMPLETE)
        return run
    add = _add_pairs if source.scored_pairs else _add_triplets
    with store.only_writer(run):
        # They are stored in the order of the file.
        done = drafts.written(store, run) if source.scored_pairs else drafts.done(store, run)
        yield from _keep(source, partial(add, store, run, source), Tally(done, source.rows), at_once)
        imports.complete(store, source.name)
        return store.finish(run, {**drafts.counts(store, run), **source.left_out})


def run_scores(
    store: Store, source: Corpus, parent: Run, notes: Notes | None = None, at_once: int = ROWS_AT_ONCE
) -> Ticks:
    """Store what is missing of the file's scores as a score run over the imported gen run `parent`."""
    config = ImportedScoresConfig(premises=source.name)
    run = store.begin("score", source.version, config, parent.id, dict(notes or {}))
    if run.finished:
        yield Tick(source.rows, source.rows, COMPLETE)
        return run
    add = _add_scores_of_pairs if source.scored_pairs else _add_scores
    with store.only_writer(run):
        done = scores.written(store, run) if source.scored_pairs else scores.done(store, run)
        yield from _keep(source, partial(add, store, run, source), Tally(done, source.rows), at_once)
        return store.finish(run, scores.counts(store, run))


def _keep(source: Corpus, add: Callable[[Sequence[CorpusRow]], None], tally: Tally, at_once: int) -> Iterator[Tick]:
    """Have the rows that are missing added, `at_once` in a transaction, in the order of the file."""
    yield tally.tick("storing")
    rest = islice(source.triplets(), tally.done, None)
    while part := list(islice(rest, at_once)):
        add(part)
        tally.add(len(part))
        yield tally.tick("storing")


def _add_triplets(store: Store, run: Run, source: Corpus, part: Sequence[CorpusRow]) -> None:
    rows = [
        (line, triplet, text.problem(triplet.entailment, True), text.problem(triplet.contradiction, True))
        for line, triplet, *_ in part
    ]
    imports.add(store, run, source.name, str(source.path), source.digest, rows)


def _add_pairs(store: Store, run: Run, source: Corpus, part: Sequence[CorpusRow]) -> None:
    rows = [(line, pair.premise, pair.entailment, text.problem(pair.entailment, True)) for line, pair, *_ in part]
    imports.add_pairs(store, run, source.name, str(source.path), source.digest, rows)


def _add_scores(store: Store, run: Run, source: Corpus, part: Sequence[CorpusRow]) -> None:
    premise = imports.premises_at(store, store.parent(run), part[0].line, part[-1].line)
    scores.add(
        store,
        run,
        [
            _score_row(premise[row.line], role, value)
            for row in part
            for role, value in zip(ROLES, row.scores, strict=True)
        ],
    )


def _add_scores_of_pairs(store: Store, run: Run, source: Corpus, part: Sequence[CorpusRow]) -> None:
    named = imports.next_pairs(store, run, source.name, [row.triplet.premise for row in part])
    rows = [_score_row(premise, role, row.scores[0]) for (premise, role), row in zip(named, part, strict=True)]
    scores.add(store, run, rows)


def _score_row(premise: int, role: str, value: float | None) -> ScoreRow:
    return ScoreRow(premise, role, value, "" if value is None else repr(value))
