"""t7: the thresholds of self-curation, as the paper's grid has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _thresholds(lab: Lab) -> list[Row]:
    scale, corpus, rows = lab.scale, lab.scale.gen(OMEGA), list[Row]()
    for alpha, beta, gamma in scale.grid:
        curated = scale.curate(corpus, (float(alpha), float(beta), float(gamma)))
        models = tuple(scale.train(curated, seed) for seed in lab.seeds)
        rows.append(Row(f"α {alpha:g}, β {beta:g}, γ {gamma:g}", models, {"extreme": _is_extreme(alpha, beta)}))
    return rows


def _is_extreme(alpha: float, beta: float) -> bool:
    """As the paper says it: α of 5, or β of 0."""
    return alpha == 5 or beta == 0


T7 = TrainedExperiment(
    "t7",
    "Self-curation strategies",
    _thresholds,
    claims=always(Claim("A rule that is not extreme (neither α 5 nor β 0)", "extreme", False, True)),
    headline="stsb dev",
    remark="Settings that keep the same triplets share their trainings; where none is kept, there is nothing to train on.",
)
