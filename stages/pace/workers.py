"""Where the model of a stage works. Arrow: missing rows -> finished rows, in whatever order they are done.

A stage hands its pure middle over with a window of items at a time and stores what comes back. Whether the model is in this
process (`InProcess`) or in many (`stages/pace/ray_workers.py`) it does not know: the rows are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from stages.pace.batches import Batches

Item = TypeVar("Item")
Result = TypeVar("Result")

# (items, model, pace) -> (place in `items`, result) as they are done: neither store nor clock, so it can work anywhere.
Middle = Callable[[Sequence[Item], Any, Batches], Iterator[Sequence[tuple[int, Result]]]]


class Engine(Protocol):
    """All that a stage knows of the processes that work for it."""

    def start(self, load: Callable[[], Any], batches: Batches, left: int) -> None:
        """Load the model for `left` items; called only if there is one."""
        ...

    def flow(self, items: Sequence[Item], middle: Middle[Item, Result]) -> Iterator[list[Result]]:
        """Take `items` on and yield results meanwhile, be it of these or of earlier ones; some may still be under way."""
        ...

    def rest(self) -> Iterator[list[Any]]:
        """Yield what is under way, to the last."""
        ...

    def take_spent(self) -> Mapping[str, int]:
        """What a server was asked and charged since this was last called."""
        ...

    def pace(self) -> str:
        """Who works and how fast, where that is more than this process; else empty."""
        ...

    def take_warning(self) -> str:
        """What the user must hear, since this was last asked; empty mostly."""
        ...


class InProcess:
    """The `Engine` whose model is in this process."""

    def start(self, load: Callable[[], Any], batches: Batches, left: int) -> None:
        self.model, self.batches = load(), batches

    def flow(self, items: Sequence[Item], middle: Middle[Item, Result]) -> Iterator[list[Result]]:
        for done in middle(items, self.model, self.batches):
            yield [result for _, result in done]

    def rest(self) -> Iterator[list[Any]]:
        return iter(())

    def take_spent(self) -> Mapping[str, int]:
        spent: Mapping[str, int] = self.model.take_spent()
        return spent

    def pace(self) -> str:
        return ""

    def take_warning(self) -> str:
        return self.batches.take_warning()
