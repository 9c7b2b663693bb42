"""t4: premises of an NLI corpus against sentences of elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import simcse
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

# Premises of an NLI corpus in the data folder.
NLI_FILE = "snli/s1.dev"


def _resources(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for source, is_nli in ((lab.material.nli_premises(), True), (lab.material.other_premises(), False)):
        assert source is not None
        corpus = scale.curate(scale.gen(OMEGA, premises=source))
        ours = tuple(scale.train(corpus, seed) for seed in lab.seeds)
        name = source.rsplit("/", 1)[-1]
        for method, models in (("SimCSE", simcse(lab, premises=source)), ("MultiCSR", ours)):
            rows.append(Row(f"{method}, {name}", models, {"method": method, "NLI": is_nli}))
    return rows


T4 = TrainedExperiment(
    "t4",
    "Data resources",
    _resources,
    claims=always(
        Claim("MultiCSR against unsupervised SimCSE on the same premises", "method", "MultiCSR", "SimCSE"),
        Claim(
            "NLI premises instead of others, with MultiCSR,",
            "NLI",
            True,
            False,
            among=lambda varied: varied["method"] == "MultiCSR",
        ),
    ),
    headline="stsb dev",
    needs=lambda lab: (
        None if lab.material.nli_premises() else lab.material.lacks(NLI_FILE, "premises of an NLI corpus")
    ),
    remark="The paper compares NLI premises with sentences of Wikipedia; at the scale mini SNLI's with the bundled ones.",
)
