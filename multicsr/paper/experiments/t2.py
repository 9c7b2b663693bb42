"""t2: MultiCSR on the STS tasks, beside its baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import FIELD_CLAIMS, all_sts, field, recipes
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

AT_RANDOM = "SynCSE, as many"


def _field(lab: Lab) -> list[Row]:
    """The field, and SynCSE on no more triplets than MultiCSR is left with."""
    scale, rows = lab.scale, field(lab, "sts")
    raw, curated = scale.gen(0.0), scale.curate(scale.gen(OMEGA))
    for backbone in scale.backbones:
        models = tuple(scale.train(scale.drawn(raw, seed, like=curated), seed, False, backbone) for seed in lab.seeds)
        name = f"{backbone.base}, {AT_RANDOM} triplets at random"
        rows.append(Row(name, models, {"backbone": backbone.base, "method": AT_RANDOM}))
    return rows


T2 = TrainedExperiment(
    "t2",
    "STS tasks",
    _field,
    all_sts,
    lambda lab: [
        *FIELD_CLAIMS(lab),
        Claim("MultiCSR against SynCSE on as many triplets", "method", "MultiCSR", AT_RANDOM),
    ],
    also=recipes,
)
