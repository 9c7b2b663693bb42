"""Experiments that are a function of the store. Arrow: store -> table, plot, sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multicsr_cli.experiments.outcome import Outcome
from multicsr_cli.experiments.plan import Node, in_order

if TYPE_CHECKING:
    from multicsr_cli.experiments.lab import Lab


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
