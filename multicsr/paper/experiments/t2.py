"""t2: MultiCSR on the STS tasks, beside its baselines."""

from __future__ import annotations

from multicsr.paper.experiments.baselines import FIELD_CLAIMS, all_sts, field, recipes
from multicsr.paper.trained.experiment import TrainedExperiment

T2 = TrainedExperiment("t2", "STS tasks", lambda lab: field(lab, "sts"), all_sts, FIELD_CLAIMS, also=recipes)
