"""f6: the thresholds of the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import multicsr
from multicsr.paper.scales import SIGMA
from multicsr.paper.trained.experiment import TrainedExperiment
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

LOW = 0.5  # of the paper's sweep


def _thresholds(lab: Lab) -> list[tuple[str, Any, dict[str, Any]]]:
    """Each as it is called, what stands for σ in a claim, and the setting."""
    absolute = [(f"σ {sigma:g}", sigma, {"sigma": sigma}) for sigma in lab.scale.sigmas]
    shares = [(f"{share:.1%} masked", f"{share:g}", {"sigma_quantile": share}) for share in lab.scale.quantiles]
    return [*absolute, *shares]


def _sigmas(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for backbone in (*scale.backbones, *scale.further):
        base = backbone.base
        rows.append(Row(f"{base}, as it is", (base,), {"base": base}))
        for name, sigma, told in _thresholds(lab):
            models = multicsr(lab, backbone=backbone, **told)
            rows.append(Row(f"{base}, {name}", models, {"base": base, "σ": sigma}))
        rows.append(Row(f"{base}, no mask", multicsr(lab, mask=False, backbone=backbone), {"base": base, "σ": "none"}))
    return rows


def _claims(lab: Lab) -> list[Claim]:
    """The paper's two, and of a threshold that fits any mask model."""
    shares = [
        Claim(f"The mask of {share:.1%} of cross pairs", "σ", f"{share:g}", "none", False)
        for share in lab.scale.quantiles
    ]
    return [
        Claim("The mask at σ 0.9", "σ", SIGMA, "none"),
        Claim("σ 0.9 against a low σ of 0.5", "σ", SIGMA, LOW),
        *shares,
    ]


F6 = TrainedExperiment(
    "f6",
    "Thresholds of the mask",
    _sigmas,
    lambda lab: lab.tasks.dev_table,
    _claims,
    curve=Curve("σ", "σ"),
    headline="stsb dev",
    remark="A training in which nothing was masked is the one without a mask. Rows by a share mask from the cosine on that"
    " so many cross pairs reach by the mask model, whichever it is.",
)
