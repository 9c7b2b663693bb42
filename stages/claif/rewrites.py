"""CLAIF's rewrites of a premise, in place of the two hypotheses (CLAIF, section 3.1). Arrow: premise -> hypotheses.

For each mask rate r = K/10, K = 0 ... 8, ceil(len * r) random whole words of the premise are masked, and the LLM fills the
masks; at r = 0 it writes a sentence with the same meaning. One draw for each masked sentence says, with probability 1/2,
whether all of its neighbouring masks are merged or none: that is how the published code reads the paper's "merged with
probability 0.5". The higher the rate, the less the rewrite has in common with its premise, so that pairs of every similarity
come about.

What is masked and what is merged depends on (seed, role, premise) alone; how a mask looks to the LLM is said by the prompt
set, since a small one repeats [MASK] where it would fill "...". The rest is `stages/gen.py`, which stores what is written.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence

from stages.config import GenConfig
from stages.models.llm.request import Line, Prompt, Writer
from stages.texts import hypotheses
from stages.texts.hypotheses import NOTHING, Asked, Shown
from stages.texts.prompts import PromptSet, Template
from store.problem import Problem
from store.records import REWRITES, Premise

MERGED = 0.5  # the probability that the neighbouring masks of a sentence are merged

_ITS_NAME = re.compile(r"\[\s*mask", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def mask(premise: str, tenths: int, seed: int, gap: str) -> str:
    """`premise` with `tenths` tenths of its words, rounded up, under masks (`gap`). What stands between words stays."""
    words = [word.span() for word in _WORD.finditer(premise)]
    key = hashlib.blake2b(f"{seed}/{REWRITES[tenths]}/{premise}".encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(key, "big")).random  # the same numbers in every version of Python
    weights = [draw() for _ in words]
    count = -(-len(words) * tenths // 10)  # in whole numbers: 10 * 0.7 is above 7
    chosen = sorted(sorted(range(len(words)), key=weights.__getitem__)[:count])
    merged = draw() < MERGED
    pieces, end, before = [], 0, -2
    for place in chosen:
        first, last = words[place]
        if not merged or place != before + 1:
            pieces += [premise[end:first], gap]
        end, before = last, place
    return "".join([*pieces, premise[end:]])


def masked(premise: str, role: str, seed: int, gap: str) -> str | None:
    """What stands in the prompt in the premise's place, where that is not the premise itself."""
    tenths = REWRITES.index(role)
    return mask(premise, tenths, seed, gap) if tenths else None


def ask(
    part: Sequence[Premise], config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown = NOTHING
) -> tuple[list[Asked], list[Prompt]]:
    """Each rewrite to be written with its prompt, for each premise in the order of REWRITES; nothing is `shown` with one.

    Raises Problem as `refuse` does.
    """
    rewrite, fill = _templates(prompts)
    asked: list[Asked] = []
    texts: list[Prompt] = []
    for premise in part:
        for role in REWRITES:
            gaps = masked(premise.text, role, config.seed, prompts.gap)
            template = (rewrite if gaps is None else fill).draw(config.seed, role, premise.text)
            template = writer.wrap(template) if prompts.chat else template
            asked.append(Asked(role, template, Line(len(texts), (), f"{role}/{premise.text}"), gaps))
            texts.append(hypotheses.fill(template, gaps or premise.text))
    return asked, texts


def problem(written: str, asked: Asked, prompts: PromptSet) -> str | None:
    """`mask` where a mask still stands in what was written over masks."""
    left = asked.masked is not None and (prompts.gap in written or _ITS_NAME.search(written) is not None)
    return "mask" if left else None


def refuse(prompts: PromptSet) -> None:
    """Raise Problem for a set that cannot ask for rewrites."""
    _templates(prompts)


def _templates(prompts: PromptSet) -> tuple[Template, Template]:
    if prompts.rewrite is None or prompts.fill is None:
        raise Problem(
            f"the prompt set {prompts.name} has no [rewrite] and [fill], which method=claif asks with",
            "add them as the bundled sets in stages/bundled/prompts do, or give another with prompts=NAME",
        )
    return prompts.rewrite, prompts.fill
