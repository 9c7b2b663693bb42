"""Sentence vectors as the stages use them: read from the cache, or computed. Arrow: none of its own.

A vector follows from the model's content, its pooler and the text, so whoever needs it again finds it there
(`store/rows/vectors.py`), and a model of which nothing is missing is never loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from stages.pace.batches import Batches, SentenceEncoder
from store.database import Store
from store.rows import vectors

# How many texts go to a model at once, to be sorted by length; their vectors are one transaction, and what a kill costs.
WINDOW = 2048


class Vectors:
    """The vectors of one model in float32. `model` names its content and pooler; `load` is called at the first text whose
    vector is missing."""

    def __init__(self, store: Store, model: str, load: Callable[[], SentenceEncoder], batches: Batches) -> None:
        self.store = store
        self.model = model
        self.load = load
        self.batches = batches
        self._encoder: SentenceEncoder | None = None

    def windows(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """The vectors (up to WINDOW, d) of `texts` in their order; those of a window are stored before the next begins."""
        stream = iter(texts)
        for rows in vectors.cached(
            self.store, self.model, iter(lambda: list(islice(stream, WINDOW)), []), self._computed
        ):
            yield np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors (len(texts), d) of `texts`, at least one: all that a task knows of a model."""
        return np.concatenate(list(self.windows(texts)))

    def alone(self, text: str) -> np.ndarray:
        """The vector (d,) of `text` computed by itself, whatever is kept: the last bits of that come from its batch."""
        vector: np.ndarray = self.batches.encode(self._loaded(), [text])[0]
        return vector

    def _computed(self, texts: list[str]) -> list[bytes]:
        return [row.astype("<f4").tobytes() for row in self.batches.encode(self._loaded(), texts)]

    def _loaded(self) -> SentenceEncoder:
        if self._encoder is None:
            self._encoder = self.load()
        return self._encoder
