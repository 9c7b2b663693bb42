"""A run that is wanted, before it is made. Arrow: a declaration -> nodes -> runs.

Nodes are values: two experiments that want the same run hold equal nodes, and the store makes them one run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """A stage with what it is told, under the names of its settings, and the run it is made from."""

    stage: str
    settings: tuple[tuple[str, Any], ...]
    parent: Node | None = None

    def __getitem__(self, name: str) -> Any:
        return dict(self.settings).get(name)

    @property
    def needs(self) -> tuple[Node, ...]:
        """The nodes that this one is made from: those that its settings name, and its parent."""
        named = [value for _, value in self.settings if isinstance(value, Node)]
        return (*named, self.parent) if self.parent is not None else tuple(named)

    def ancestor(self, stage: str) -> Node | None:
        """The nearest of this node, its parent, and so on, that is of `stage`."""
        each: Node | None = self
        while each is not None and each.stage != stage:
            each = each.parent
        return each

    def line(self) -> Iterator[Node]:
        """This node, what it is made from, its parent last, and so on."""
        yield self
        for each in self.needs:
            yield from each.line()

    @property
    def shown(self) -> str:
        """One line for people: what it is told, and what it is made from."""
        told = " ".join(f"{name} {_text(value)}" for name, value in self.settings)
        return f"{self.stage} {told}".strip()

    @property
    def told(self) -> dict[str, Any]:
        """The settings as a program reads them."""
        return {name: value.shown if isinstance(value, Node) else value for name, value in self.settings}


def node(stage: str, parent: Node | None = None, **settings: Any) -> Node:
    """A node; a setting that is None is left to the stage."""
    told = sorted((name, value) for name, value in settings.items() if value is not None)
    return Node(stage, tuple(told), parent)


def in_order(wanted: Iterable[Node]) -> list[Node]:
    """Every node that is wanted or needed for one, each once, parents first."""
    ordered: dict[Node, None] = {}
    for each in wanted:
        ordered |= dict.fromkeys(reversed(list(each.line())))
    return list(ordered)


def _text(value: Any) -> str:
    if isinstance(value, Node):
        return value.stage
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
