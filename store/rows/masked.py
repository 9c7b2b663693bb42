"""Negatives that a training's mask removed (MultiCSR, eq. 6). Arrow: places in a batch -> keys of texts.

A training knows its examples by their places. What stood there is looked up once, as it was read: by the rule of each corpus
and the words of persons that the training knew, which its config names by their digest. So a word that is said later, even
while the training goes on, changes no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from store.database import Store
from store.records import Run
from store.rows import reviews, training
from store.rows.drafts import gen_of

# (premise, verdict, swapped) in a window of premises, persons unheard: of a curate run, and of a gen run.
DECIDED = """
    SELECT premise, verdict, swapped FROM ruled
    WHERE run = :run AND premise > :start AND premise <= :stop ORDER BY premise
"""
WRITTEN = """
    SELECT e.premise, 'keep', 0 FROM drafts AS e
    JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction' AND c.text <> ''
    WHERE e.run = :run AND e.role = 'entailment' AND e.text <> '' AND e.premise > :start AND e.premise <= :stop
    ORDER BY e.premise
"""

# A hypothesis as it is read, and the role in which it was written where the scores are reversed.
REVERSED = {"entailment": "contradiction", "contradiction": "entailment"}


class MaskedPair(NamedTuple):
    """A premise x_i and a text of another example x_k that was no negative of it.

    place: of x_i among the training's examples, from 0 in the order in which they are read; other: of x_k. side: which of
    its texts, entailment or contradiction, or premise where a training reads premises alone. cosine: the mask model's, of
    both. times: in how many batches it was masked.
    """

    place: int
    other: int
    side: str
    cosine: float
    times: int


class Example(NamedTuple):
    """What one example was read from: the gen run, the premise, and whether the roles of its hypotheses were swapped."""

    gen: str
    premise: int
    swapped: bool

    def role(self, side: str) -> str:
        """The role in which the hypothesis that was trained on as `side` was written."""
        return REVERSED.get(side, side) if self.swapped else side


def add(store: Store, run: Run, corpora: Sequence[Run], pairs: Sequence[MaskedPair]) -> None:
    """Store what the mask of `run` removed, in the place of what was stored of it before, in one transaction.

    `corpora` are the curate or gen runs whose examples were read one after the other.
    """
    places = {place for pair in pairs for place in (pair.place, pair.other)}
    found = _found(store, corpora, run.config["reviews_digest"], places)
    rows = []
    for place, other, side, cosine, times in pairs:
        of = found[other]
        hypothesis = (of.gen, of.premise, of.role(side))
        rows.append((run.id, place, other, side, found[place].premise, of.premise, *hypothesis, cosine, times))
    with store.writing() as connection:
        connection.execute("DELETE FROM masked WHERE run = ?", [run.id])
        connection.executemany(
            "INSERT INTO masked (run, place, other_place, role, premise, other, draft, cosine, times) VALUES"
            " (?, ?, ?, ?, ?, ?, (SELECT id FROM drafts WHERE run = ? AND premise = ? AND role = ?), ?, ?)",
            rows,
        )


def _found(store: Store, corpora: Sequence[Run], known: str | None, places: set[int]) -> dict[int, Example]:
    """The examples at these places, as they were under the words whose digest is `known`."""
    if not places:
        return {}
    last = reviews.heard(store, known, *corpora)
    every = (example for corpus in corpora for example in _examples(store, corpus, last))
    return {place: one for place, one in enumerate(islice(every, max(places) + 1)) if place in places}


def _examples(store: Store, corpus: Run, last: int) -> Iterator[Example]:
    """The examples of a corpus in their order, as they were when the word `last` had been said. Streams."""
    gen = gen_of(store, corpus)
    words = reviews.spoken(store, gen, last)
    listed = DECIDED if corpus.stage == "curate" else WRITTEN
    for start, stop in training.windows(store, corpus):
        for premise, verdict, swapped in store.rows(listed, {"run": corpus.id, "start": start, "stop": stop}):
            if words.get(premise, verdict) == "keep":
                yield Example(gen.id, premise, bool(swapped))
