"""The experiments by name, and several of them made. Arrow: names -> experiments -> outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.paper import outcome as outcomes
from multicsr.paper.claims import family
from multicsr.paper.estimate import Estimate, estimate
from multicsr.paper.experiments.f1 import F1
from multicsr.paper.experiments.f4 import F4
from multicsr.paper.experiments.f5 import F5
from multicsr.paper.experiments.f6 import F6
from multicsr.paper.experiments.f7 import F7
from multicsr.paper.experiments.methods import METHODS
from multicsr.paper.experiments.sizes import SIZES
from multicsr.paper.experiments.t1 import T1
from multicsr.paper.experiments.t2 import T2
from multicsr.paper.experiments.t3 import T3
from multicsr.paper.experiments.t4 import T4
from multicsr.paper.experiments.t5 import T5
from multicsr.paper.experiments.t6 import T6
from multicsr.paper.experiments.t7 import T7
from multicsr.paper.experiments.t8 import T8
from multicsr.paper.experiments.t9 import T9
from multicsr.paper.experiments.t10 import T10
from multicsr.paper.experiments.t11 import T11
from multicsr.paper.experiments.t12 import T12
from multicsr.paper.experiments.t13 import T13
from multicsr.paper.node import Node, in_order
from multicsr.paper.scales import SCALES
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.outcome import Experiment, ExperimentOutcome
    from multicsr.paper.scales import Scale

# In the paper's order, and then what the paper has not.
LISTED: Sequence[Experiment] = (
    *(T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13),
    *(F1, F4, F5, F6, F7),
    *(SIZES, METHODS),
)
EXPERIMENTS = {experiment.name: experiment for experiment in LISTED}

# Not among all: no table of the paper, and longer than any of them.
BESIDE = ("methods",)

Heard = Callable[["Experiment", "ExperimentOutcome"], None]


def named(listed: str) -> list[Experiment]:
    """The experiments of a list joined by commas, or `all`. Raises Problem for a name that none has."""
    if listed == "all":
        return [experiment for name, experiment in EXPERIMENTS.items() if name not in BESIDE]
    names = [name.strip() for name in listed.split(",")]
    for name in names:
        if name not in EXPERIMENTS:
            known = ", ".join(EXPERIMENTS)
            raise Problem(f"unknown experiment {name!r}", f"there are {known}, and all (of them but methods)")
    return [EXPERIMENTS[name] for name in dict.fromkeys(names)]


def scale_named(name: str) -> Scale:
    """The scale called so. Raises Problem for none."""
    if name not in SCALES:
        raise Problem(f"scale {name!r} is not known", f"give {' or '.join(SCALES)}", "scale")
    return SCALES[name]


def run(
    lab: Lab, chosen: Sequence[Experiment], heard: Heard = lambda experiment, outcome: None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Run each experiment and write its files; returns their documents, and those that lack something, with the reason.

    `heard` is told of each as it ends; what is claimed is decided when all have, and then the files are written. An
    experiment asked for alone is refused where something is missing; of several the others go on.
    """
    missing = lacking(lab, chosen)
    ready = [experiment for experiment in chosen if experiment.name not in missing]
    lab.total = len(in_order(node for experiment in ready for node in experiment.nodes(lab)))
    ended: dict[str, ExperimentOutcome] = {}
    for experiment in ready:
        ended[experiment.name] = experiment.outcome(lab)
        heard(experiment, ended[experiment.name])
    among = family(said for outcome in ended.values() for said in outcome.said)
    documents: list[dict[str, Any]] = []
    for experiment in ready:
        outcome = ended[experiment.name]
        runs = [lab.made[node] for node in experiment.nodes(lab) if node in lab.made]
        report = outcomes.write(experiment, outcome, among, lab, runs)
        documents.append({**outcomes.document(outcome, among), "report": str(report)})
    return documents, missing


def lacking(lab: Lab, chosen: Sequence[Experiment]) -> dict[str, str]:
    """The experiments that lack something, with the reason. Raises Problem for one that was asked for alone."""
    missing = reasons(lab, chosen)
    if len(chosen) == 1 and missing:
        (alone,) = chosen
        raise Problem(f"{alone.name} ({alone.title}): {missing[alone.name]}", "give it, or run another")
    return missing


def reasons(lab: Lab, chosen: Sequence[Experiment]) -> dict[str, str]:
    """The experiments that lack something, with the reason."""
    return {experiment.name: why for experiment in chosen if (why := experiment.missing(lab))}


def wanted(lab: Lab, chosen: Sequence[Experiment]) -> list[Node]:
    """The runs of the experiments that lack nothing, in the order in which they are made."""
    return in_order(node for experiment in chosen if not experiment.missing(lab) for node in experiment.nodes(lab))


def left(lab: Lab, chosen: Sequence[Experiment]) -> Estimate:
    """What the runs that are still to be made would take."""
    return estimate([node for node in wanted(lab, chosen) if lab.find(node) is None])


def refuse_without_means(scale: Scale, data: Path | None) -> None:
    """The paper's scale needs a GPU, the hub, and STS-B: everything that is missing is named at once. Raises Problem."""
    from stages.models import catalog
    from stages.models.device import device

    missing = []
    try:
        device("cuda")
    except Problem:
        missing.append("a CUDA device")
    if data is None:
        missing.append(f"data=DIR with {scale.dev} (DATA=DIR for make)")
    if not missing:  # the models are tens of gigabytes: only asked for once the rest is there
        encoders = {name for backbone in scale.backbones for name in (backbone.base, backbone.mask_model)}
        kinds: list[tuple[str, catalog.Kind]] = [*((name, "encoder") for name in sorted(encoders)), (scale.llm, "llm")]
        for name, kind in kinds:
            try:
                catalog.locate(name, kind)
            except Problem as problem:
                missing.append(problem.what)
    if missing:
        raise Problem(
            f"scale paper lacks {' and '.join(missing)}", "run it where these are, or use scale=mini", "scale"
        )
