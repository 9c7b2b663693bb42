"""The models that several experiments have in their rows, and the figures published for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.node import Node
from multicsr.paper.scales import OMEGA, Backbone
from multicsr.paper.trained.experiment import always
from multicsr.paper.trained.rows import Row
from stages.public import published

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

STS = published.tasks("sts")
TRANSFER = published.tasks("transfer")


def known(group: str, backbone: str, method: str) -> dict[str, float]:
    """The published figures of a method; none where none are known."""
    rows = published.table(group)
    return next((row.figures for row in rows if (row.backbone, row.method) == (backbone, method)), {})


def multicsr(lab: Lab, curated: bool = True, **settings: Any) -> tuple[Node, ...]:
    """MultiCSR's trainings, one a seed."""
    scale = lab.scale
    corpus = scale.gen(OMEGA)
    parent = scale.curate(corpus) if curated else corpus
    return tuple(scale.train(parent, seed, **settings) for seed in lab.seeds)


def simcse(lab: Lab, backbone: Backbone | None = None, corpus: Node | None = None) -> tuple[Node, ...]:
    """Unsupervised SimCSE on the premises of a corpus alone."""
    scale = lab.scale
    parent = corpus or scale.gen(0.0)
    return tuple(scale.train(parent, seed, backbone=backbone, objective="simcse-unsup") for seed in lab.seeds)


def syncse(lab: Lab, backbone: Backbone | None = None) -> tuple[Node, ...]:
    """SynCSE: what the LLM wrote without contrast, uncurated and unmasked."""
    return tuple(lab.scale.train(lab.scale.gen(0.0), seed, mask=False, backbone=backbone) for seed in lab.seeds)


def field(lab: Lab, group: str) -> list[Row]:
    rows: list[Row] = []
    for backbone in lab.scale.backbones:
        for name, method, models, how in (
            ("as it is", "first-last avg", (backbone.base,), {"pooler": "first_last_mean"}),
            ("whitening", "whitening", (backbone.base,), {"pooler": "first_last_mean", "whiten": lab.scale.premises}),
            ("SimCSE unsup.", "SimCSE unsup.", simcse(lab, backbone), {}),
            ("SynCSE, our LLM", "", syncse(lab, backbone), {}),
            ("MultiCSR", "MultiCSR", multicsr(lab, backbone=backbone), {}),
        ):
            if group == "transfer" and name == "whitening":
                continue
            figures = known(group, backbone.published, method)
            varied = {"backbone": backbone.base, "method": name} if len(models) == len(lab.seeds) and not how else {}
            as_paper = f"{method} on {backbone.published}"
            rows.append(Row(f"{backbone.base}, {name}", models, varied, figures, evaluated=how, as_paper=as_paper))
    return rows


def all_sts(lab: Lab) -> tuple[str, ...]:
    bundled = tuple(task for task in lab.tasks.usual if task not in STS)
    return (*bundled, *STS)


FIELD_CLAIMS = always(
    Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE unsup."),
    Claim("MultiCSR against SynCSE with the same LLM", "method", "MultiCSR", "SynCSE, our LLM"),
)


def needs_labelled(lab: Lab) -> str | None:
    """What an experiment on a labelled corpus lacks."""
    return None if lab.labelled() else lab.material.lacks("snli/s2.dev", "labelled NLI pairs")
