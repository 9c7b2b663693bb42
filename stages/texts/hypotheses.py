"""What an LLM is asked for the two hypotheses of a premise. Arrow: premise -> prompts.

For each premise one entailment and one contradiction instruction are drawn; each is the other's noise (MultiCSR, eq. 1-2; the
loop is `stages/models/llm/decoding.py`). With nu, which is not in the paper, what the same instruction brings forth without
any premise is noise too. Where a labelled corpus lends demonstrations (appendix G; `stages/texts/demonstrations.py`), they
stand before the instruction, each with its hypothesis of the role that is written: in the noise, that is the opposite one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.config import GenConfig
from stages.models.llm.request import Line, Noise, Prompt, Writer
from stages.texts.prompts import NO_PREMISE, PromptSet, with_demonstrations
from store.records import ROLES, Premise, Role, Triplet

# The triplets that are shown with a premise, by its text, the nearest last.
Shown = Mapping[str, Sequence[Triplet]]
NOTHING: Shown = {}


@dataclass(frozen=True)
class Asked:
    """One hypothesis to be written: its role, the template with the premise's place open, and its line of decoding.

    `masked` is what stands in the premise's place, where that is not the premise itself.
    """

    role: str
    template: str
    line: Line
    masked: str | None = None


def ask(
    part: Sequence[Premise], config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown = NOTHING
) -> tuple[list[Asked], list[Prompt]]:
    """Each hypothesis to be written, for each premise in the order of ROLES, and the prompts that their lines point to."""
    places: dict[Prompt, int] = {}  # each prompt once: without a premise it is the same for many

    def place(template: str, premise: str) -> int:
        return places.setdefault(fill(template, premise), len(places))

    asked = []
    omegas = dict(zip(ROLES, (config.omega, config.omega_contradiction), strict=True))
    for premise in part:
        drawn = {role: _draw(role, premise, config.seed, prompts, writer, shown) for role in ROLES}
        for role, opposite in zip(ROLES, reversed(ROLES), strict=True):
            noises = [Noise(place(drawn[opposite], premise.text), omegas[role])] if omegas[role] else []
            noises += [Noise(place(drawn[role], NO_PREMISE), config.nu)] if config.nu else []
            line = Line(place(drawn[role], premise.text), tuple(noises), f"{role}/{premise.text}")
            asked.append(Asked(role, drawn[role], line))
    return asked, list(places)


def _draw(role: Role, premise: Premise, seed: int, prompts: PromptSet, writer: Writer, shown: Shown) -> str:
    """The template of a role for a premise, with its demonstrations; `{premise}` is still open."""
    template = prompts.template(role).draw(seed, role, premise.text)
    near = [(other.premise, getattr(other, role)) for other in shown.get(premise.text, ())]
    template = with_demonstrations(template, near)
    return writer.wrap(template) if prompts.chat else template


def fill(template: str, premise: str) -> Prompt:
    """The prompt for one premise; what stands before the premise is the same for many."""
    return Prompt(template.replace("{premise}", premise), shared=template.index("{premise}"))
