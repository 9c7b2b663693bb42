"""t8: zero-shot retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import multicsr, simcse
from multicsr.paper.lab.material import BUNDLED_RETRIEVAL
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _retrieval(lab: Lab) -> list[Row]:
    base = lab.scale.backbone.base
    return [
        Row(f"{base}, as it is", (base,)),
        Row("SimCSE", simcse(lab), {"method": "SimCSE"}),
        Row("MultiCSR", multicsr(lab), {"method": "MultiCSR"}),
    ]


T8 = TrainedExperiment(
    "t8",
    "Zero-shot retrieval (BEIR), nDCG@10",
    _retrieval,
    lambda lab: lab.tasks.retrieval,
    always(Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE")),
    remark=f"{BUNDLED_RETRIEVAL} stands in where no BEIR folder is given, and is none: the first sentences of the bundled"
    " test pairs look for the second ones that have a gold score of 4 or more, among all second ones.",
)
