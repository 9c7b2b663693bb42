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


def _sizes_of(lab: Lab) -> list[int | None]:
    """The numbers of premises, the fewest first: none beyond the scale's own."""
    most = lab.scale.limit
    return list(
        dict.fromkeys(limit if most is None or limit is None else min(limit, most) for limit in lab.scale.sizes)
    )


def _sizes(lab: Lab) -> list[Row]:
    scale, rows = lab.scale, list[Row]()
    for limit in _sizes_of(lab):
        corpus = scale.gen(OMEGA, limit=limit)
        models = tuple(scale.train(corpus, seed, mask=False) for seed in lab.seeds)
        rows.append(Row(f"{limit:,} premises" if limit else "all premises", models, {"premises": limit}))
    return [Row(f"{scale.backbone.base}, as it is", (scale.backbone.base,)), *rows]


SIZES = TrainedExperiment(
    "sizes",
    "How few triplets are enough",
    _sizes,
    claims=lambda lab: [
        Claim(
            f"{fewer:,} premises instead of {_sizes_of(lab)[-1] or 'all'}", "premises", fewer, _sizes_of(lab)[-1], False
        )
        for fewer in _sizes_of(lab)[:-1]
        if fewer
    ],
    curve=Curve("premises", "premises", doubling=True),
    headline=None,
    remark="No table of the paper: triplets as the LLM wrote them, without curation and mask, for as many epochs each.",
)
