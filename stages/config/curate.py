"""Stage 2, the decision: the thresholds of eq. 4, and CLAIF's own post-processing of pairs."""

from __future__ import annotations

from dataclasses import dataclass

from stages.config.words import seeded
from stages.settings import Settings, setting
from store.problem import Problem


@dataclass(frozen=True, kw_only=True)
class CurateConfig(Settings):
    """The rule of eq. 4 (`store/rule.py` has it), with options of which none is the paper's."""

    alpha: float = setting(
        "α: keep only a ≥ α, a = sim(x, x+), from 0 to 5 (eq. 4)", usual="3; 2 by likelihood", low=0, high=5
    )
    beta: float = setting(
        "β: keep only b ≤ β, b = sim(x, x-), from 0 to 5 (eq. 4)", usual="3; 2.5 by likelihood", low=0, high=5
    )
    gamma: float = setting("γ: keep only a ≥ b + γ (eq. 4)", usual="1", low=-5, high=5)
    min_contradiction: float = setting(
        "keep only b at least this: what scores lower is too easy a negative; not in the paper", 0.0, low=0, high=5
    )
    drop_copies: bool = setting("drop triplets that repeat their premise; not in the paper", False)
    drop_duplicates: bool = setting("keep only the first of equal triplets; not in the paper", False)
    swap_reversed: bool = setting(
        "change roles where a < b, as the released code does; the paper drops such triplets", False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_contradiction > self.beta:
            raise Problem(
                f"min_contradiction {self.min_contradiction:g} is above beta={self.beta:g}, so that no triplet could be kept",
                "lower the one or raise the other",
                "min_contradiction",
            )


@dataclass(frozen=True, kw_only=True)
class PairConfig(Settings):
    """CLAIF's post-processing of rewrites: pairs with smoothed labels and random partners."""

    seed: int = seeded("draws the random partners of CLAIF's pairs")
    strategy: str = "claif"
