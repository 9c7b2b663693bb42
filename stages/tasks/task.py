"""What every task is: a name, the digest of its data, and figures made from vectors. Arrow: checkpoint -> metric ± error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

Encode = Callable[[Sequence[str]], np.ndarray]  # texts (n) -> vectors (n, d): all that a task knows of a model


class Figure(NamedTuple):
    """A metric of a task or of one of its subsets: times 100, over n items, with its standard error where it has one."""

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
