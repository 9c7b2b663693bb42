"""t5: a language with little data."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from multicsr.paper.claims import Claim, NoVerdict, Said
from multicsr.paper.experiments.baselines import simcse
from multicsr.paper.lab import languages
from multicsr.paper.scales import Backbone
from multicsr.paper.trained.experiment import TrainedExperiment
from multicsr.paper.trained.rows import Row
from multicsr.report.measured import is_headline
from stages.config.train import NO_MASK

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.lab.languages import Learned
    from multicsr.paper.node import Node

# What curation is to be held against: of what the LLM wrote, as many triplets as it keeps.
AT_RANDOM = "as many of them at random"

# Untrained, the tokens' mean: a [CLS] that was never trained for similarity finds next to nothing in another language.
UNTRAINED = {"pooler": "mean"}


def _learned(lab: Lab) -> Learned:
    learned = lab.material.learned
    assert learned is not None  # `_needs_translations` comes before
    return learned


def _corpora(lab: Lab) -> tuple[Node, Node]:
    """What the LLM wrote, without contrast as the LLM of the paper's table hands out no logits; and what it kept of that."""
    scale, learned = lab.scale, _learned(lab)
    written = scale.gen(
        0.0, premises=str(learned.sentences), llm=scale.multilingual.llm, prompts=learned.language.prompts
    )
    return written, scale.curate(written)


def _languages(lab: Lab) -> list[Row]:
    """Nothing is masked: a mask model would have to know the language already. So the LLM's two rows differ, as the paper's
    do, in curation alone."""
    scale, several = lab.scale, lab.scale.multilingual
    backbone = Backbone(several.base, NO_MASK, NO_MASK, "", several.base, several.simcse)
    written, curated = _corpora(lab)

    def trained(corpora: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(
            scale.train(corpus, seed, mask=False, backbone=backbone, eval_every=None)
            for corpus, seed in zip(corpora, lab.seeds, strict=False)
        )

    methods = {
        "SimCSE": simcse(lab, backbone, str(_learned(lab).sentences)),
        "LLM": trained(repeat(written)),
        AT_RANDOM: trained(scale.drawn(written, seed, like=curated) for seed in lab.seeds),
        "MultiCSR": trained(repeat(curated)),
    }
    rows = [
        Row(several.llm if name == "LLM" else name, models, {"method": name}, corpus=curated)
        for name, models in methods.items()
    ]
    return [Row(f"{several.base}, as it is", (several.base,), evaluated=UNTRAINED), *rows]


def _needs_translations(lab: Lab) -> str | None:
    if lab.material.learned is not None:
        return None
    return lab.material.lacks(*languages.lacked(lab.scale.multilingual))


def _told(lab: Lab) -> list[Said]:
    """What was learned from and tested; and where the base cannot read the language, that nothing follows."""
    learned, task = _learned(lab), lab.tasks[lab.tasks.translations]
    premises = lab.make(_corpora(lab)[0]).counts["premises"]
    test = "the other half of the translations" if learned.halved else f"all of {learned.language.translations}"
    language, base = learned.language.name, lab.scale.multilingual.base
    found = _found(lab)
    return [
        f"{language}: {premises:,} sentences are learned from, and {test} is the test, {len(task.first):,} pairs; no"
        " sentence is both.",
        f"{base} as it is finds {found.base:.2f} % of the translations, shared spelling without any model"
        f" {found.spelling:.2f} %: the base {'reads' if found.reads else 'cannot read'} {language}.",
        *(
            []
            if found.reads
            else [NoVerdict(claim.what, f"no verdict: {base} cannot read {language}") for claim in CLAIMS]
        ),
    ]


class Found(NamedTuple):
    """The share of translations that is found without any training, %: by the base, and by shared spelling alone."""

    base: float
    spelling: float

    @property
    def reads(self) -> bool:
        """Whether the base knows more of the language than the names, numbers and loanwords in it."""
        return self.base > self.spelling


def _found(lab: Lab) -> Found:
    from stages.tasks.bitext import by_spelling
    from store.rows import training

    name = lab.tasks.translations
    (measured,) = lab.evals(lab.scale.multilingual.base, (name,), **UNTRAINED)
    rows = training.metrics(lab.store, lab.make(measured))
    (base,) = (row.value for row in rows if is_headline(row))
    return Found(base, 100 * float(lab.tasks[name].items(by_spelling).mean()))


CLAIMS = (
    Claim("The LLM's triplets against unsupervised SimCSE", "method", "LLM", "SimCSE"),
    Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE"),
    Claim("MultiCSR's curation of the LLM's triplets", "method", "MultiCSR", "LLM"),
    Claim(f"MultiCSR's curation against {AT_RANDOM}", "method", "MultiCSR", AT_RANDOM, claimed=False),
)


T5 = TrainedExperiment(
    "t5",
    "A language with little data: nearest neighbours among translations",
    _languages,
    lambda lab: (lab.tasks.translations,),
    claims=lambda lab: CLAIMS if _found(lab).reads else (),
    headline="accuracy",
    needs=_needs_translations,
    also=_told,
    remark="The base as it is: the mean of its tokens.",
)
