"""t9: MultiCSR on the transfer tasks, beside its baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.experiments.baselines import FIELD_CLAIMS, TRANSFER, field, recipes
from multicsr.paper.trained.experiment import TrainedExperiment

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _needs_transfer(lab: Lab) -> str | None:
    if lab.tasks.among(TRANSFER):
        return None
    return "no transfer task is at hand; data=DIR with TREC of SentEval would do"


T9 = TrainedExperiment(
    "t9",
    "Transfer tasks",
    lambda lab: field(lab, "transfer"),
    lambda lab: TRANSFER,
    FIELD_CLAIMS,
    needs=_needs_transfer,
    also=recipes,
    remark="At the scale mini TREC and MRPC are measured: the probes of the others take more than an hour on two cores.",
)
