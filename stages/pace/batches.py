"""How much a stage computes at once. Arrow: none of its own; it holds the pace of every stage that asks a model.

What was asked for, or (a batch of None) as much as fits into free memory; half of it whenever memory runs out after all.
What is computed does not depend on it: in float32 not by a bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from store.problem import Problem

if TYPE_CHECKING:
    import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")


class SentenceEncoder(Protocol):
    """All that a stage knows of an encoder that it does not train."""

    def capacity(self, texts: Sequence[str]) -> int:
        """How many texts as long as the longest of `texts` could be encoded at once in free memory, at least 1."""
        ...

    def encode(self, texts: Sequence[str], batch: int) -> np.ndarray:
        """Vectors (len(texts), width), `batch` texts at a time, the longest first."""
        ...


class Batches:
    """The batch size of one stage: `asked` (None for auto), counted in `unit`, on the device of that name."""

    def __init__(self, asked: int | None, unit: str, device: str) -> None:
        self.asked = asked
        self.unit = unit
        self.device = device
        self.most = asked or sys.maxsize  # lowered by half whenever memory runs out
        self._warning = ""

    def over(
        self, items: Sequence[Item], capacity: Callable[[Item], int], work: Callable[[Sequence[Item]], Result]
    ) -> Iterator[tuple[Sequence[Item], Result]]:
        """Work through `items` and yield each part with its result. `capacity(item)`: how many as large as this one fit at
        once; the largest items come first, so that a part is sized by its first."""
        start = 0
        while start < len(items):

            def take(size: int, start: int = start) -> tuple[Sequence[Item], Result]:
                part = items[start : start + size]
                return part, work(part)

            part, result = self.compute(len(items) - start, lambda start=start: capacity(items[start]), take)  # type: ignore[misc]
            yield part, result
            start += len(part)

    def flow(
        self,
        items: Sequence[Item],
        capacity: Callable[[Item], int],
        work: Callable[[Sequence[Item], int], Iterator[Sequence[tuple[int, Result]]]],
    ) -> Iterator[list[tuple[int, Result]]]:
        """Work through `items` side by side: `work(some, size)` keeps `size` of them under way and yields (place in `some`,
        result) as they are done; this yields the same with the place in `items`. When memory runs out, what is not done
        begins again. Largest first, as in `over`."""
        left = list(range(len(items)))
        while left:
            size = self._size(len(left), partial(capacity, items[left[0]]))
            done: set[int] = set()
            try:
                for part in work([items[place] for place in left], size):
                    done.update(place for place, _ in part)
                    yield [(left[place], result) for place, result in part]
                return
            except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
                self._refuse(error, size)
            self._halve(size)
            left = [place for number, place in enumerate(left) if number not in done]

    def compute(self, count: int, capacity: Callable[[], int], work: Callable[[int], Result]) -> Result:
        """`work(size)` for a size of at most `count`, again with half the size each time memory runs out.

        Raises Problem where memory does not even do for one.
        """
        while True:
            size = self._size(count, capacity)
            try:
                return work(size)
            except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
                self._refuse(error, size)
            self._halve(size)

    def _size(self, count: int, capacity: Callable[[], int]) -> int:
        return min(count, self.most) if self.asked else min(count, self.most, capacity())

    def _refuse(self, error: MemoryError | RuntimeError, size: int) -> None:
        """Raise `error` again unless it says that memory ran out, and Problem if it did so with one."""
        from stages.models import memory

        if not memory.ran_out(error):
            raise error
        if size == 1:
            raise Problem(
                f"the memory of {self.device} ran out with one of the {self.unit} at a time",
                "free memory there, or use a smaller model, dtype=bfloat16, or another device",
            ) from error

    def _halve(self, size: int) -> None:
        """After the except block: while the error is being handled, its traceback keeps the failed batch's tensors alive."""
        from stages.models import memory

        memory.release()
        self._warning = f"memory ran out with {size} {self.unit} at once; going on with {size // 2}"
        self.most = size // 2

    def encode(self, encoder: SentenceEncoder, texts: Sequence[str]) -> np.ndarray:
        """The vectors of `texts`. If memory runs out, it does so with the longest, which come first: little is lost."""

        def encode(size: int) -> np.ndarray:
            return encoder.encode(texts, size)

        return self.compute(len(texts), lambda: encoder.capacity(texts), encode)

    def take_warning(self) -> str:
        """What happened to the batch size since this was last asked, to be told to the user; empty mostly."""
        told, self._warning = self._warning, ""
        return told
