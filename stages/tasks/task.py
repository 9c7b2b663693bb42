"""What every task is: a name, the digest of its data, and figures made from vectors. Arrow: checkpoint -> metric ± error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from stages.tasks.compare import Outcome

Encode = Callable[[Sequence[str]], np.ndarray]  # texts (n) -> vectors (n, d): all that a task knows of a model


# The metric that a task is known by; its others stand beside it. A task's first figure is its headline.
HEADLINES = ("spearman", "accuracy", "ndcg@10")


class Figure(NamedTuple):
    """A metric of a task or of one of its subsets, over n items, with its standard error where it has one. Times 100, save
    alignment and uniformity."""

    subset: str
    name: str
    value: float
    n: int
    error: float | None


class Task(Protocol):
    """A loaded task."""

    @property
    def name(self) -> str:
        """What the user calls it, in lower case."""
        ...

    @property
    def digest(self) -> str:
        """Names its content and protocol, so that an evaluation on other data is another run."""
        ...

    def evaluate(self, encode: Encode) -> list[Figure]:
        """The task's figures, the headline first. Raises ValueError where the vectors allow none."""
        ...

    def outcome(self, encode: Encode) -> Outcome:
        """What the headline is computed from, item by item, so that two models can be compared on the same items."""
        ...


@runtime_checkable
class Noted(Protocol):
    """A task whose figures are not to be read without a word beside them."""

    @property
    def note(self) -> str:
        """One line, or ''."""
        ...


@runtime_checkable
class Foreseen(Protocol):
    """A task that can tell beforehand what it will encode, so that the way there is shown."""

    @property
    def texts(self) -> Iterable[str]:
        """Every text that `evaluate` encodes, each once as far as that is known; may be a stream, made anew each time."""
        ...
