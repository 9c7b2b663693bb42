"""Who says how similar a hypothesis is to its premise, in [0, 5]. Arrow: hypotheses -> scores.

MultiCSR asks the LLM that wrote them (`stages/texts/similarity.py`), so that stage 2 needs no other model. These are the
other ways: an LLM, however it is read; a sentence encoder, 5 * max(0, cos(premise, hypothesis)), which presumes the very
thing that is to be made; and an NLI classifier, 5 * P(entailment | premise, hypothesis), which presumes labelled pairs. The
`reply` of a score holds what it was made from: the cosine, or the probabilities of all three labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stages.models.llm.request import Reader
from stages.pace.vectors import WINDOW, Vectors
from stages.tasks.metrics import cosine
from stages.texts import similarity
from stages.texts.prompts import PromptSet
from stages.texts.similarity import SCALE, Answer, Pair, Reading
from store.records import canonical

# How near (in thousandths) a cosine must lie to a rounding border to be computed again from vectors of its own: 40 times the
# last bit of a float32 near 1. Batches packed end to end were seen to move none; padded ones move the last bits.
CLOSE_ROUNDING = 0.005


class Scorer(Protocol):
    """All that the stage knows of what it scores with."""

    def capacity(self, pairs: Sequence[Pair]) -> int:
        """How many times these pairs, or others as long, can be scored at once, at least 1."""
        ...

    def similarities(self, pairs: Sequence[Pair]) -> list[Answer]:
        """The answer to each pair; in float32 the same whatever other pairs it is asked with."""
        ...

    def take_spent(self) -> Mapping[str, int]:
        """What was charged since this was last called; nothing for a model on this machine."""
        ...


@dataclass(frozen=True)
class ByLLM:
    """An LLM, asked for a number or read off its likelihoods."""

    how: Reading
    prompts: PromptSet
    reader: Reader

    def capacity(self, pairs: Sequence[Pair]) -> int:
        return similarity.capacity(pairs, self.how, self.prompts, self.reader)

    def similarities(self, pairs: Sequence[Pair]) -> list[Answer]:
        return similarity.similarities(pairs, self.how, self.prompts, self.reader)

    def take_spent(self) -> Mapping[str, int]:
        return self.reader.take_spent()


@dataclass(frozen=True)
class ByEncoder:
    """The cosine of two vectors, those that are kept and those that are missing: a text is encoded once for all runs."""

    vectors: Vectors

    def capacity(self, pairs: Sequence[Pair]) -> int:
        """As many as make one window of texts; how many of these go through the encoder at once, `vectors` knows."""
        return max(1, WINDOW // (2 * len(pairs)))

    def similarities(self, pairs: Sequence[Pair]) -> list[Answer]:
        place = {text: row for row, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
        rows = self.vectors.encode(list(place))
        cosines = cosine(rows[[place[x] for x, _ in pairs]], rows[[place[y] for _, y in pairs]])
        return [self._answer(pair, float(similar)) for pair, similar in zip(pairs, cosines, strict=True)]

    def _answer(self, pair: Pair, similar: float) -> Answer:
        if abs((similar * 1000) % 1 - 0.5) < CLOSE_ROUNDING:
            x, y = (self.vectors.alone(text)[None] for text in pair)
            similar = float(cosine(x, y)[0])
        rounded = round(similar, 3)
        return round(SCALE * max(0.0, rounded), 3), canonical({"cosine": rounded})

    def take_spent(self) -> Mapping[str, int]:
        return {}


class PairClassifier(Protocol):
    """All that a scorer knows of an NLI classifier."""

    def capacity(self, pairs: Sequence[Pair]) -> int:
        """How many times these (premise, hypothesis) pairs, or others as long, can be read at once, at least 1."""
        ...

    def probabilities(self, pairs: Sequence[Pair]) -> list[dict[str, float]]:
        """P(entailment), P(neutral) and P(contradiction) of each pair, to a thousandth."""
        ...


@dataclass(frozen=True)
class ByClassifier:
    """The probability that the premise entails the hypothesis."""

    classifier: PairClassifier

    def capacity(self, pairs: Sequence[Pair]) -> int:
        return self.classifier.capacity(pairs)

    def similarities(self, pairs: Sequence[Pair]) -> list[Answer]:
        probabilities = self.classifier.probabilities(pairs)
        return [(round(SCALE * shares["entailment"], 3), canonical(shares)) for shares in probabilities]

    def take_spent(self) -> Mapping[str, int]:
        return {}
