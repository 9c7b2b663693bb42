"""t7: the thresholds of self-curation, as the paper's grid has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.scales import Thresholds


def _thresholds(lab: Lab) -> list[Row]:
    scale, corpus, rows = lab.scale, lab.scale.gen(OMEGA), list[Row]()
    for rule in scale.grid:
        curated = scale.curate(corpus, rule)
        models = tuple(scale.train(curated, seed) for seed in lab.seeds)
        rows.append(Row(_named(rule), models, {"extreme": _is_extreme(rule)}))
    usual = scale.curate(corpus)
    chosen = tuple(scale.train(usual, seed) for seed in lab.seeds)
    drawn = tuple(scale.train(scale.drawn(corpus, seed, like=usual), seed) for seed in lab.seeds)
    return [
        *rows,
        Row(f"the usual rule, {_named(scale.thresholds)}", chosen, {"triplets": "chosen"}),
        Row("  as many at random", drawn, {"triplets": "random"}),
    ]


def _named(rule: Thresholds) -> str:
    alpha, beta, gamma = rule
    return f"α {alpha:g}, β {beta:g}, γ {gamma:g}"


def _is_extreme(rule: Thresholds) -> bool:
    """As the paper says it: α of 5, or β of 0."""
    return rule[0] == 5 or rule[1] == 0


T7 = TrainedExperiment(
    "t7",
    "Self-curation strategies",
    _thresholds,
    lambda lab: lab.tasks.dev_table,
    always(
        Claim("A rule that is not extreme (neither α 5 nor β 0)", "extreme", False, True),
        Claim("The usual rule against as many triplets at random", "triplets", "chosen", "random"),
    ),
    headline="stsb dev",
    remark="Settings that keep the same triplets share their trainings; where none is kept, there is nothing to train on."
    " That γ is 0, 1 and 2 where the paper's grid varies it is our reading.",
)
