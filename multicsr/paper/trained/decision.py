"""One verdict a claim. Arrow: rows with figures -> matched arms -> evidence, or why there is none.

The effect of a claim is the mean, over its matched settings and over tasks, of what the better arm is better by. Arms are
content: trainings of equal triplets, settings and masks are one, whatever they are called, so that neither a second name nor
the order in which experiments were made lets one count twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from multicsr.paper.claims import Claim, NoVerdict, Said, Tested, counted, too_few
from multicsr.paper.lab.twins import Content
from multicsr.paper.trained.rows import FEW_TRIPLETS, RowFigures
from stages.tasks import hierarchy

Arm = Sequence[RowFigures]  # rows that differ in nothing a claim knows: their mean counts
Contents = tuple[Content, ...]

UNMASKED = "the mask removed nothing"
ALIKE = "both sides are the same training"
FEW = f"there are fewer than {FEW_TRIPLETS} triplets"
UNMATCHED = "no two settings differ in it alone"


class Pair(NamedTuple):
    """Two arms that differ in a claim's field alone; `degenerate` says why they tell nothing, if they do not."""

    better: Arm
    worse: Arm
    degenerate: str | None


def decide(claim: Claim, results: Sequence[RowFigures], tasks: Sequence[str]) -> Said:
    """The evidence of a claim over all `tasks` together: seeds and items are drawn anew (stages/tasks/hierarchy.py)."""
    pairs = list(_pairs(claim, results))
    told = [pair for pair in pairs if pair.degenerate is None]
    why = list(dict.fromkeys(pair.degenerate for pair in pairs if pair.degenerate is not None))
    if not told:
        return NoVerdict(claim.what, f"no verdict: {' and '.join(why) or UNMATCHED}")
    seeds = min(len(row.figures[task]) for pair in told for row in (*pair.better, *pair.worse) for task in tasks)
    if not seeds:
        return NoVerdict(claim.what, "no verdict: there are no figures")
    parts = tuple(
        (task, float(np.mean([_mean(one.better, task) - _mean(one.worse, task) for one in told]))) for task in tasks
    )
    for reason in (_damaged(told, tasks), too_few(seeds, "seeds")):
        if reason is not None:
            return NoVerdict(claim.what, reason, parts)
    by_task = [
        hierarchy.mean([_drawn(pair.better, task) - _drawn(pair.worse, task) for pair in told]) for task in tasks
    ]
    effect = hierarchy.bootstrap(hierarchy.mean(by_task))
    over = f"{seeds} seeds, {counted(len(told), 'matched setting')}, the items of {counted(len(tasks), 'task')}"
    return Tested(claim.what, effect, over, claim.claimed, parts=parts, remark=_remark(told, len(pairs), why))


def _remark(told: Sequence[Pair], of: int, why: Sequence[str]) -> str:
    """What else a reader of the verdict must know."""
    out, said = of - len(told), list[str]()
    if out:
        said.append(f"{counted(out, 'setting')} left out: {' and '.join(why)}.")
    if all(row.masked_nothing for pair in told for row in pair.better):
        said.append("The mask removed nothing in it, so this is without stage 3.")
    return " ".join(said)


def _pairs(claim: Claim, results: Sequence[RowFigures]) -> Iterator[Pair]:
    """The matched arms of a claim, each pair of contents once."""
    arms: dict[tuple[tuple[str, Any], ...], dict[Contents, RowFigures]] = {}
    for result in results:
        if claim.field in result.row.varied and claim.among(result.row.varied):
            arms.setdefault(_key(result.row.varied), {}).setdefault(result.contents, result)
    seen = set[tuple[frozenset[Contents], frozenset[Contents]]]()
    for key, better in arms.items():
        worse = arms.get(_key({**dict(key), claim.field: claim.worse}))
        if dict(key)[claim.field] != claim.better or worse is None:
            continue
        contents = frozenset(better), frozenset(worse)
        if contents not in seen:
            seen.add(contents)
            yield _pair(list(better.values()), list(worse.values()))


def _pair(better: Arm, worse: Arm) -> Pair:
    enough = [[row for row in arm if not row.has_few] for arm in (better, worse)]
    if not all(enough):
        return Pair(better, worse, FEW)
    better, worse = enough
    if _learned(better) != _learned(worse):
        return Pair(better, worse, None)
    if any(row.masked_nothing for row in (*better, *worse)):
        return Pair(better, worse, UNMASKED)
    alike = {row.contents for row in better} == {row.contents for row in worse}
    return Pair(better, worse, ALIKE if alike else None)


def _learned(arm: Arm) -> set[tuple[str, ...]]:
    """What the trainings of an arm are but for their masks."""
    return {tuple(content.learned for content in row.contents) for row in arm}


def _damaged(pairs: Sequence[Pair], tasks: Sequence[str]) -> str | None:
    """Why a baseline decides nothing that is below the model it was trained from."""
    rows = [(row, task) for pair in pairs for row in pair.worse for task in tasks if task in row.base]
    if not rows:
        return None
    baseline = float(np.mean([np.mean(row.figures[task]) for row, task in rows]))
    base = float(np.mean([row.base[task] for row, task in rows]))
    if baseline >= base:
        return None
    return (
        f"no verdict: what it is compared with ({baseline:.2f}) is below the base as it is ({base:.2f}), so that to be better"
        " shows nothing"
    )


def _mean(arm: Arm, task: str) -> float:
    return float(np.mean([row.figures[task] for row in arm]))


def _drawn(arm: Arm, task: str) -> np.ndarray:
    """(1 + r, seeds) of an arm."""
    return hierarchy.mean([row.drawn(task) for row in arm])


def _key(varied: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(varied.items()))
