"""How few triplets are enough: no table of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


ALL = "all"
ALIKE, FEWER = "for as many steps", "for as many epochs"


def _sizes_of(lab: Lab) -> list[int]:
    """The numbers of triplets below the scale's own, the fewest first."""
    most = lab.scale.limit
    return [size for size in lab.scale.sizes if most is None or size < most]


def _sizes(lab: Lab) -> list[Row]:
    """All triplets, and some drawn at random by the seed of the training, for as many epochs and for as many steps."""
    scale, rows = lab.scale, list[Row]()
    corpus = scale.gen(OMEGA)
    every = tuple(scale.train(corpus, seed, False) for seed in lab.seeds)
    for size in _sizes_of(lab):
        drawn = [scale.drawn(corpus, seed, triplets=size) for seed in lab.seeds]
        few = tuple(scale.train(some, seed, False) for some, seed in zip(drawn, lab.seeds, strict=True))
        long = tuple(
            scale.train(some, seed, False, as_long_as=whole)
            for some, seed, whole in zip(drawn, lab.seeds, every, strict=True)
        )
        rows += [
            Row(f"{size:,} triplets, {how}", models, {"triplets": size, "trained": how})
            for how, models in ((FEWER, few), (ALIKE, long))
        ]
    rows.append(Row("all triplets", every, {"triplets": ALL, "trained": ALIKE}))
    return [Row(f"{scale.backbone.base}, as it is", (scale.backbone.base,)), *rows]


SIZES = TrainedExperiment(
    "sizes",
    "How few triplets are enough",
    _sizes,
    lambda lab: lab.tasks.dev_table,
    claims=lambda lab: [
        Claim(f"{size:,} triplets instead of all, for as many steps", "triplets", size, ALL, False)
        for size in _sizes_of(lab)
    ],
    curve=Curve("triplets", "triplets", doubling=True),
    headline=None,
    remark="No table of the paper: triplets as the LLM wrote them, without curation and mask.",
)
