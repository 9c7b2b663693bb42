"""The models that several experiments have in their rows, and the figures published for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim
from multicsr.paper.node import Node, node
from multicsr.paper.scales import OMEGA, Backbone
from multicsr.paper.trained.experiment import always
from multicsr.paper.trained.rows import Row
from stages.public import published

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

STS = published.tasks("sts")
TRANSFER = published.tasks("transfer")

# How a base is pooled that was not trained. BERT's published 56.70, and whitening's 66.28, average the static embeddings with
# the last layer; the first block's output in their place gives 60.73.
STATIC, FIRST_BLOCK = {"pooler": "embeddings_last_mean"}, {"pooler": "first_last_mean"}

# Published methods that learn from people's labels: on STS they stand in t11.
LABELLED = ("SimCSE sup.", "CLHAIF-SimCSE")


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


def simcse(lab: Lab, backbone: Backbone | None = None, premises: str | None = None) -> tuple[Node, ...]:
    """Unsupervised SimCSE on `premises` alone, or on the sentences that its figures are published for; by its published
    recipe where the scale has one. No LLM is needed for that."""
    scale, chosen = lab.scale, backbone or lab.scale.backbone
    sentences = premises or scale.simcse_sentences or scale.premises
    corpus = node("sentences", premises=sentences, limit=scale.limit)
    recipe = chosen.simcse._asdict() if chosen.simcse else {}
    return tuple(scale.train(corpus, seed, backbone=chosen, objective="simcse-unsup", **recipe) for seed in lab.seeds)


def syncse(lab: Lab, backbone: Backbone | None = None) -> tuple[Node, ...]:
    """SynCSE: what the LLM wrote without contrast, uncurated and unmasked."""
    return tuple(lab.scale.train(lab.scale.gen(0.0), seed, mask=False, backbone=backbone) for seed in lab.seeds)


def field(lab: Lab, group: str) -> list[Row]:
    """Every method of the field on every backbone: those that are made here, then those that only papers tell of."""
    rows: list[Row] = []
    for backbone in lab.scale.backbones:
        made = _methods(lab, group, backbone)
        rows += [_row(group, backbone, name, *method) for name, method in made.items()]
        others = {row.method for row in published.table(group)} - {method for method, _, _ in made.values()}
        rows += from_papers(group, backbone, others - ({*LABELLED} if group == "sts" else set()))
    return rows


def _row(
    group: str,
    backbone: Backbone,
    name: str,
    method: str,
    models: tuple[Node | str, ...],
    how: Mapping[str, Any],
) -> Row:
    varied = {} if how else {"backbone": backbone.base, "method": name}
    figures = known(group, backbone.published, method)
    as_paper = f"{method} on {backbone.published}"
    return Row(f"{backbone.base}, {name}", models, varied, figures, evaluated=how, as_paper=as_paper)


# What a row is published as, its models, and how they are measured where not by their own pooler.
Method = tuple[str, tuple[Node | str, ...], dict[str, Any]]


def _methods(lab: Lab, group: str, backbone: Backbone) -> dict[str, Method]:
    """The rows that are made here, by their names. What is known of a base alone is known on the STS tasks."""
    base = (backbone.base,)
    untrained: dict[str, Method] = {"as it is": ("first-last avg", base, STATIC)}
    if group == "sts":
        untrained |= {
            "as it is, first block + last": ("first block + last avg", base, FIRST_BLOCK),
            "whitening": ("whitening", base, {**STATIC, "whiten": lab.scale.premises}),
        }
    return {
        **untrained,
        "SimCSE unsup.": ("SimCSE unsup.", simcse(lab, backbone), {}),
        "SynCSE, our LLM": ("", syncse(lab, backbone), {}),
        "MultiCSR": ("MultiCSR", multicsr(lab, backbone=backbone), {}),
    }


def from_papers(group: str, backbone: Backbone, methods: Collection[str]) -> list[Row]:
    """Rows of published methods that are not made here: their figures, and dashes for ours."""
    return [
        Row(f"{backbone.base}, {row.method}", (), {}, row.figures, as_paper=f"{row.method} on {row.backbone}")
        for row in published.table(group)
        if row.backbone == backbone.published and row.method in methods
    ]


def recipes(lab: Lab) -> list[str]:
    """How unsupervised SimCSE was trained: it must be known to read its figures."""
    scale, said = lab.scale, list[str]()
    for backbone in scale.backbones:
        (first, *_) = simcse(lab, backbone)
        assert first.parent is not None
        sentences = str(first.parent["premises"]).rsplit("/", 1)[-1]
        whose = "its published recipe" if backbone.simcse else "the recipe of the other rows"
        said.append(
            f"Unsupervised SimCSE on {backbone.base} is trained by {whose}: batch {first['train_batch']}, learning rate"
            f" {first['lr']:g}, epochs {first['epochs']}, on {sentences}."
        )
    return said


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
