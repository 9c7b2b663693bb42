"""f4: one triplet duplicated, with and without the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.node import node
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _copies(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    curated = scale.curate(scale.gen(OMEGA))
    for copies in scale.copies:
        corpus = node("copies", curated, copies=copies)
        for mask in (True, False):
            models = tuple(scale.train(corpus, seed, mask) for seed in lab.seeds)
            how = "with stage 3" if mask else "without stage 3"
            rows.append(Row(f"{copies:,} copies, {how}", models, {"copies": copies, "mask": how}))
    return rows


F4 = TrainedExperiment(
    "f4",
    "One triplet duplicated, with and without the mask",
    _copies,
    claims=always(
        Claim(
            "The mask where a triplet is duplicated",
            "mask",
            "with stage 3",
            "without stage 3",
            among=lambda varied: bool(varied["copies"]),
        )
    ),
    curve=Curve("copies", "copies of one triplet"),
    headline="stsb dev",
    remark="By equation 6 a premise's own hypotheses are never masked, which those of its copies are too.",
)
