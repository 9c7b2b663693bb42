"""What is claimed, what was found, and the sentence about it. Arrow: evidence -> claims of a page -> sentences.

Whether a claim holds depends on how many others are tested beside it: of many that are not so, some come out by chance. So
experiments hand out what they found (`Tested`, `NoVerdict`), and only who writes a page, and knows all of its claims, makes
sentences of that: p is adjusted for the family of all claims of the page (Holm, 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.tasks import hierarchy
from stages.tasks.compare import Mean, bootstrap, chance
from stages.tasks.hierarchy import FEWEST_SEEDS, Effect
from stages.tasks.metrics import holm

# Below this a difference is called one; the customary level, for the adjusted p.
SIGNIFICANT = 0.05

# Of fewer items the interval of a bootstrap is too narrow to be told: at 30 by 4 %, at 10 by 15 %.
FEWEST_ITEMS = 30

# What a difference above and below 0 is called.
Words = tuple[str, str]
BETTER: Words = ("better", "worse")


@dataclass(frozen=True)
class Claim:
    """The paper says (unless it does not: `claimed`) that rows whose `field` is `better` are better than those that differ
    from them in it alone. It speaks of rows whose varied fields `among` accepts."""

    what: str
    field: str
    better: Any
    worse: Any
    claimed: bool = True
    among: Callable[[Mapping[str, Any]], bool] = lambda varied: True


@dataclass(frozen=True)
class Tested:
    """A claim with its evidence. `over` says what was drawn anew ("5 seeds, 440 pairs"), `parts` are its differences by
    task, of which none has a verdict of its own, and `remark` is what else must be known. `says`: what a difference above
    and below 0 is called."""

    what: str
    effect: Effect
    over: str
    claimed: bool = True
    says: Words = BETTER
    parts: tuple[tuple[str, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class NoVerdict:
    """A claim that nothing here can decide, and why; it is no part of a family."""

    what: str
    why: str
    parts: tuple[tuple[str, float], ...] = ()


# What an experiment says: a claim, decided or not, or a sentence that no test decides.
Said = Tested | NoVerdict | str

Family = Mapping[Tested, float]  # the claims that are tested on one page -> p, adjusted


def family(said: Iterable[Said]) -> Family:
    """The claims of a page with their adjusted p; the same claim with the same evidence is one, wherever it is said."""
    tests = list(dict.fromkeys(one for one in said if isinstance(one, Tested)))
    return dict(zip(tests, holm([one.effect.p for one in tests]), strict=True))


def sentences(said: Sequence[Said], among: Family) -> list[str]:
    """What an experiment says, on a page whose claims are `among`."""
    return [_sentence(one, among) for one in said]


def records(said: Sequence[Said], among: Family) -> list[dict[str, Any]]:
    """The claims for a JSON document: effect, interval and p are null where there is no verdict."""
    told = []
    for one in said:
        if isinstance(one, NoVerdict):
            empty = dict.fromkeys((*Effect._fields, "adjusted_p", "over"))
            told.append({"claim": one.what, **empty, "parts": dict(one.parts), "why": one.why})
        elif isinstance(one, Tested):
            found = {**one.effect._asdict(), "adjusted_p": among[one], "over": one.over}
            told.append({"claim": one.what, **found, "parts": dict(one.parts), "why": None})
    return told


def _sentence(said: Said, among: Family) -> str:
    if isinstance(said, str):
        return said
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in said.parts)
    if isinstance(said, NoVerdict):
        return f"{said.what}: {said.why}{f' ({parts})' if parts else ''}."
    effect, p = said.effect, among[said]
    clear = p < SIGNIFICANT
    found = said.says[effect.effect < 0] if clear else "no difference that can be shown"
    told = (
        f"{said.what}: {found}, {effect.effect:+.2f} (95 % interval {effect.low:+.2f} to {effect.high:+.2f}; {shown(p)} by"
        f" Holm over {counted(len(among), 'claim')}; {said.over}{f'; {parts}' if parts else ''})."
    )
    if said.claimed:
        holds = "is not shown" if not clear else "holds" if effect.effect > 0 else "does not hold"
        told += f" The paper's claim {holds} here."
    return f"{told} {said.remark}".rstrip()


def counted(number: int, what: str) -> str:
    """So many, in words that agree."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shown(p: float) -> str:
    """A p value as it is told."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def over_items(
    what: str,
    better: Sequence[float] | np.ndarray,
    worse: Sequence[float] | np.ndarray,
    of: str,
    claimed: bool = True,
    says: Words = BETTER,
) -> Tested | NoVerdict:
    """A claim about two figures of each of n items, (n,) and (n,), in the unit in which their mean is told, by the paired
    bootstrap (stages/tasks/compare.py). `of` is what the items are: premises, pairs. Raises ValueError where one side has
    other items."""
    one, other = (Mean("mean", np.asarray(side, dtype=float) / 100) for side in (better, worse))
    if one.n < FEWEST_ITEMS:
        return NoVerdict(what, f"not enough {of} to tell: {one.n}, and it takes {FEWEST_ITEMS}")
    found = bootstrap(one, other)
    effect = Effect(found.difference, found.low, found.high, found.p)
    return Tested(what, effect, f"{found.n:,} {of}", claimed, says)


def over_trainings(
    what: str,
    better: Sequence[float] | np.ndarray,
    worse: Sequence[float] | np.ndarray,
    of: str = "trainings",
    claimed: bool = True,
    says: Words = BETTER,
) -> Tested | NoVerdict:
    """A claim about two figures of each of few things that could have come out otherwise, (n,) and (n,)."""
    differences = np.asarray(better, dtype=float) - np.asarray(worse, dtype=float)
    if (few := too_few(len(differences), of)) is not None:
        return NoVerdict(what, few)
    effect = hierarchy.bootstrap(np.tile(differences, (1 + hierarchy.ITEM_DRAWS, 1)))
    return Tested(what, effect, f"{len(differences)} {of}", claimed, says)


def too_few(n: int, of: str) -> str | None:
    """Why `n` trainings, or other things that are drawn anew, decide nothing; None where they are enough."""
    return None if n >= FEWEST_SEEDS else f"not enough trainings to tell: {n} {of}, and it takes {FEWEST_SEEDS}"


def at_chance(drawn: np.ndarray) -> bool:
    """Whether a figure cannot be told from 0: the 95 % interval of its draws (r,) holds it. One that is defined on no draw
    cannot."""
    figures = drawn[np.isfinite(drawn)]
    low, high, _ = chance(figures) if len(figures) else (0.0, 0.0, 1.0)
    return low <= 0 <= high
