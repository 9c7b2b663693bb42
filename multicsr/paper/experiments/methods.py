"""Every method on the same premises: no table of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.node import node
from multicsr.paper.scales import OMEGA
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row
from store.records import REWRITES, ROLES

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

# The same premises, the same triplets, the same steps.
LEARNED_ALIKE: dict[str, dict[str, Any]] = {
    "MultiCSR's loss": {},
    "MultiCSR's loss, mask trained first": {"mask_model": "self"},
    "the released code's loss": {"objective": "multicsr-released"},
    "SimCSE (SynCSE)": {"objective": "simcse"},
    "SimCSE unsup., premises alone": {"objective": "simcse-unsup"},
    "CLHAIF, positive": {"objective": "clhaif", "clhaif": "positive"},
    "CLHAIF, all": {"objective": "clhaif", "clhaif": "all"},
    "MultiCSR's loss, PromptBERT": {"pooler": "prompt"},
    "MultiCSR's loss, RankCSE listNet": {"rank": "listnet"},
    "MultiCSR's loss, RankCSE listMLE": {"rank": "listmle"},
    "MultiCSR's loss, then whitening": {"whiten": True},
}

AT_RANDOM = "SimCSE (SynCSE), as many"


def _methods(lab: Lab) -> list[Row]:
    scale, base = lab.scale, lab.scale.backbone.base
    corpus = scale.gen(OMEGA)
    # Scored, and none dropped: what learns from scores has the same triplets.
    everything = scale.curate(corpus, (0.0, 5.0, -5.0))
    whitened = {"whiten": scale.premises}
    rows = [Row(f"{base}, as it is", (base,)), Row("whitening by the premises", (base,), evaluated=whitened)]
    for name, told in LEARNED_ALIKE.items():
        models = tuple(scale.train(everything, seed, **told) for seed in lab.seeds)
        rows.append(Row(name, models, {"method": name}))
    models = tuple(scale.train(scale.curate(corpus), seed) for seed in lab.seeds)
    rows.append(Row("MultiCSR: curated, masked", models, {"method": "MultiCSR"}))
    drawn = [scale.drawn(corpus, seed, like=scale.curate(corpus)) for seed in lab.seeds]
    models = tuple(scale.train(some, s, objective="simcse") for some, s in zip(drawn, lab.seeds, strict=True))
    rows.append(Row(f"{AT_RANDOM} triplets at random", models, {"method": AT_RANDOM}))
    # As many sentences by the LLM as the others have: nine a premise instead of two.
    rewrites = scale.rewrites(scale.limit and scale.limit * len(ROLES) // len(REWRITES))
    pairs = node("curate", scale.score(rewrites), strategy="claif")
    models = tuple(scale.train(pairs, seed, objective="claif") for seed in lab.seeds)
    return [*rows, Row("CLAIF, its own pairs", models, {"method": "CLAIF"})]


METHODS = TrainedExperiment(
    "methods",
    "Every method on the same premises",
    _methods,
    lambda lab: tuple(name for name in ("mini", "stsb dev") if lab.tasks.has(name)),
    always(
        Claim("MultiCSR against SimCSE on as many triplets at random", "method", "MultiCSR", AT_RANDOM, False),
        *(
            Claim(f"{name} against SimCSE (SynCSE) on the same triplets", "method", name, "SimCSE (SynCSE)", False)
            for name in (*LEARNED_ALIKE, "MultiCSR")
            if name != "SimCSE (SynCSE)"
        ),
    ),
    headline=None,
    remark="MultiCSR learns from a selection of the triplets; CLAIF from pairs of its own, of as many sentences by the LLM."
    " RankCSE's teacher is the mask model."
    " Seconds are the clock's, from the row of a run to its end: other work on the machine is in them.",
    timed=True,
)
