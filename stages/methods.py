"""How a premise is gone about, one record a method: MultiCSR's two hypotheses, and CLAIF's nine rewrites.

The stages and the rooms above look a method up by its name; what becomes of its scores is looked up in the same way
(`multicsr/curate.py`), since no stage knows another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.claif import rewrites
from stages.config import GenConfig
from stages.config.gen import OMEGA
from stages.models.llm.request import Prompt, Writer
from stages.texts import hypotheses
from stages.texts.hypotheses import Asked, Shown
from stages.texts.prompts import PromptSet
from store.records import REWRITES, ROLES, Premise


@dataclass(frozen=True)
class Method:
    """`roles` are written for each premise, by what `ask` says; `problem` names what is wrong with a reply to this method
    alone. `refuse` raises Problem for a prompt set that cannot ask, `digest` names what is read of one. `usual` are the
    settings that nobody told; `title` is that of its progress."""

    roles: tuple[str, ...]
    ask: Callable[[Sequence[Premise], GenConfig, PromptSet, Writer, Shown], tuple[list[Asked], list[Prompt]]]
    title: str
    digest: Callable[[PromptSet], str]
    usual: Mapping[str, Any] = field(default_factory=dict)
    problem: Callable[[str, Asked, PromptSet], str | None] = lambda written, asked, prompts: None
    refuse: Callable[[PromptSet], None] = lambda prompts: None


METHODS = {
    "multicsr": Method(
        ROLES, hypotheses.ask, "gen ω {omega:g}", lambda prompts: prompts.digest, {"omega": OMEGA, "sample": False}
    ),
    "claif": Method(
        REWRITES,
        rewrites.ask,
        "gen claif",
        lambda prompts: prompts.whole_digest,
        {"omega": 0.0, "sample": True},
        rewrites.problem,
        rewrites.refuse,
    ),
}
