"""The numbers of every premise of a run, in memory: what filters, sorts and thresholds are answered from.

Arrow: store -> numbers -> the places that are shown. A premise is some thirty bytes here; its texts stay in the store. The
rule (store/rule.py) is asked of the arrays, because a threshold that is moved by a key must judge a million premises before
the next frame; a test holds what it says to the view `ruled`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from store import rule
from store.rows import reviews
from store.rule import Thresholds

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

# What is told of a premise, as small numbers. The names of problems and repeats are added behind as they occur.
NAMES = ("", rule.UNSCORED, "review", "waiting", "undecided", *(level.reason for level in rule.LEVELS))
KEPT, UNSCORED, REVIEW, WAITING, UNDECIDED = range(5)

# A person's word.
SILENT, KEEP, DROP = range(3)

SORTS = ("premise", "a", "b", "a−b", "length")
VERDICTS = ("all", "keep", "drop", "changed", "reviewed")


@dataclass(frozen=True)
class Judged:
    """What becomes of each premise. `code`: the reason, KEPT where there is none; `rule`: the same without persons' words."""

    code: Codes
    rule: Codes

    @property
    def kept(self) -> Mask:
        kept: Mask = self.code == KEPT
        return kept


@dataclass(frozen=True)
class Chosen:
    """What the user wants to see, and in which order. `ranges`: (quantity, low, high), both ends included."""

    verdict: str = "all"
    reason: str | None = None
    ranges: tuple[tuple[str, float, float], ...] = ()
    source: str | None = None
    search: str = ""
    sort: str = "premise"
    descending: bool = False

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return replace(self, sort="premise", descending=False) == Chosen()


class Lengths(NamedTuple):
    """The length of each premise in characters, and its source as a place in `sources`."""

    length: npt.NDArray[np.int32]
    source: npt.NDArray[np.int16]
    sources: list[str]


