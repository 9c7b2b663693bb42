"""Which labelled triplets the LLM is shown with a premise. Arrow: premise, a labelled corpus -> demonstrations.

Those of the corpus whose premises are nearest by the mask model's cosine, at most `shots` of them and none below
`min_similarity` (MultiCSR, appendix G). A premise of the corpus stands for the first of its triplets, and never for itself:
one with the very text of the premise would hand the LLM the answer that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stages.pace.vectors import Vectors
from stages.tasks.neighbours import nearest
from store.problem import Problem
from store.records import Triplet


class Demonstrations:
    """A corpus of which `shots` triplets are shown. Its vectors are read, or computed, when they are first needed, and held:
    d float32 numbers a premise of the corpus."""

    def __init__(self, corpus: Iterable[Triplet], shots: int, min_similarity: float, vectors: Vectors) -> None:
        self.shots = shots
        self.min_similarity = min_similarity
        self.vectors = vectors
        self.corpus = corpus
        self._read: tuple[list[Triplet], list[tuple[np.ndarray, np.ndarray]]] | None = None

    def near(self, premises: Sequence[str]) -> list[list[Triplet]]:
        """The demonstrations of each premise, the nearest last: next to what is asked. Of equally near ones the earlier of
        the corpus counts as nearer."""
        triplets, windows = self._triplets()
        # One more than asked for: it takes the place of the premise itself.
        cosines, places = nearest(self.vectors.encode(premises), windows, self.shots + 1)
        shown = []
        for premise, row, similar in zip(premises, places, cosines, strict=True):
            others = [
                triplets[place]
                for place, cosine in zip(row, similar, strict=True)
                if cosine >= self.min_similarity and triplets[place].premise != premise
            ]
            shown.append(others[: self.shots][::-1])
        return shown

    def _triplets(self) -> tuple[list[Triplet], list[tuple[np.ndarray, np.ndarray]]]:
        if self._read is None:
            first: dict[str, Triplet] = {}
            for triplet in self.corpus:
                first.setdefault(triplet.premise, triplet)
            triplets, windows, start = list(first.values()), [], 0
            for rows in self.vectors.windows(first):
                windows.append((np.arange(start, start + len(rows)), rows))
                start += len(rows)
            self._read = triplets, windows
        return self._read


def refuse_holes(line: int, triplet: Triplet) -> None:
    """A prompt is stored with the premise's place left open, so a text shown in it may not hold that sign."""
    if any("{premise}" in text for text in triplet):
        raise Problem(
            f"demonstrations, line {line}: a text holds {{premise}}, the place of the premise in a prompt",
            "leave that line out",
            "demonstrations",
        )
