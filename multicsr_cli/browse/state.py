"""What the browser knows: a run, its numbers, the thresholds as moved, what is asked for. No widget, no thread, no store.

Arrow: numbers, thresholds, filters -> decisions -> the places that are shown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

from multicsr.curate import usual
from multicsr_cli.browse.numbers import Chosen, Judged, Mask, Numbers, Places
from store.problem import Problem
from store.read.runs import View
from store.records import Run
from store.rule import LEVELS, Thresholds

# A part of a score range as it is typed.
_PART = re.compile(r"(a\s*[-−]\s*b|a|b)\s*(<=|>=|<|>|=|≤|≥)\s*(-?\d+(?:\.\d+)?)")

# How far one key moves a threshold.
STEP = 0.1


@dataclass
class State:
    """`own` are the thresholds of the run and `before` its decisions, `now` and `judged` those as moved. `found` are the
    premises with the words that are searched for, and `here` where they are among the numbers."""

    chosen: Chosen = field(default_factory=Chosen)
    view: View | None = None
    numbers: Numbers | None = None
    own: Thresholds | None = None
    now: Thresholds | None = None
    judged: Judged | None = None
    before: Judged | None = None
    found: Places | None = None
    here: Mask | None = None
    reading: bool = False
    plane: bool = False  # whether the plane of (a, b) is drawn even without room beside the funnel

    @property
    def run(self) -> Run | None:
        """The run that is shown: the last one of the view."""
        return (self.view.curate or self.view.score or self.view.gen) if self.view else None

    @property
    def swap(self) -> bool:
        return self.now.swap if self.now else False

    @property
    def moved(self) -> bool:
        return self.now is not None and self.now != self.own

    @property
    def repeats_unknown(self) -> bool:
        """Whether the run drops copies or duplicates, which under moved thresholds are found only when it is written."""
        rule = self.view.curate.config if self.view and self.view.curate else {}
        return bool(rule.get("drop_copies") or rule.get("drop_duplicates"))

    def open(self, view: View) -> None:
        """Another run, or the same one anew: then the thresholds stay as moved."""
        self.view, self.reading = view, True
        rule = view.curate.config if view.curate else None
        own = Thresholds.of(rule, rule["swap_reversed"]) if rule is not None else None
        if own != self.own or self.numbers is None:
            self.own = self.now = own

    def leave(self) -> None:
        """Forget the numbers and what was asked of them, before another run is opened."""
        self.numbers = self.judged = self.before = None
        self.chosen = Chosen()
        self.search("")

    def take(self, numbers: Numbers) -> None:
        """Numbers came in: of the first premises, or of all."""
        self.numbers = numbers
        self.here = numbers.where(self.found) if self.found is not None else None
        self.judge()

    def judge(self) -> None:
        """Decide every premise anew with the thresholds as they are."""
        if self.numbers is None:
            return
        self.before = self.numbers.judge(self.own) if self.own is not None else None
        self.judged = self.before if self.own is not None and not self.moved else self.numbers.judge(self.now)

    def move(self, name: str, sign: int) -> None:
        """A threshold by one step, within what scores can reach; where the run has none, from the usual ones."""
        assert self.view is not None
        assert self.view.score is not None
        assert self.numbers is not None
        names = [level.threshold for level in LEVELS]
        now = self.now or Thresholds.of(usual(self.view.score))
        low, high = LEVELS[names.index(name)].reach
        self.now, self.plane = now.moved(name, min(max(round(now[name] + sign * STEP, 3), low), high)), True
        self.judged = self.numbers.judge(self.now)

    def reset(self) -> None:
        """The thresholds of the run again."""
        self.now, self.plane = self.own, False
        self.judge()

    def search(self, text: str) -> None:
        """Ask for the rows with these words, which are still to be found."""
        self.found = self.here = None
        self.chosen = replace(self.chosen, search=text.strip())

    def came(self, found: Places) -> None:
        """The premises that a search found."""
        self.found = found
        self.here = self.numbers.where(found) if self.numbers is not None else None

    def places(self) -> Places | None:
        """The rows that are asked for, in their order; None before there are any."""
        if self.numbers is None or self.judged is None:
            return None
        return self.numbers.places(self.chosen, self.judged, self.before, self.here, self.swap)


def ranges(text: str) -> tuple[tuple[str, float, float], ...]:
    """`a>=2 b<1.5 a-b<=0` as (quantity, low, high), both ends included. Raises Problem for anything else."""
    left = _PART.sub("", text).replace(",", " ").strip()
    if left:
        raise Problem(f"{left!r} is no score range", "write it like this: a>=2 b<1.5 a-b<=0")
    found = []
    for name, sign, value in _PART.findall(text):
        low, high, number = -math.inf, math.inf, float(value)
        if sign in (">", ">=", "≥", "="):
            low = math.nextafter(number, math.inf) if sign == ">" else number
        if sign in ("<", "<=", "≤", "="):
            high = math.nextafter(number, -math.inf) if sign == "<" else number
        found.append((re.sub(r"\s*[-−]\s*", "−", name), low, high))
    return tuple(found)
