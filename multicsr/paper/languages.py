"""Languages with little data (t5): what is learned from, by what, and what is tested. Arrow: none of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stages.config.recipes import Schedule


class Language(NamedTuple):
    """Files of the data folder, and the prompt set that asks for the language: aligned `translations` as `eval` names them,
    and a file of `sentences` to learn from (None: there is none)."""

    name: str
    translations: str
    sentences: str | None
    prompts: str


# The paper's (section 6): TED2020 as OPUS has it (en-tl, Moses form) is learned from, LASER's Tatoeba pairs (data/tatoeba/v1)
# are the test.
TAGALOG = Language("Tagalog", "tatoeba.tgl-eng", "ted2020/TED2020.en-tl.tl", "tagalog")
SWAHILI = Language("Swahili", "tatoeba.swh-eng", None, "swahili")


@dataclass(frozen=True)
class Multilingual:
    """The first of `languages` whose translations are at hand is learned by `base` from what `llm` writes in it.

    Where its file of sentences is not at hand and `halves` allows it, half of the translations is learned from and the
    other half is the test. `simcse` is how unsupervised SimCSE is trained; None: as the other rows are.
    """

    languages: tuple[Language, ...]
    llm: str
    base: str
    halves: bool
    simcse: Schedule | None = None
