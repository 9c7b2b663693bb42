"""t11: the corpus generated from the premises of a labelled one, joined with it (appendix G)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import LABELLED, all_sts, from_papers, known, needs_labelled
from multicsr.paper.scales import OMEGA, OWN_RECIPE
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.node import Node

SIMCSE, LONGER, UNMASKED, OURS = "SimCSE sup.", "N alone, as many steps", "T with N, no mask", "T with N"


def corpora(lab: Lab) -> tuple[Node, Node]:
    """T, which the LLM wrote for the premises of the labelled corpus N; and N. Every premise of T stands in N again."""
    labelled = lab.labelled()
    assert labelled is not None
    return lab.scale.curate(lab.scale.gen(OMEGA, premises=lab.material.nli_premises())), labelled


def _supervised(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    written, labelled = corpora(lab)
    for backbone in scale.backbones:
        unmasked = [scale.train(written, seed, False, backbone, joined=labelled) for seed in lab.seeds]
        models = {
            SIMCSE: [scale.train(labelled, s, False, backbone, objective="simcse", **OWN_RECIPE) for s in lab.seeds],
            LONGER: [scale.train(labelled, one["seed"], False, backbone, as_long_as=one) for one in unmasked],
            UNMASKED: unmasked,
            OURS: [scale.train(written, s, True, backbone, supervised=True, joined=labelled) for s in lab.seeds],
        }
        for name, trained in models.items():
            figures = known("sts", backbone.published, name)
            varied = {"backbone": backbone.base, "method": name}
            as_paper = f"{name} on {backbone.published}"
            rows.append(Row(f"{backbone.base}, {name}", tuple(trained), varied, figures, as_paper=as_paper))
        rows += from_papers("sts", backbone, set(LABELLED) - set(models))
    return rows


T11 = TrainedExperiment(
    "t11",
    "Supervised: the generated corpus joined with the labelled one of its premises",
    _supervised,
    all_sts,
    always(
        Claim("T joined with N against supervised SimCSE on N", "method", OURS, SIMCSE),
        Claim("T joined with N against N for as many steps", "method", OURS, LONGER),
        Claim("The mask on the joined corpus", "method", OURS, UNMASKED),
    ),
    needs=needs_labelled,
    remark="N: labelled NLI triplets, at the scale mini of SNLI's dev set. T: what the LLM wrote for the premises of N,"
    " curated. T with N: both joined.",
)
