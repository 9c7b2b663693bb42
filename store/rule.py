"""The rule by which a triplet is kept (MultiCSR, eq. 4). It stands here and nowhere else. Standard library only.

Keep iff a >= alpha and b <= beta and a - b >= gamma, with a = sim(x, x+) and b = sim(x, x-) in [0, 5]; and, which the paper
does not ask, b >= min_contradiction: a contradiction that is merely unrelated is too easy a negative to learn from.

A level holds a quantity of the two scores against a threshold. The quantity is written with operators alone, so it takes
whatever has them: two numbers, two arrays (n,), or two `Sql`, which give the text of the expression. From the levels come the
columns of `rules` (store/schema.py), the view `ruled` (store/views.py), counts and sweep (store/rows/decisions.py), and what
browser and reports say and draw. They are asked in their order, and the first one that is not passed is the reason. A score
that is missing passes none: NULL in SQL, NaN in an array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import and_
from typing import Any

# The reason before all levels: a score is missing.
UNSCORED = "unscored"

HIGHEST_SCORE = 5.0


@dataclass(frozen=True, eq=False)
class Sql:
    """An expression as text: what Python's operators on it say, in SQL. Sums and comparisons, joined by `&`."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: object) -> Sql:
        return Sql(f"{self} + {other}")

    def __sub__(self, other: object) -> Sql:
        return Sql(f"{self} - {other}" if " " not in str(other) else f"{self} - ({other})")

    def __ge__(self, other: object) -> Sql:
        return Sql(f"{self} >= {other}")

    def __le__(self, other: object) -> Sql:
        return Sql(f"{self} <= {other}")

    def __lt__(self, other: object) -> Sql:
        return Sql(f"{self} < {other}")

    def __and__(self, other: object) -> Sql:
        return Sql(f"{self} AND {other}")


# The columns of `pairs`.
A, B = Sql("a"), Sql("b")


