"""t11: the generated corpus joined with a labelled one (appendix G)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import all_sts, known, needs_labelled
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _supervised(lab: Lab) -> list[Row]:
    scale, rows, labelled = lab.scale, list[Row](), lab.labelled()
    assert labelled is not None
    for backbone in scale.backbones:
        ours = scale.curate(scale.gen(OMEGA))
        theirs = known("sts", backbone.published, "SimCSE sup.")
        for name, models, figures in (
            ("SimCSE sup.", [scale.train(labelled, seed, False, backbone) for seed in lab.seeds], theirs),
            (
                "MultiCSR + labelled, no mask",
                [scale.train(ours, s, False, backbone, joined=labelled) for s in lab.seeds],
                {},
            ),
            ("MultiCSR + labelled", [scale.train(ours, s, backbone=backbone, joined=labelled) for s in lab.seeds], {}),
        ):
            varied = {"backbone": backbone.base, "method": name}
            as_paper = f"{name} on {backbone.published}"
            rows.append(Row(f"{backbone.base}, {name}", tuple(models), varied, figures, as_paper=as_paper))
    return rows


T11 = TrainedExperiment(
    "t11",
    "Supervised: the generated corpus joined with a labelled one",
    _supervised,
    all_sts,
    always(
        Claim(
            "MultiCSR joined with the labelled corpus against supervised SimCSE",
            "method",
            "MultiCSR + labelled",
            "SimCSE sup.",
        ),
        Claim("The mask on the joined corpus", "method", "MultiCSR + labelled", "MultiCSR + labelled, no mask"),
    ),
    needs=needs_labelled,
)
