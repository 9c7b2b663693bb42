"""t3: the ablation of the three refinements, each with and without the others, and what each is to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

RAW, CURATED, RANDOM = "raw", "curated", "random"

# How long a row is trained: for the epochs of all triplets, or of a part of them, which are fewer steps.
ALL_STEPS, FEWER_STEPS = "of all triplets", "of a part"


def _ablation(lab: Lab) -> list[Row]:
    rows = [Row(f"{name}, as it is", (name,)) for name in _references(lab)]
    for omega, name, mask in product((0.0, OMEGA), (RAW, CURATED), (False, True)):
        if omega or lab.scale.crossed or (name, mask) == (RAW, False):
            rows.append(_arm(lab, omega, name, mask))
    return [*rows, *_controls(lab)]


def _arm(lab: Lab, omega: float, name: str, mask: bool) -> Row:
    """Some of the refinements together."""
    raw = lab.scale.gen(omega)
    curated = lab.scale.curate(raw)
    corpus, steps = (curated, FEWER_STEPS) if name == CURATED else (raw, ALL_STEPS)
    models = tuple(lab.scale.train(corpus, seed, mask) for seed in lab.seeds)
    varied = {"omega": omega, "triplets": name, "mask": mask, "steps": steps}
    shown = (
        curated if omega or lab.scale.crossed else None
    )  # a corpus of which nothing is learned curated is not scored
    return Row(f"ω {omega:g}, {name}, {_shown(mask)}", models, varied, corpus=shown)


def _controls(lab: Lab) -> list[Row]:
    """A part that was drawn at random instead of chosen, and the chosen part for as many steps as all triplets take."""
    scale = lab.scale
    raw = scale.gen(OMEGA)
    curated = scale.curate(raw)
    drawn = tuple(scale.train(scale.drawn(raw, seed, like=curated), seed, False) for seed in lab.seeds)
    longer = tuple(scale.train(curated, seed, False, as_long_as=scale.train(raw, seed, False)) for seed in lab.seeds)
    varied = {"omega": OMEGA, "mask": False}
    return [
        Row(
            f"ω {OMEGA:g}, as many at random, {_shown(False)}",
            drawn,
            {**varied, "triplets": RANDOM, "steps": FEWER_STEPS},
        ),
        Row(
            f"ω {OMEGA:g}, curated, {_shown(False)}, as many steps as raw",
            longer,
            {**varied, "triplets": CURATED, "steps": ALL_STEPS},
            corpus=curated,
        ),
    ]


def _references(lab: Lab) -> Sequence[str]:
    return tuple(dict.fromkeys((lab.scale.backbone.base, lab.scale.backbone.reference)))


def _shown(mask: bool) -> str:
    return "mask" if mask else "no mask"


T3 = TrainedExperiment(
    "t3",
    "Ablation of the three refinements",
    _ablation,
    lambda lab: lab.tasks.dev_table,
    always(
        Claim(
            "Contrastive decoding (ω 0.3 against 0, all triplets of each)",
            "omega",
            OMEGA,
            0.0,
            among=lambda varied: varied["triplets"] == RAW,
        ),
        Claim("Curation against as many triplets at random", "triplets", CURATED, RANDOM),
        Claim("Curation against all triplets, for as many steps", "triplets", CURATED, RAW),
        Claim("The mask", "mask", True, False),
    ),
    headline="stsb dev",
    remark="Curation is held against two controls: as many triplets drawn at random, and all triplets for as many steps. At"
    " the scale mini each refinement stands on top of those before it, and the mask removes the 1 % of cross pairs that its"
    " model finds most similar, since σ 0.9 would remove none.",
)
