"""f6: the thresholds of the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import multicsr
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _sigmas(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for backbone in (*scale.backbones, *scale.further):
        base = backbone.base
        rows.append(Row(f"{base}, as it is", (base,), {"base": base}))
        for sigma in scale.sigmas:  # ascending: what masks nothing tells that no higher one does
            models = multicsr(lab, backbone=backbone, sigma=sigma)
            rows.append(Row(f"{base}, σ {sigma:g}", models, {"base": base, "σ": sigma}))
        rows.append(Row(f"{base}, no mask", multicsr(lab, mask=False, backbone=backbone), {"base": base, "σ": "none"}))
    return rows


F6 = TrainedExperiment(
    "f6",
    "Thresholds of the mask",
    _sigmas,
    claims=always(Claim("The mask at σ 0.9", "σ", 0.9, "none"), Claim("σ 0.9 against a low σ of 0.5", "σ", 0.9, 0.5)),
    curve=Curve("σ", "σ"),
    headline="stsb dev",
    remark="A training in which nothing was masked is the one without a mask.",
)
