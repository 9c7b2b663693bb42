"""f4: one of many labelled triplets duplicated, trained by SimCSE's loss with and without the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import needs_labelled
from multicsr.paper.node import node
from multicsr.paper.scales import OWN_RECIPE, SIGMA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

WITH, WITHOUT = "with stage 3", "without stage 3"


def _copies(lab: Lab) -> list[Row]:
    scale, rows, labelled = lab.scale, list[Row](), lab.labelled()
    arms: dict[str, dict[str, Any]] = {WITH: {"mask": True, "sigma": SIGMA}, WITHOUT: {"mask": False}}
    for copies in scale.copies:
        corpus = node("copies", labelled, of=scale.copied, copies=copies)
        for how, told in arms.items():
            settings = {**told, **OWN_RECIPE, "objective": "simcse"}
            models = tuple(scale.train(corpus, seed, supervised=True, **settings) for seed in lab.seeds)
            rows.append(Row(f"{copies:,} copies, {how}", models, {"copies": copies, "mask": how}))
    return rows


F4 = TrainedExperiment(
    "f4",
    "One labelled triplet duplicated, with and without the mask",
    _copies,
    lambda lab: lab.tasks.dev_table,
    always(
        Claim(
            "The mask where a triplet is duplicated", "mask", WITH, WITHOUT, among=lambda varied: bool(varied["copies"])
        )
    ),
    curve=Curve("copies", "copies of one triplet"),
    headline="stsb dev",
    needs=needs_labelled,
    remark="SimCSE's supervised loss; the paper's 10,000 labelled NLI triplets are 128 of SNLI's dev set at the scale mini."
    " Own are the hypotheses at the same place in the batch, so that those of a copy can be masked.",
)
