"""Token ids of many texts, held compactly: what training reads its batches from. Arrow: none of its own."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

# Ids looked at in one go where all are: indexing with them takes 8 bytes an id for a moment.
AT_ONCE = 1 << 16


class TokenRows:
    """Rows of token ids laid end to end: 4 bytes an id and 8 a row. A list of lists takes 8 and more than 64."""

    def __init__(self) -> None:
        self._ids = array("i")
        self._ends = array("q", [0])  # row i is _ids[_ends[i] : _ends[i + 1]]

    def extend(self, rows: Iterable[Sequence[int]]) -> None:
        """Append rows."""
        for row in rows:
            self._ids.extend(row)
            self._ends.append(len(self._ids))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> list[int]:
        """One row. Raises IndexError beyond the last."""
        place = range(len(self))[place]
        return self._ids[self._ends[place] : self._ends[place + 1]].tolist()

    def mark(self, seen: np.ndarray) -> None:
        """Set `seen` (vocabulary,), booleans, true at every id that occurs."""
        for ids in self._parts():
            seen[ids] = True

    def renumber(self, number: np.ndarray) -> None:
        """Put `number[id]` in the place of every id, `number` (vocabulary,)."""
        for ids in self._parts():
            ids[:] = number[ids]

    def _parts(self) -> Iterator[np.ndarray]:
        """All ids, as views to read and write, each (at most AT_ONCE,)."""
        ids = np.frombuffer(self._ids, dtype=np.intc)
        for start in range(0, len(ids), AT_ONCE):
            yield ids[start : start + AT_ONCE]
