"""A short prompt set for tiny models: as a record for the stages, as a TOML file for the command line.

What tiny models write is nonsense that rarely ends; a text is cut at common letters, so that most of them end by
themselves and some do not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stages.texts import prompts
from stages.texts.prompts import PromptSet

TOML = """description = "Short prompts for tests"
stop = ["e", "o"]
one_sentence = true

[entailment]
instructions = ["Follows", "Says the same", "In other words", "Is true too"]
template = "{instruction}: {premise} ="

[contradiction]
instructions = ["Rules out", "Is false", "Says the opposite", "Cannot be"]
template = "{instruction}: {premise} ="

[rewrite]
instructions = ["Means the same"]
template = "{instruction}: {premise} ="

[fill]
instructions = ["Has no gaps", "Is whole"]
template = "{instruction}: {premise} ="

[likelihood]
given = "{premise} again:"
alone = "say:"

[question]
template = "{premise} / {hypothesis} ="

[similarity]
template = "{premise} / {hypothesis} because"
"""

SET: PromptSet = prompts.parse(TOML, "short")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


def ending_at(*stop: str) -> PromptSet:
    """The same set with other stop texts; none at all lets every text run on."""
    return replace(SET, stop=stop, one_sentence=False)


def write(folder: Path, name: str = "short.toml") -> Path:
    path = folder / name
    path.write_text(TOML, encoding="utf-8")
    return path
