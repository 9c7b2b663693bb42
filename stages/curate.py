"""Stage 2, the decision. Arrow: scores -> decision.

Keep a triplet iff a >= alpha and b <= beta and a >= b + gamma (MultiCSR, eq. 4), and, which the paper does not ask,
b >= min_contradiction: a contradiction that is merely unrelated is too easy a negative to learn from. The rule itself is
written in `store/rule.py`; a new threshold is a new run over the same scores and calls no model.
"""

from __future__ import annotations

from itertools import product

from stages.config import CurateConfig
from stages.stage import COMPLETE, Tick, Ticks
from stages.texts.similarity import SCALE
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import decisions

VERSION = 1

# The sweep's grid: the paper's neighbourhood in its own steps of one, and the halves a likelihood score needs.
SWEEP_ALPHA = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
SWEEP_BETA = (1.0, 2.0, 2.5, 3.0, 3.5, 4.0)
SWEEP_GAMMA = (0.0, 0.5, 1.0)


def run(store: Store, config: CurateConfig, parent: Run) -> Ticks:
    """Decide every premise of the score run `parent`."""
    if not parent.finished:
        raise _unfinished(parent)
    run = store.begin("curate", VERSION, config, parent=parent.id)
    total = store.parent(parent).counts["premises"]
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return run
    thresholds = {
        **vars(config),
        "copies": config.drop_copies,
        "duplicates": config.drop_duplicates,
        "swap": config.swap_reversed,
    }
    with store.only_writer(run):
        for done in decisions.decide(store, run, thresholds):
            yield Tick(done, total, "deciding", done)
        return store.finish(run, decisions.counts(store, run))


def sweep(store: Store, parent: Run, swap: bool, min_contradiction: float = 0.0) -> list[dict[str, float]]:
    """alpha, beta, gamma and kept over the grid, all with the same floor on b; writes nothing."""
    if not parent.finished:
        raise _unfinished(parent)
    grid = list(product(SWEEP_ALPHA, SWEEP_BETA, SWEEP_GAMMA))
    # Under the highest beta a floor is refused only if it is none of a score.
    floor = CurateConfig(alpha=0.0, beta=SCALE, gamma=0.0, min_contradiction=min_contradiction).min_contradiction
    points = [{"alpha": alpha, "beta": beta, "gamma": gamma} for alpha, beta, gamma in grid]
    kept = decisions.sweep(store, parent, [{**point, "min_contradiction": floor} for point in points], swap)
    return [{**point, "kept": count} for point, count in zip(points, kept, strict=True)]


def _unfinished(parent: Run) -> Problem:
    return Problem(f"score run {parent.id} is not finished", "run the same `multicsr score` again; it goes on")
