"""What a training learns from, in the order in which it is read. Arrow: triplet -> example.

A corpus is a curate run, or a gen run as it is. An example is what the corpus keeps, a triplet or one of CLAIF's pairs, or
of a triplet the premise alone. It is read from the store each time, since no list of texts may stand in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stages.config import TrainConfig
from stages.config.train import SCORED
from stages.texts.similarity import SCALE
from store.database import Store
from store.problem import Problem
from store.records import Run, Triplet
from store.rows import partners, reviews, training


@dataclass(frozen=True)
class Kept:
    """How what a corpus keeps is read: one is `called` that and has the texts `columns`. `labels` are the similarities, in
    [0, 1], of the first of them with each of the others."""

    called: str
    columns: tuple[str, ...]
    count: Callable[[Store, Run], int]
    texts: Callable[[Store, Run], Iterator[tuple[str, ...]]]
    labels: Callable[[Store, Run], Iterator[float]]


def _similarities(store: Store, corpus: Run) -> Iterator[float]:
    """The LLM's a/5 and b/5 of each triplet in turn."""
    for scores in training.similarities(store, corpus):
        for score in scores:
            if score is None:
                raise Problem(
                    f"curate run {corpus.id} keeps a triplet without a score: a person's word counts more than its rule",
                    "take that review back in `multicsr inspect`, or train by another objective",
                )
            yield score / SCALE


TRIPLETS = Kept("triplet", Triplet._fields, training.count_triplets, training.triplets, _similarities)
PAIRS = Kept(
    "pair",
    ("premise", "partner"),
    lambda store, corpus: int(corpus.counts["kept"]),
    lambda store, corpus: ((premise, partner) for premise, partner, _ in partners.pairs(store, corpus)),
    lambda store, corpus: (label for *_, label in partners.pairs(store, corpus)),
)


def kept_by(corpus: Run) -> Kept:
    """What the method that made a corpus keeps."""
    return PAIRS if corpus.config.get("strategy") == "claif" else TRIPLETS


@dataclass(frozen=True)
class Examples:
    """The examples of `corpora`, under the words of persons that `reviews_digest` names; iterated, the texts of each."""

    store: Store
    corpora: tuple[Run, ...]
    objective: str
    reviews_digest: str | None

    @classmethod
    def of(cls, store: Store, parent: Run, config: TrainConfig) -> Examples:
        """The examples of a training on `parent` and the runs that join it. Raises Problem where there can be none."""
        corpora = (parent, *map(store.run, config.with_runs))
        examples = cls(store, corpora, config.objective, config.reviews_digest)
        for one in corpora:
            examples._refuse(one)
        examples._refuse_reviewed()
        return examples

    @property
    def kept(self) -> Kept:
        return kept_by(self.corpora[0])

    @property
    def width(self) -> int:
        """The texts of an example."""
        return 1 if self.objective == "simcse-unsup" else len(self.kept.columns)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """The texts of each example. Raises Problem where a review changed them before all were read."""
        for one in self.corpora:
            for texts in self.kept.texts(self.store, one):
                yield texts[: self.width]
        self._refuse_reviewed()

    def count(self) -> Counter[str]:
        """How many there are, by the id of their corpus. Raises Problem for a corpus that has none."""
        counted = Counter[str]()
        for one in self.corpora:
            number = self.kept.count(self.store, one)
            if not number:
                raise self._none(one)
            counted[one.id] += number
        return counted

    def labels(self) -> np.ndarray | None:
        """What the objective learns similarities from, else None: the LLM's a/5 and b/5 of each triplet, (n, 2), or the
        label of each pair, (n, 1)."""
        if self.objective not in SCORED:
            return None
        every = (label for one in self.corpora for label in self.kept.labels(self.store, one))
        return np.fromiter(every, dtype=np.float32).reshape(-1, len(self.kept.columns) - 1)

    def _refuse(self, corpus: Run) -> None:
        """Raise Problem for a corpus that cannot be learned from."""
        shown = f"{corpus.stage} run {corpus.id}"
        refuse_unfinished(corpus)
        if self.objective in SCORED and corpus.stage != "curate":
            raise Problem(
                f"objective {self.objective} learns from scores, and {shown} has none",
                "give a curate run: `multicsr curate` under alpha=0 beta=5 gamma=-5 keeps every triplet with its scores",
                "objective",
            )
        if kept_by(corpus) is PAIRS and self.objective != "claif":
            raise Problem(
                f"{shown} keeps pairs, from which only objective=claif learns",
                "train by objective=claif, or give a curate run of triplets",
            )
        if kept_by(corpus) is not self.kept:
            raise Problem(
                f"with_runs: {shown} keeps {kept_by(corpus).called}s, and run {self.corpora[0].id} {self.kept.called}s",
                "join runs that keep the same",
                "with_runs",
            )

    def _none(self, corpus: Run) -> Problem:
        shown = f"{corpus.stage} run {corpus.id}"
        if corpus is not self.corpora[0]:
            what = f"with_runs: {shown} holds no {self.kept.called}"
            return Problem(what, "give a file with both hypotheses, or another run", "with_runs")
        what = f"{shown} keeps no {self.kept.called}"
        if corpus.counts.get("kept"):
            return Problem(
                f"{what} that no person dropped", "take words back in `multicsr inspect`, or curate otherwise"
            )
        return Problem(what, "curate again, say under alpha=2 beta=3 gamma=0; its sweep shows what each keeps")

    def _refuse_reviewed(self) -> None:
        if reviews.applied(self.store, *self.corpora) != self.reviews_digest:
            parent = self.corpora[0]
            raise Problem(
                f"the {self.kept.called}s of {parent.stage} run {parent.id} are being reviewed while they are read",
                "run the same command again; it trains on what the reviews say then",
            )


def refuse_unfinished(corpus: Run) -> None:
    """Raise Problem for a run that is not complete."""
    if not corpus.finished:
        raise Problem(
            f"{corpus.stage} run {corpus.id} is not finished",
            f"run the same `multicsr {corpus.stage}` again; it goes on",
        )
