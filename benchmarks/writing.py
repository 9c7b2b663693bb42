"""What the claims about `gen` on a processor share: the premises, our side, the reference's side, and their comparison.

Our side is the stage's pure middle, `gen.write`, with so many premises side by side; the reference is one of
`benchmarks/generation.py`, all entailments and then all contradictions, in batches of as many premises. Both get the
premises sorted by length, so that neither pads more than it must.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import harness
from benchmarks.harness import Race, Settings
from stages import gen
from stages.config import GenConfig
from stages.files import sources
from stages.models.llm.model import LanguageModel
from stages.tasks import files
from stages.texts import hypotheses
from stages.texts.prompts import PromptSet, Template
from store.records import ROLES, Premise

OMEGA = 0.3
TOKENS = 48  # room for a hypothesis, as `gen` gives it


def premises(settings: Settings, count: int) -> list[Premise]:
    """The first `count` distinct captions of SNLI dev under `--data`, or bundled premises; the longest first.

    Raises ValueError if there are not enough.
    """
    if settings.data:
        texts = [line.strip() for line in files.lines(settings.data / "snli" / "s1.dev")]
    else:
        texts = [text for _, text in sources.bundled().texts()]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < count:
        raise ValueError(f"{count} premises are asked for, the data has {len(distinct)}")
    return sorted((Premise(*row) for row in enumerate(distinct[:count])), key=lambda premise: -len(premise.text))


def with_shots(prompts: PromptSet, shots: int) -> PromptSet:
    """The set with only the first `shots` examples a role, where a text goes on to the end of its line.

    The parts of a template are set apart by blank lines: the instruction, the examples, and what is asked.
    """

    def cut(template: Template) -> Template:
        instruction, *examples, asked = template.template.split("\n\n")
        return replace(template, template="\n\n".join([instruction, *examples[:shots], asked]))

    entailment, contradiction = cut(prompts.entailment), cut(prompts.contradiction)
    return replace(prompts, entailment=entailment, contradiction=contradiction, one_sentence=False)


@dataclass(frozen=True)
class Work:
    """Both hypotheses of `part`, by our side and by the reference. `ends`: tokens that end a text for the reference."""

    part: Sequence[Premise]
    prompts: PromptSet
    batch: int
    write: Callable[..., list[str]]
    ends: Collection[int]

    def race(self, llm: LanguageModel, plain: Any, rounds: int) -> tuple[Race, list[str], list[str]]:
        """Our model against the same weights as the library's model."""
        return harness.race(lambda: self.ours(llm), lambda: self.reference(plain, llm.tokenizer), rounds)

    def ours(self, llm: LanguageModel) -> list[str]:
        """The texts, all entailments and then all contradictions."""
        found: dict[tuple[str, int], str] = {}
        for written in gen.write(self.part, self.batch, self._config(), self.prompts, llm):
            for place, rows in written:
                found |= {(row.role, place): row.text if row.raw is None else row.raw.strip() for row in rows}
        return [found[role, place].partition("\n")[0] for role in ROLES for place in range(len(self.part))]

    def reference(self, model: Any, tokenizer: Any) -> list[str]:
        """The same by the reference."""
        entailment, contradiction = (self.asked(role) for role in ROLES)
        return [
            text.strip()
            for own, noise in ((entailment, contradiction), (contradiction, entailment))
            for text in self.write(
                model,
                tokenizer,
                own,
                noise,
                omega=OMEGA,
                batch=self.batch,
                max_new_tokens=TOKENS,
                ends=self.ends,
            )
        ]

    def asked(self, role: Any) -> list[str]:
        """The prompts of a role."""
        template = self.prompts.template(role)
        return [hypotheses.fill(template.draw(0, role, premise.text), premise.text).text for premise in self.part]

    def _config(self) -> GenConfig:
        return GenConfig(
            premises="benchmark",
            llm="benchmark",
            llm_fingerprint="0" * 12,
            prompts=self.prompts.name,
            prompts_digest=self.prompts.digest,
            omega=OMEGA,
            omega_contradiction=OMEGA,
            limit=None,
            seed=0,
            max_tokens=TOKENS,
            sample=False,
            temperature=None,
            top_p=None,
            dtype="float32",
        )


def equal(ours: Sequence[str], theirs: Sequence[str], least: float) -> int:
    """How many texts are the same. Raises ValueError where fewer than the share `least` of them are."""
    same = sum(mine == other for mine, other in zip(ours, theirs, strict=True))
    if same < least * len(ours):
        different = next((pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]), None)
        raise ValueError(f"only {same} of {len(ours)} texts are equal, not {different}")
    return same
