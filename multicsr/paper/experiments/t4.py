"""t4: premises of an NLI corpus against sentences of elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import needs_labelled, simcse
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

# What curation is to be held against: of what the LLM wrote, as many triplets as it keeps.
AT_RANDOM = "as many triplets at random"


def _resources(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for source, is_nli in ((lab.material.nli_premises(), True), (lab.material.other_premises(), False)):
        assert source is not None
        written = scale.gen(OMEGA, premises=source)
        curated = scale.curate(written)
        name = source.partition("#")[0].rsplit("/", 1)[-1]
        for method, models in {
            "SimCSE": simcse(lab, premises=source),
            AT_RANDOM: tuple(scale.train(scale.drawn(written, seed, like=curated), seed) for seed in lab.seeds),
            "MultiCSR": tuple(scale.train(curated, seed) for seed in lab.seeds),
        }.items():
            rows.append(Row(f"{method}, {name}", models, {"method": method, "NLI": is_nli}))
    return rows


T4 = TrainedExperiment(
    "t4",
    "Data resources",
    _resources,
    lambda lab: lab.tasks.dev_table,
    claims=always(
        Claim("MultiCSR against unsupervised SimCSE on the same premises", "method", "MultiCSR", "SimCSE"),
        Claim(f"MultiCSR against {AT_RANDOM}", "method", "MultiCSR", AT_RANDOM, claimed=False),
        Claim(
            "NLI premises instead of others, with MultiCSR",
            "NLI",
            True,
            False,
            among=lambda varied: varied["method"] == "MultiCSR",
        ),
    ),
    headline="stsb dev",
    needs=needs_labelled,
    remark="The paper compares NLI premises with sentences of Wikipedia; at the scale mini SNLI's with the bundled ones."
    " SimCSE: the premises alone.",
)
