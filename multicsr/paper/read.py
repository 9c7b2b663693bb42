"""Experiments that read what an LLM wrote, and how a store is read for them. Arrow: store -> table, plot, sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multicsr.paper.node import Node, in_order
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome
from store.read import runs, triplets

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from store.read.triplets import ListedTriplet


@dataclass(frozen=True)
class Read:
    """An experiment that is a function of what its runs left in the store. One that `makes` them does so itself; `needs` says
    what it lacks."""

    name: str
    title: str
    plan: Callable[[Lab], Sequence[Node]]
    read: Callable[[Lab], ExperimentOutcome]
    makes: bool = False
    needs: Callable[[Lab], str | None] = lambda lab: None

    def missing(self, lab: Lab) -> str | None:
        return self.needs(lab)

    def nodes(self, lab: Lab) -> list[Node]:
        return in_order(self.plan(lab))

    def outcome(self, lab: Lab) -> ExperimentOutcome:
        for wanted in () if self.makes else self.nodes(lab):
            lab.make(wanted)
        return self.read(lab)


def rows_of(lab: Lab, node: Node, limit: int = 10**9) -> list[ListedTriplet]:
    """The premises of a gen, score or curate node with what became of them."""
    return triplets.listed(lab.store, runs.view(lab.store, lab.make(node)), limit=limit)


def changed(rows: Sequence[ListedTriplet], others: Sequence[ListedTriplet]) -> tuple[int, int]:
    """Of the premises that both have, how many have another hypothesis; and how many both have."""
    texts = {row.premise_id: (row.entailment, row.contradiction) for row in others}
    both = [row for row in rows if row.premise_id in texts]
    return sum((row.entailment, row.contradiction) != texts[row.premise_id] for row in both), len(both)


def copies(row: ListedTriplet) -> tuple[bool, bool]:
    """Whether each hypothesis copies its premise, case and punctuation aside."""
    from store.rows.decisions import plain

    return plain(row.entailment) == plain(row.premise), plain(row.contradiction) == plain(row.premise)


def shown_score(value: float | None) -> str:
    """A similarity of 0 to 5 as a cell."""
    return UNKNOWN if value is None else f"{value:.1f}"
