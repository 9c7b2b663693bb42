"""What a mask removes from the batches of a training. Arrow: none of its own; `stages/course/masking.py` tells and stores it.

The batches of a training follow from its seed alone, so both can be read off the mask model's vectors without a step: before
the first, which share of the cross pairs a threshold would remove; and after the last, which pairs were removed how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from stages.models.training.mask import Mask, MaskRule, MaskVectors, above_own
from stages.models.training.recipe import Recipe, batches

# Cross pairs that shares and quantiles are measured on: the first batches of a training until there are so many. A share of
# one in a thousand is four thousand of them, and their cosines are 16 MB.
MEASURED = 1 << 22

# Distinct pairs that are counted at once. Beyond, those seen least are let go, so that memory does not grow with a training.
COUNTED = 1 << 22


class CrossPairs(NamedTuple):
    """The mask model's `cosines` (m,) of premises with hypotheses that are not their own, and by how much each is `above` the
    premise's own positive (m,)."""

    cosines: np.ndarray
    above: np.ndarray

    def share(self, sigma: float) -> float:
        """The share of the pairs at `sigma` or above."""
        return float((self.cosines >= sigma).mean()) if len(self.cosines) else 0.0

    def share_above_own(self, margin: float) -> float:
        """The share of the pairs at least `margin` above the own positive."""
        return float((self.above >= margin).mean()) if len(self.above) else 0.0

    def sigma(self, share: float) -> float:
        """The cosine at which `share` of the pairs lie or above: the k-th greatest, k the share of them, rounded, at least 1.

        Raises ValueError where there are no pairs.
        """
        count = len(self.cosines)
        if not count:
            raise ValueError("there are no cross pairs")
        last = count - max(1, round(share * count))
        return float(np.partition(self.cosines, last)[last])


def cross_pairs(vectors: MaskVectors, texts: Tensor, recipe: Recipe, own: str, most: int = MEASURED) -> CrossPairs:
    """The cross pairs of a training's first batches, in whole batches until there are `most`."""
    mask = Mask(MaskRule(None, own=own), vectors, texts)
    cosines, above, count = [np.empty(0, np.float32)], [np.empty(0, np.float32)], 0
    for _, chosen in batches(recipe, len(texts)):
        found, cross = mask.cross(chosen)
        cosines.append(found[cross].numpy())
        above.append((found - above_own(*vectors.of(chosen), 0.0))[cross].numpy())
        count += len(cosines[-1])
        if count >= most:
            break
    return CrossPairs(np.concatenate(cosines), np.concatenate(above))


class Removed(NamedTuple):
    """How many of so many `negatives` (all but each own positive) a mask removes."""

    pairs: int
    negatives: int


def removed(mask: Mask, recipe: Recipe, most: int = MEASURED) -> Removed:
    """What `mask` removes from a training's first batches, in whole batches until they have `most` negatives."""
    pairs, negatives = 0, 0
    for _, chosen in batches(recipe, len(mask.texts)):
        masked = mask(chosen)
        pairs += int(masked.sum())
        negatives += masked.numel() - len(chosen)
        if negatives >= most:
            break
    return Removed(pairs, negatives)


class RemovedPair(NamedTuple):
    """A premise and a negative of it that was masked: their `place`s among the examples, the column of the negative's text
    among an example's hypotheses, the mask model's cosine, and in how many steps this happened to these two texts."""

    place: int
    other: int
    column: int
    cosine: float
    times: int


class Counted(NamedTuple):
    """What a whole training masks: its most frequent `pairs`, and how many `duplicates` of own positives it masks in all."""

    pairs: list[RemovedPair]
    duplicates: int


class _Seen(NamedTuple):
    """Pairs of texts by their `key` (m,), each with where it was met: `row` is its place, `column` counts through all
    hypotheses, and `times`."""

    key: np.ndarray
    row: np.ndarray
    column: np.ndarray
    times: np.ndarray


def counted(mask: Mask, recipe: Recipe, keep: int, most: int = COUNTED) -> Counted:
    """The pairs of texts that `mask` removes in a training, those most often first, then the most similar; at most `keep`.

    Counts are exact up to `most` distinct pairs at once; beyond, pairs that were met least make room.
    """
    hypotheses = max(mask.texts.shape[1] - 1, 1)
    _, number = np.unique(mask.texts.numpy(), return_inverse=True)
    number = number.reshape(len(mask.texts), -1)
    texts, seen, held, duplicates = int(number.max()) + 1, list[_Seen](), 0, 0
    for _, chosen in batches(recipe, len(number)):
        masked = mask(chosen)
        duplicates += int((masked & mask.duplicates(chosen)).sum())
        seen.append(_met(masked, chosen.numpy(), number, texts))
        held += len(seen[-1].key)
        if held > most:
            seen = [_most_often(_together(seen), most // 2)]
            held = len(seen[0].key)
    every = _together(seen)
    # The cosine orders pairs that were masked as often: read before the rest is let go.
    cosines = _cosines(mask.vectors, every, hypotheses)
    order = np.lexsort((every.column, every.row, -cosines, -every.times))[:keep]
    pairs = [
        RemovedPair(
            int(every.row[at]),
            int(every.column[at]) // hypotheses,
            int(every.column[at]) % hypotheses,
            float(cosines[at]),
            int(every.times[at]),
        )
        for at in order
    ]
    return Counted(pairs, duplicates)


def _met(masked: Tensor, places: np.ndarray, number: np.ndarray, texts: int) -> _Seen:
    """What a batch masks, of examples whose texts have a `number` (n, width) below `texts`."""
    at, column = (part.numpy() for part in masked.nonzero(as_tuple=True))
    side, k = np.divmod(column, len(places))
    row, other = places[at], places[k]
    columns = number[:, 1:] if number.shape[1] > 1 else number
    key = number[row, 0].astype(np.int64) * texts + columns[other, side]
    # Two copies of a text in one batch are one pair in one step.
    key, first = np.unique(key, return_index=True)
    place = other[first] * columns.shape[1] + side[first]
    return _Seen(key, row[first], place, np.ones(len(key), np.int64))


def _together(seen: Sequence[_Seen]) -> _Seen:
    """Each pair once, where it was met first."""
    every = _Seen(*(np.concatenate(parts) for parts in zip(*seen, strict=True)))
    key, first, place = np.unique(every.key, return_index=True, return_inverse=True)
    times = np.bincount(place, weights=every.times, minlength=len(key)).astype(np.int64)
    return _Seen(key, every.row[first], every.column[first], times)


def _most_often(seen: _Seen, keep: int) -> _Seen:
    order = np.argsort(-seen.times, kind="stable")[:keep]
    return _Seen(*(part[order] for part in seen))


def _cosines(vectors: MaskVectors, seen: _Seen, hypotheses: int, at_once: int = 4096) -> np.ndarray:
    """The cosines (m,) of pairs, a few at a time: their vectors lie in a file."""
    sides = [side for side in (vectors.entailment, vectors.contradiction) if side is not None] or [vectors.premise]
    cosines = np.empty(len(seen.key), np.float32)
    for start in range(0, len(cosines), at_once):
        row, column = seen.row[start : start + at_once], seen.column[start : start + at_once]
        other, side = np.divmod(column, hypotheses)
        negatives = np.stack([side_vectors[other] for side_vectors in sides])[side, np.arange(len(row))]
        cosines[start : start + at_once] = np.einsum("ij,ij->i", vectors.premise[row], negatives)
    return cosines