@dataclass(frozen=True)
class Level:
    """One comparison of the rule.

    `reason`: what is stored of a triplet that does not pass; `words`: the same for people. `threshold`: the name of the
    setting and column, `letter` the paper's sign for it, where it has one. `neutral`: the value that asks nothing, where the
    threshold may be left out. `allowance`: how much a quantity may miss a threshold that it reaches in decimals.
    """

    reason: str
    threshold: str
    words: str
    quantity: Callable[[Any, Any], Any]
    at_least: bool
    letter: str = ""
    neutral: float | None = None
    allowance: float = 0.0

    def passes(self, a: Any, b: Any, bound: Any) -> Any:
        """Whether scores pass: a bool, a mask (n,) or SQL, as `a` and `b` are."""
        quantity = self.quantity(a, b)
        if self.at_least:
            return quantity >= (bound - self.allowance if self.allowance else bound)
        return quantity <= (bound + self.allowance if self.allowance else bound)

    def shortfall(self, a: Any, b: Any, bound: Any) -> Any:
        """By how much scores miss the threshold, as numbers or SQL; below 0 they are beyond it."""
        quantity = self.quantity(a, b)
        return bound - quantity if self.at_least else quantity - bound

    @property
    def compared(self) -> str:
        """The quantity as it is written: a, b, a − b."""
        return str(self.quantity(A, B)).replace("-", "−")

    @property
    def demand(self) -> str:
        """What a threshold means, for the description of its column."""
        asked = f"{self.compared} is at {'least' if self.at_least else 'most'} this"
        return asked if self.neutral is None else f"{asked}; {self.neutral:g} asks nothing"

    @property
    def sign(self) -> str:
        """What a threshold is called where there is little room: α, or b≥."""
        return self.letter or f"{self.compared}{'≥' if self.at_least else '≤'}"

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest value that the quantity takes, hence that a threshold makes sense at."""
        values = [self.quantity(a, b) for a, b in product((0.0, HIGHEST_SCORE), repeat=2)]
        return min(values), max(values)

    def asks(self, bound: float) -> bool:
        """Whether the threshold asks anything at this value."""
        return bound != self.neutral


LEVELS = (
    Level("a<alpha", "alpha", "the entailment is too unlike its premise", lambda a, b: a, at_least=True, letter="α"),
    Level("b>beta", "beta", "the contradiction is too like its premise", lambda a, b: b, at_least=False, letter="β"),
    Level(
        "a<b+gamma",
        "gamma",
        "the entailment is not enough nearer to the premise than the contradiction",
        lambda a, b: a - b,
        at_least=True,
        letter="γ",
        # Scores are rounded when they are stored, but their difference is no decimal in binary: 3.3 - 2.3 >= 1.0 must hold.
        allowance=1e-9,
    ),
    # Asked last, so that its reason counts what the floor costs. No score lies below 0.
    Level("b<min", "min_contradiction", "too easy a negative", lambda a, b: b, at_least=True, neutral=0.0),
)

WORDS = {UNSCORED: "a score is missing", **{level.reason: level.words for level in LEVELS}}


@dataclass(frozen=True)
class Thresholds:
    """A value for each level, in their order. With `swap`, a pair whose scores are reversed changes roles first, as the
    released MultiCSR code does; the paper drops it."""

    values: tuple[float, ...]
    swap: bool = False

    @classmethod
    def of(cls, named: Mapping[str, Any], swap: bool = False) -> Thresholds:
        """From any mapping that has the thresholds by name; one that is absent or None takes its neutral value.

        Raises KeyError for one that may not be left out.
        """
        return cls(tuple(complete(named).values()), swap)

    def __getitem__(self, threshold: str) -> float:
        return self.named[threshold]

    @property
    def named(self) -> dict[str, float]:
        """The values by the names of their thresholds."""
        return {level.threshold: value for level, value in zip(LEVELS, self.values, strict=True)}

    def moved(self, threshold: str, value: float) -> Thresholds:
        """The same with another value for one threshold."""
        return self.of({**self.named, threshold: value}, self.swap)


def complete(named: Mapping[str, Any]) -> dict[str, float]:
    """The value of each threshold by name, the neutral one where it is absent or None.

    Raises KeyError for one that may not be left out.
    """
    completed = {}
    for level in LEVELS:
        value = named.get(level.threshold)
        value = level.neutral if value is None else value
        if value is None:
            raise KeyError(level.threshold)
        completed[level.threshold] = float(value)
    return completed


def keeps(a: Any, b: Any, bounds: Any) -> Any:
    """Whether scores pass every level: a bool, a mask (n,) or SQL, as `a` and `b` are; `bounds[name]` is each threshold."""
    return reduce(and_, [level.passes(a, b, bounds[level.threshold]) for level in LEVELS])


def is_reversed(a: Any, b: Any) -> Any:
    """Whether the entailment scores below the contradiction, so that with `swap` the two change roles."""
    return a < b


def columns(place: str = "{}") -> dict[str, Sql]:
    """The thresholds by name as SQL; `place` says how one is written: `{}` as a column, `:{}` as a parameter."""
    return {level.threshold: Sql(place.format(level.threshold)) for level in LEVELS}


def as_read(swap: str) -> str:
    """SQL: the columns a and b as the rule reads them; `swap` is the SQL of the option."""
    turned = f"{swap} AND {is_reversed(A, B)}"
    return f"iif({turned}, b, a) AS a, iif({turned}, a, b) AS b"


def kept_region(thresholds: Thresholds) -> list[tuple[float, float]]:
    """The corners, in order, of what is kept in the plane of (a, b) as the rule reads them; none where nothing can be.

    Every level is a straight line there, which cuts a convex region off from the square of all scores.
    """
    end = HIGHEST_SCORE
    corners = [(0.0, 0.0), (end, 0.0), (end, end), (0.0, end)]
    for level in LEVELS:
        left = []
        for here, there in zip(corners, corners[1:] + corners[:1], strict=True):
            near, far = (level.shortfall(*corner, thresholds[level.threshold]) for corner in (here, there))
            if near <= 0:
                left.append(here)
            if near * far < 0:
                way = near / (near - far)
                left.append((here[0] + way * (there[0] - here[0]), here[1] + way * (there[1] - here[1])))
        corners = left
    return corners
