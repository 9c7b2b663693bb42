"""Whether a claim of the paper holds, in one sentence. Arrow: matched figures of two arms -> paired test -> sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.tasks.metrics import paired

if TYPE_CHECKING:
    from multicsr.paper.trained.rows import RowFigures

# Below this a difference is called one; the customary level.
SIGNIFICANT = 0.05

TRAININGS, PREMISES = "matched trainings", "premises"  # what a claim counts

Arms = Mapping[str, tuple[Sequence[float], Sequence[float]]]

HELPS, HURTS = "helps on", "hurts on"
UNSHOWN, SAME = "makes no difference that can be shown on", "changes nothing on"
TOO_FEW = "can be told by too few trainings on"
EFFECTS = (HELPS, HURTS, UNSHOWN, SAME, TOO_FEW)


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


def sentence(claim: Claim, results: Sequence[RowFigures], tasks: Sequence[str]) -> str:
    """Whether a claim holds on each task: matched trainings differ in its field alone, and share a seed."""
    arms = {task: _matched(claim, results, task) for task in tasks}
    return verdict(claim.what, arms, TRAININGS, claim.claimed)


def _matched(claim: Claim, results: Sequence[RowFigures], task: str) -> tuple[list[float], list[float]]:
    """The figures of both arms, seed by seed. Rows that differ in nothing a claim knows are one arm: their mean.

    A pair of the same trainings counts once: a mask that removes nothing trains twice alike, and counting both would make
    any difference look surer than it is.
    """
    rows: dict[Varied, dict[tuple[str, ...], list[float]]] = {}
    for result in results:
        if claim.field in result.row.varied and claim.among(result.row.varied) and result.figures[task]:
            rows.setdefault(_key(result.row.varied), {})[tuple(result.runs)] = result.figures[task]
    means = {key: np.mean(list(arm.values()), axis=0).tolist() for key, arm in rows.items()}
    pairs: dict[tuple[frozenset[tuple[str, ...]], ...], tuple[list[float], list[float]]] = {}
    for key, figures in means.items():
        other = _key({**dict(key), claim.field: claim.worse})
        if dict(key)[claim.field] == claim.better and other in means:
            pairs[frozenset(rows[key]), frozenset(rows[other])] = figures, means[other]
    better, worse = ([value for pair in pairs.values() for value in pair[place]] for place in (0, 1))
    return better, worse


Varied = tuple[tuple[str, Any], ...]


def _key(varied: Mapping[str, Any]) -> Varied:
    return tuple(sorted(varied.items()))


def verdict(what: str, arms: Arms, of: str, claimed: bool = True) -> str:
    """One sentence on the two arms of a claim, (n,) matched figures each, on every task; decided by paired t tests.

    `of` is what n counts. `claimed`: the paper says that it helps.
    """
    effects: dict[str, dict[str, str]] = {}  # effect -> task -> figures
    for on, (better, worse) in arms.items():
        effect, figures = _effect(np.array(better, dtype=float), np.array(worse, dtype=float), of)
        effects.setdefault(effect, {})[on] = figures
    if effects.keys() <= {TOO_FEW}:
        return f"{what}: too few {of} to say anything."
    told = [
        f"{effect} {_joined([f'{on}{figures}' for on, figures in effects[effect].items()])}"
        for effect in EFFECTS
        if effect in effects
    ]
    return f"{what} {_joined(told)}.{_claim(effects) if claimed else ''}"


def _claim(effects: Mapping[str, Mapping[str, str]]) -> str:
    """Where the paper's claim that it helps holds."""
    if HELPS not in effects:
        return f" The paper's claim that it helps {'does not hold' if HURTS in effects else 'is not shown'} here."
    if len(effects) == 1:
        return " The paper's claim that it helps holds here."
    return f" The paper's claim that it helps holds on {_joined(list(effects[HELPS]))} alone."


def _effect(better: np.ndarray, worse: np.ndarray, of: str) -> tuple[str, str]:
    """What the arms (n,) differ in, and by how much: ± standard deviation, over premises the standard error."""
    n = len(better)
    if n < 2:
        return TOO_FEW, ""
    mean, spread, p = paired(better, worse)
    if (better == worse).all():
        return SAME, f" ({n} {of})"
    error = "" if of == TRAININGS else " standard error"
    shown = spread / np.sqrt(n) if error else spread
    figures = f" ({mean:+.2f} ± {shown:.2f}{error}, {n} {of}, {chance(p)})"
    return UNSHOWN if p >= SIGNIFICANT else HELPS if mean > 0 else HURTS, figures


def chance(p: float) -> str:
    """A p value as it is told."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 2 else parts)
