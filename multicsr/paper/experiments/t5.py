"""t5: a language with little data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Claim
from multicsr.paper.experiments.baselines import simcse
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _languages(lab: Lab) -> list[Row]:
    scale, sentences = lab.scale, str(lab.material.language.sentences)
    prompts = "swahili" if scale.name == "mini" else scale.prompts
    # Without contrast: the LLM of the paper's table hands out no logits.
    corpus = scale.gen(0.0, premises=sentences, prompts=prompts)
    curated = scale.curate(corpus)
    methods = {
        "SimCSE": simcse(lab, corpus=corpus),
        "LLM": tuple(scale.train(corpus, seed) for seed in lab.seeds),
        "MultiCSR": tuple(scale.train(curated, seed) for seed in lab.seeds),
    }
    rows = [
        Row(scale.llm if name == "LLM" else name, models, {"method": name}, corpus=curated)
        for name, models in methods.items()
    ]
    return [Row(f"{scale.backbone.base}, as it is", (scale.backbone.base,)), *rows]


def _needs_translations(lab: Lab) -> str | None:
    if lab.material.translations():
        return None
    return lab.material.lacks("tatoeba", "two aligned files of translations")


T5 = TrainedExperiment(
    "t5",
    "A language with little data: nearest neighbours among translations",
    _languages,
    lambda lab: (lab.tasks.translations,),
    claims=always(
        Claim("The LLM's triplets against unsupervised SimCSE", "method", "LLM", "SimCSE"),
        Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE"),
        Claim("MultiCSR's curation of the LLM's triplets", "method", "MultiCSR", "LLM"),
    ),
    headline="accuracy",
    needs=_needs_translations,
    remark="Swahili stands for the paper's Tagalog; the sentences learned from are not among those tested.",
)
