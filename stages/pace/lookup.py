"""Looking for sentences by hand with an encoder. Arrow: checkpoint -> the nearest sentences of a file."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from stages.pace.vectors import WINDOW, Vectors
from stages.stage import Tick
from stages.tasks.neighbours import nearest


class Hit(NamedTuple):
    """A sentence of the file with its line (or row) and its cosine to the text that was asked for."""

    line: int
    text: str
    cosine: float


@dataclass
class Search:
    """The `limit` sentences nearest to `text`. `hits` holds them when `run` has ended: the nearest first, of equal ones
    the earlier line."""

    text: str
    limit: int
    hits: list[Hit] = field(default_factory=list)

    def run(self, vectors: Vectors, sentences: Iterable[tuple[int, str]], total: int) -> Generator[Tick, None, None]:
        """Go through `sentences` (line, text), of which there are `total`, a window at a time; streams."""
        yield Tick(0, total, "loading the encoder")
        query, rest, done = vectors.encode([self.text]), iter(sentences), 0
        yield Tick(done, total, "searching")
        while window := list(islice(rest, WINDOW)):
            encoded = vectors.encode([text for _, text in window])
            cosines, rows = nearest(query, [(np.arange(len(window)), encoded)], self.limit)
            hits = [
                Hit(window[row][0], window[row][1], float(cosine))
                for row, cosine in zip(rows[0], cosines[0], strict=True)
            ]
            self.hits = heapq.nsmallest(self.limit, self.hits + hits, key=lambda hit: (-hit.cosine, hit.line))
            done += len(window)
            yield Tick(done, total, "searching", done, vectors.batches.take_warning())
