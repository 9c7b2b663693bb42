"""t10: demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import needs_labelled
from multicsr.paper.node import Node
from multicsr.paper.read import changed, rows_of
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

PUBLISHED_DEV = {  # Spearman x 100 on STS-B dev, by backbone and L
    "BERT-base": {3: 84.62, 5: 84.71, 0: 84.55},
    "RoBERTa-base": {3: 85.72, 5: 86.01, 0: 85.83},
}


def _shown(lab: Lab, shots: int, similarity: float) -> Node:
    """A corpus for whose premises the nearest triplets of a labelled corpus were shown; premises like its own."""
    lent = {"demonstrations": True, "shots": shots, "min_similarity": similarity} if shots else {}
    return lab.scale.gen(OMEGA, premises=lab.material.nli_premises(), **lent)


def _demonstrations(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for shots, similarity in (*scale.demonstrations, (0, 0.0)):
        curated = scale.curate(_shown(lab, shots, similarity))
        for backbone in scale.backbones:
            models = tuple(scale.train(curated, seed, backbone=backbone) for seed in lab.seeds)
            name = f"L {shots}, λ {similarity:g}" if shots else "no demonstrations"
            figures = {"stsb dev": PUBLISHED_DEV[backbone.published][shots]}
            varied = {"backbone": backbone.base, "L": shots}
            rows.append(Row(f"{backbone.base}, {name}", models, varied, figures, corpus=curated))
    return rows


def _demonstrated(lab: Lab) -> list[str]:
    """How far demonstrations reached: a premise without a near one is asked as ever."""
    without = rows_of(lab, _shown(lab, 0, 0.0))
    said = []
    for shots, similarity in lab.scale.demonstrations:
        anew, of = changed(rows_of(lab, _shown(lab, shots, similarity)), without)
        said.append(f"With L {shots} and λ {similarity:g} a hypothesis of {anew:,} of {of:,} premises is another one.")
    return said


T10 = TrainedExperiment(
    "t10",
    "Demonstrations",
    _demonstrations,
    lambda lab: lab.tasks.dev_table,
    claims=lambda lab: [Claim(f"{shots} demonstrations", "L", shots, 0) for shots, _ in lab.scale.demonstrations],
    headline="stsb dev",
    needs=needs_labelled,
    also=_demonstrated,
    remark="At the scale mini both premises and demonstrations are of SNLI's dev set.",
)
