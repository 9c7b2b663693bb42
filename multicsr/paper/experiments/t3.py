"""t3: the ablation of the three refinements, each with and without the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _ablation(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, [Row(f"{name}, as it is", (name,)) for name in _references(lab)]
    for omega in (0.0, OMEGA):
        corpus = scale.gen(omega)
        curated = scale.curate(corpus)
        for is_curated, mask in product((False, True), repeat=2):
            name = f"ω {omega:g}, {'curated' if is_curated else 'raw'}, {'mask' if mask else 'no mask'}"
            models = tuple(scale.train(curated if is_curated else corpus, seed, mask) for seed in lab.seeds)
            rows.append(Row(name, models, {"omega": omega, "curated": is_curated, "mask": mask}, corpus=curated))
    return rows


def _references(lab: Lab) -> Sequence[str]:
    return tuple(dict.fromkeys((lab.scale.backbone.base, lab.scale.backbone.reference)))


T3 = TrainedExperiment(
    "t3",
    "Ablation of the three refinements",
    _ablation,
    claims=always(
        Claim("Contrastive decoding (ω 0.3 against 0)", "omega", OMEGA, 0.0),
        Claim("Curation", "curated", True, False),
        Claim("The mask", "mask", True, False),
    ),
    headline="stsb dev",
)
