"""Whether a claim of the paper holds, in one sentence. Arrow: matched figures of two arms -> paired test -> sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stages.tasks.metrics import paired

# Below this a difference is called one; the customary level.
SIGNIFICANT = 0.05

TRAININGS, PREMISES = "matched trainings", "premises"  # what a claim counts

Arms = Mapping[str, tuple[Sequence[float], Sequence[float]]]

HELPS, HURTS = "helps on", "hurts on"
UNSHOWN, SAME = "makes no difference that can be shown on", "changes nothing on"
TOO_FEW = "can be told by too few trainings on"
EFFECTS = (HELPS, HURTS, UNSHOWN, SAME, TOO_FEW)


def verdict(what: str, arms: Arms, of: str, claimed: bool = True) -> str:
    """One sentence on the two arms of a claim, (n,) matched figures each, on every task; decided by paired t tests.

    `of` is what n counts. `claimed`: the paper says that it helps.
    """
    found: dict[str, dict[str, str]] = {}  # effect -> task -> figures
    for on, (better, worse) in arms.items():
        effect, figures = _effect(np.array(better, dtype=float), np.array(worse, dtype=float), of)
        found.setdefault(effect, {})[on] = figures
    if found.keys() <= {TOO_FEW}:
        return f"{what}: too few {of} to say anything."
    told = [
        f"{effect} {_joined([f'{on}{figures}' for on, figures in found[effect].items()])}"
        for effect in EFFECTS
        if effect in found
    ]
    return f"{what} {_joined(told)}.{_claim(found) if claimed else ''}"


def _claim(found: Mapping[str, Mapping[str, str]]) -> str:
    """Where the paper's claim that it helps holds."""
    if HELPS not in found:
        return f" The paper's claim that it helps {'does not hold' if HURTS in found else 'is not shown'} here."
    if len(found) == 1:
        return " The paper's claim that it helps holds here."
    return f" The paper's claim that it helps holds on {_joined(list(found[HELPS]))} alone."


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
