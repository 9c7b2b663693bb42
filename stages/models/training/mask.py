"""The mask of MultiCSR's third stage (eq. 6): which hypotheses of a batch are no negatives. Pure: vectors in, booleans out.

For a batch of N examples, P's vectors of unit length and cosine similarity:

    M_iks = 0 where sim_P(x_i, x_k^s) >= sigma and x_k^s is not x_i's own, else 1

Own means the same place in the batch, k = i. The paper writes x_k != x_i, but its own experiments need the hypotheses of an
equal premise in another place to be maskable: one triplet duplicated k times (figure 4), and a corpus joined with the one
that its premises come from (appendix G). `premise` reads it as equal text instead, for comparison.

Beyond the paper, a negative whose text is that of x_i's own positive is masked whatever P says: a text cannot be both. And
the threshold may follow the positive, sim_P(x_i, x_i+) + margin in the place of sigma, as in GISTEmbed (Solatorio, 2024),
whose margin is 0.

The released MultiCSR code masks above sigma, and spares x_i's own positive alone: its own contradiction can be hit.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PLACE, PREMISE = OWN = ("place", "premise")


@dataclass(frozen=True)
class MaskVectors:
    """The mask model's vectors of all examples, scaled to length 1, (n, w) for each text of one: (x, x+, x-), or of sentences
    that are read twice (x,). In memory or mapped from a file: a batch reads its own rows."""

    premise: np.ndarray
    entailment: np.ndarray | None = None
    contradiction: np.ndarray | None = None

    def of(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch `chosen` (N,): its premises (N, w), and all that they are compared with, (2N, w) or (N, w)."""
        places = chosen.numpy()
        premise = torch.from_numpy(self.premise[places])
        sides = [side for side in (self.entailment, self.contradiction) if side is not None]
        return premise, torch.from_numpy(np.concatenate([side[places] for side in sides])) if sides else premise


@dataclass(frozen=True)
class MaskRule:
    """The threshold, `sigma` or a `margin` over the own positive's cosine, one of the two; whose hypotheses are `own`; and
    whether to mask as the `released` code does."""

    sigma: float | None
    margin: float | None = None
    own: str = PLACE
    released: bool = False


class Mask:
    """`rule` over n examples with the mask model's `vectors`. `texts` (n, 3), or (n, 1) of sentences that are read twice, is
    equal where texts are."""

    def __init__(self, rule: MaskRule, vectors: MaskVectors, texts: Tensor) -> None:
        self.rule, self.vectors, self.texts = rule, vectors, texts

    def __call__(self, chosen: Tensor) -> Tensor:
        """True marks what is masked for each premise of the batch `chosen` (N,): (N, 2N), all x+ then all x-, or (N, N)."""
        rule, texts = self.rule, self.texts[chosen]
        premise, hypotheses = self.vectors.of(chosen)
        own = own_hypotheses(texts[:, 0], len(hypotheses), rule.own)
        if rule.released:
            assert rule.sigma is not None
            return released_mask(premise, hypotheses, own, rule.sigma)
        return false_negatives(premise, hypotheses, own, self.threshold(premise, hypotheses)) | self.duplicates(chosen)

    def duplicates(self, chosen: Tensor) -> Tensor:
        """Which hypotheses of the batch `chosen` (N,) have the text of a premise's own positive again, (N, 2N) or (N, N)."""
        texts = self.texts[chosen]
        columns = texts[:, 1:].T.flatten() if texts.shape[1] > 1 else texts[:, 0]
        return duplicates(columns[: len(chosen)], columns)

    def threshold(self, premise: Tensor, hypotheses: Tensor) -> float | Tensor:
        """The cosine from which on is masked, or one for each premise (N, 1)."""
        if self.rule.margin is None:
            assert self.rule.sigma is not None
            return self.rule.sigma
        return above_own(premise, hypotheses, self.rule.margin)

    def cross(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The mask model's cosines of each premise of a batch with all hypotheses, and which of these are not its own."""
        premise, hypotheses = self.vectors.of(chosen)
        return premise @ hypotheses.T, ~own_hypotheses(self.texts[chosen, 0], len(hypotheses), self.rule.own)


def own_hypotheses(premises: Tensor, count: int, own: str) -> Tensor:
    """Which of `count` hypotheses, one or two for each premise, are a premise's own: a boolean (N, count).

    `premises` (N,) is equal where premises are; it is read where `own` is premise.
    """
    n = len(premises)
    same = torch.eye(n, dtype=torch.bool) if own == PLACE else premises[:, None] == premises[None, :]
    return same.repeat(1, count // n)


def false_negatives(premise_p: Tensor, hypotheses_p: Tensor, own: Tensor, sigma: float | Tensor) -> Tensor:
    """Where M is 0 (MultiCSR, eq. 6): True marks a hypothesis that the mask model finds too similar to be a negative.

    premise_p (N, w) and hypotheses_p (M, w): the mask model's vectors, scaled to length 1; M is 2N, all x+ then all x-, or N.
    own (N, M): what is never masked. sigma: a cosine, or one for each premise (N, 1). Returns a boolean (N, M).
    """
    return (premise_p @ hypotheses_p.T >= sigma) & ~own


def above_own(premise_p: Tensor, hypotheses_p: Tensor, margin: float) -> Tensor:
    """sim_P(x_i, x_i+) + margin for each premise, (N, 1); shapes as above."""
    return (premise_p * hypotheses_p[: len(premise_p)]).sum(1, keepdim=True) + margin


def duplicates(positives: Tensor, hypotheses: Tensor) -> Tensor:
    """Which hypotheses have the text of a premise's own positive and are another: a boolean (N, M).

    positives (N,) and hypotheses (M,), of which the first N are the positives themselves: equal where texts are.
    """
    return (positives[:, None] == hypotheses[None, :]).fill_diagonal_(False)


def released_mask(premise_p: Tensor, hypotheses_p: Tensor, own: Tensor, sigma: float) -> Tensor:
    """Where the released MultiCSR code masks: above sigma, and not an own positive. Shapes as above.

    An own contradiction can be hit. (There, P runs under dropout, so that code masks a little at random; here it does not.)
    """
    positive = own.clone()
    positive[:, len(premise_p) :] = False
    return (premise_p @ hypotheses_p.T > sigma) & ~positive


def text_numbers(columns: Sequence[Sequence[Hashable]]) -> Tensor:
    """A number for each text of the columns of a batch, (N, columns), equal where texts are."""
    number = {text: place for place, text in enumerate(dict.fromkeys(text for column in columns for text in column))}
    return torch.tensor([[number[text] for text in column] for column in columns]).T


def text_digests(examples: Iterable[Sequence[str]], width: int) -> Tensor:
    """A number for each text of examples of `width` texts, (n, width), equal where texts are."""
    digests = array("q")
    for example in examples:
        digests.extend(_digest(text) for text in example)
    return torch.from_numpy(np.frombuffer(digests, dtype=np.int64)).view(-1, width)


def _digest(text: str) -> int:
    """64 bits that tell texts apart: two of a million differing ones share theirs with a probability of 3e-8."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