@dataclass
class Numbers:
    """Arrays over the premises of a run, in the order of their ids. a and b are NaN where there is no score."""

    ids: Places
    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    waiting: Mask
    problem: Codes
    repeat: Codes
    word: Codes
    names: list[str]
    length: npt.NDArray[np.int32] | None = None
    source: npt.NDArray[np.int16] | None = None
    sources: list[str] = field(default_factory=list)
    _orders: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    _planes: dict[tuple[int, int, bool], npt.NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def judge(self, thresholds: Thresholds | None) -> Judged:
        """What the rule says with these thresholds, and what counts with the words of persons; without thresholds nothing
        is decided but by persons."""
        if thresholds is None:
            ruled = np.full(len(self), UNDECIDED, np.int8)
        else:
            a, b = self.read(thresholds.swap)
            ruled = self.repeat
            for level in reversed(rule.LEVELS):  # the first reason is written last
                passed = level.passes(a, b, thresholds[level.threshold])
                ruled = np.where(passed, ruled, np.int8(NAMES.index(level.reason)))
            ruled = np.where(self.settled != KEPT, self.settled, ruled)
        ruled = np.where(self.waiting, np.int8(WAITING), ruled)
        code = ruled.copy()
        code[self.word == KEEP] = KEPT
        code[(self.word == DROP) & ~dropped(ruled)] = REVIEW
        return Judged(code, ruled)

    @cached_property
    def settled(self) -> Codes:
        """What no threshold changes: a problem, or no score; KEPT elsewhere."""
        unscored = np.where(np.isnan(self.a) | np.isnan(self.b), np.int8(UNSCORED), np.int8(KEPT))
        return np.where(self.problem != 0, self.problem, unscored)

    def read(self, swap: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """a and b as the rule reads them."""
        if not swap:
            return self.a, self.b
        swapped = self.swapped
        return np.where(swapped, self.b, self.a), np.where(swapped, self.a, self.b)

    @property
    def swapped(self) -> Mask:
        """Where the entailment scores below the contradiction."""
        swapped: Mask = rule.is_reversed(self.a, self.b)
        return swapped

    def take(self, lengths: Lengths) -> None:
        """What was read of the texts of these premises."""
        self.length, self.source, self.sources = lengths

    def quantity(self, name: str, swap: bool = False) -> npt.NDArray[Any]:
        """What one can sort by."""
        a, b = self.read(swap)
        if name == "length":
            return np.zeros(len(self)) if self.length is None else self.length
        found: npt.NDArray[Any] = {"a": a, "b": b, "a−b": np.round(a - b, 6)}[name]
        return found

    def ordered(self, sort: str, descending: bool, swap: bool = False) -> npt.NDArray[np.integer[Any]]:
        """All places in this order, those without a number last and ties by premise."""
        if sort == "premise":
            return np.arange(len(self))[:: -1 if descending else 1]
        key = f"{sort}{swap}{descending}{self.length is None}"
        if key not in self._orders:
            values = self.quantity(sort, swap)
            # Half the bytes: two thousand million rows would not fit into memory anyway.
            self._orders[key] = np.argsort(-values if descending else values, kind="stable").astype(np.int32)
        return self._orders[key]

    def put_in_order(self, swap: bool) -> None:
        """Sort by everything there is to sort by, so that no key has to wait for it."""
        for sort in SORTS:
            for descending in (False, True):
                self.ordered(sort, descending, swap)

    def places(
        self, chosen: Chosen, judged: Judged, before: Judged | None, found: Mask | None, swap: bool = False
    ) -> Places:
        """The places of the rows to show, in their order. `before`: the decisions of the run, for those that changed;
        `found`: where the words that are searched for occur."""
        mask = np.ones(len(self), bool)
        if chosen.verdict == "keep":
            mask &= judged.kept
        elif chosen.verdict == "drop":
            mask &= dropped(judged.code)
        elif chosen.verdict == "changed":
            mask &= (judged.kept != before.kept) if before is not None else False
        elif chosen.verdict == "reviewed":
            mask &= self.word != SILENT
        if chosen.reason is not None:
            known = chosen.reason in self.names
            mask &= (judged.code == self.names.index(chosen.reason)) if known else False
        for name, low, high in chosen.ranges:
            values = self.quantity(name, swap)
            mask &= (values >= low) & (values <= high)
        if chosen.source is not None and self.source is not None:
            mask &= self.source == self.sources.index(chosen.source)
        if found is not None:
            mask &= found
        order = self.ordered(chosen.sort, chosen.descending, swap)
        places: Places = order[mask[order]].astype(np.int64)
        return places

    def where(self, premises: Iterable[int]) -> Mask:
        """A mask of these premises."""
        wanted = np.fromiter(premises, np.int64)
        return np.isin(self.ids, wanted)

    def place(self, premise: int) -> int | None:
        """The place of a premise."""
        place = int(np.searchsorted(self.ids, premise))
        return place if place < len(self) and self.ids[place] == premise else None

    def counts(self, codes: Codes) -> dict[str, int]:
        """How many premises each name is told of."""
        found = np.bincount(codes, minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, found, strict=True) if count}

    def hear(self, words: Mapping[int, reviews.Word]) -> None:
        """Put the words in force where they belong."""
        self.word[:] = SILENT
        self.put(self.word, {premise: KEEP if word.verdict == "keep" else DROP for premise, word in words.items()})

    def put(self, column: Codes, codes: Mapping[int, int]) -> None:
        """Write the codes of some premises into a column; premises of elsewhere are passed over."""
        premises = np.fromiter(codes, np.int64, len(codes))
        places = np.minimum(np.searchsorted(self.ids, premises), max(len(self) - 1, 0))
        here = self.ids[places] == premises if len(self) else np.zeros(len(codes), bool)
        column[places[here]] = np.fromiter(codes.values(), np.int8, len(codes))[here]

    def density(self, width: int, height: int, swap: bool = False) -> npt.NDArray[np.int64]:
        """How many premises fall into each cell of (a, b), (height, width), b from 0 upwards. Thresholds do not change it, so
        it is counted once a size."""
        size = (width, height, swap)
        if size not in self._planes:
            a, b = self.read(swap)
            there = ~(np.isnan(a) | np.isnan(b))
            x = np.minimum(a[there] * (width / 5), width - 1).astype(np.int64)
            y = np.minimum(b[there] * (height / 5), height - 1).astype(np.int64)
            counted = np.bincount(y * width + x, minlength=width * height)
            self._planes = {size: counted.reshape(height, width)}
        return self._planes[size]


def dropped(codes: Codes) -> Mask:
    """Where a premise is dropped: decided, and not kept."""
    found: Mask = (codes != KEPT) & (codes != WAITING) & (codes != UNDECIDED)
    return found
