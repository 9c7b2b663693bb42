"""Experiments that are a function of the store. Arrow: store -> table, plot, sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multicsr.paper.outcome import Outcome
from multicsr.paper.plan import Node, in_order
from store.read import runs, triplets

if TYPE_CHECKING:
    from multicsr.paper.lab import Lab
    from store.read.triplets import ListedTriplet


@dataclass(frozen=True)
class Read:
    """An experiment that reads what its runs left in the store."""

    name: str
    title: str
    plan: Callable[[Lab], Sequence[Node]]
    read: Callable[[Lab], Outcome]
    needs: Callable[[Lab], str | None] = lambda lab: None
    makes: bool = False  # its runs itself

    def missing(self, lab: Lab) -> str | None:
        return self.needs(lab)

    def nodes(self, lab: Lab) -> list[Node]:
        return in_order(self.plan(lab))

    def outcome(self, lab: Lab) -> Outcome:
        for one in () if self.makes else self.nodes(lab):
            lab.make(one)
        return self.read(lab)


def rows_of(lab: Lab, node: Node, limit: int = 10**9) -> list[ListedTriplet]:
    """The premises of a gen, score or curate node with what became of them."""
    return triplets.listed(lab.store, runs.view(lab.store, lab.make(node)), limit=limit)


def changed(rows: Sequence[ListedTriplet], others: Sequence[ListedTriplet]) -> tuple[int, int]:
    """Of the premises that both have, how many have another hypothesis; and how many both have."""
    texts = {row.premise_id: (row.entailment, row.contradiction) for row in others}
    both = [row for row in rows if row.premise_id in texts]
    return sum((row.entailment, row.contradiction) != texts[row.premise_id] for row in both), len(both)
