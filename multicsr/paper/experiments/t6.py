"""t6: other base learners with and without MultiCSR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import all_sts, known, multicsr
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

LEARNERS: dict[str, dict[str, Any]] = {
    "SimCSE unsup.": {},
    "PromptBERT": {"pooler": "prompt"},
    "RankCSE listNet": {"rank": "listnet"},
    "RankCSE listMLE": {"rank": "listmle"},
}
NOT_HERE = ("InfoCSE", "RankEncoder")


def _learners(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for backbone in scale.backbones:
        for learner in scale.learners:
            told = LEARNERS[learner]
            settings = {"teacher": backbone.mask_model, **told} if "rank" in told else told
            alone = tuple(
                scale.train(scale.gen(0.0), seed, backbone=backbone, objective="simcse-unsup", **settings)
                for seed in lab.seeds
            )
            figures = known("sts", backbone.published, learner)
            varied = {"backbone": backbone.base, "learner": learner}
            as_paper = f"{learner} on {backbone.published}"
            rows += [
                Row(f"{backbone.base}, {learner}", alone, {**varied, "multicsr": False}, figures, as_paper=as_paper),
                Row("  + MultiCSR", multicsr(lab, backbone=backbone, **settings), {**varied, "multicsr": True}),
            ]
        for learner in NOT_HERE:
            figures = known("sts", backbone.published, learner)
            rows.append(
                Row(f"{backbone.base}, {learner}", (), {}, figures, as_paper=f"{learner} on {backbone.published}")
            )
    return rows


T6 = TrainedExperiment(
    "t6",
    "Other base learners with and without MultiCSR",
    _learners,
    all_sts,
    always(Claim("MultiCSR under each learner", "multicsr", True, False)),
    remark=f"{' and '.join(NOT_HERE)} are not implemented here.",
)
