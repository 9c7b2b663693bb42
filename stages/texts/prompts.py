"""Prompt sets: what the LLM is told, in one TOML file a set, so that changing a word makes another run.

docs/prompts.md says what a set holds. The instruction a premise gets is drawn by (seed, premise): the same in any order,
batch or store.

Shots are not marked. A blank line ends a part of a template, the last part is what is asked, and a part before it that
has the same form, with its holes filled and an answer behind it, is a shot.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from store.problem import Problem
from store.records import Role, canonical, digest

BUNDLED = files("stages") / "bundled" / "prompts"
BLANK_LINE = "\n\n"
# Parts that most runs never read: only one that does is named after them.
ASKED_APART = ("similarity", "rewrite", "fill")
ABOUT = ("description", "language", "chat", "stop", "one_sentence", "refusals")
PARTS = (*ABOUT, "entailment", "contradiction", "likelihood", "question", *ASKED_APART)
HOLE = r"\{premise\}|\{hypothesis\}"

# What stands for the premise in a prompt that asks for a hypothesis of nothing in particular.
NO_PREMISE = "..."


@dataclass(frozen=True)
class Template:
    """How to ask for one role: an instruction is drawn, then `{instruction}` and `{premise}` are filled in."""

    instructions: tuple[str, ...]
    template: str

    def draw(self, seed: int, role: str, premise: str) -> str:
        """The template with the instruction drawn for this premise; `{premise}` is still open."""
        key = hashlib.blake2b(f"{seed}/{role}/{premise}".encode(), digest_size=8).digest()
        chosen = self.instructions[int.from_bytes(key, "big") % len(self.instructions)]
        return self.template.replace("{instruction}", chosen)


def with_demonstrations(template: str, shown: Sequence[tuple[str, str]]) -> str:
    """A drawn template with `shown` (premise, hypothesis) before the instruction, each in the form of what is asked.

    They replace the set's own shots, which were chosen for no premise in particular: those would stand between the
    demonstrations and what is asked, nearer to it, and the more of them the LLM reads, the less each one counts.
    Without any, the template is the set's own.
    """
    if not shown:
        return template
    kept = [part for part, is_shot in zip(template.split(BLANK_LINE), _are_shots(template), strict=True) if not is_shot]
    first = next(place for place, part in enumerate(kept) if "{premise}" in part)
    asked = BLANK_LINE.join(kept[first:])
    shots = [f"{asked.replace('{premise}', premise)} {hypothesis}" for premise, hypothesis in shown]
    return BLANK_LINE.join([*shots, *kept])


@dataclass(frozen=True)
class PromptSet:
    """A named set of prompts. `chat` sends each through the model's chat template as the user's message. A hypothesis ends at
    the first of the `stop` texts or, with `one_sentence`, behind its first sentence."""

    name: str
    description: str
    language: str | None
    digest: str
    toml: str
    chat: bool
    stop: tuple[str, ...]
    one_sentence: bool
    refusals: tuple[str, ...]
    entailment: Template
    contradiction: Template
    given: str
    alone: str
    question: str
    similarity: str | None = None  # CLAIF's question, from 0 to 1 with a reason
    # For CLAIF's rewrites: the same meaning, and a sentence with masks in the premise's place.
    rewrite: Template | None = None
    fill: Template | None = None
    gap: str = "[MASK]"  # how a mask looks in it

    @property
    def whole_digest(self) -> str:
        """The digest with what `digest` leaves out."""
        return digest(canonical(tomllib.loads(self.toml)))

    def graded(self) -> str:
        """The question for a number from 0 to 1 and a reason. Raises Problem where the set has none."""
        if self.similarity is None:
            having = [name for name in names() if load(name).similarity is not None]
            raise Problem(
                f"the prompt set {self.name} has no [similarity], the question for a number from 0 to 1",
                f"write one with {{premise}} and {{hypothesis}}, or give prompts=NAME, one of {', '.join(having)}",
            )
        return self.similarity

    def template(self, role: Role) -> Template:
        """How one of the two hypotheses is asked for."""
        return self.entailment if role == "entailment" else self.contradiction

    def shots(self, by: str, graded: bool = False) -> int:
        """How many in-context examples a pair is scored with: prompt (where `graded`, by CLAIF's question) or likelihood.
        Raises Problem where the set has no such question."""
        template = self.graded() if graded else self.question if by == "prompt" else self.given
        return sum(_are_shots(template))

    def with_shots(self, by: str, count: int, graded: bool = False) -> PromptSet:
        """The set with only the first `count` shots for scoring. Raises Problem if there are fewer."""
        most = self.shots(by, graded)
        if not 0 <= count <= most:
            raise Problem(
                f"shots {count} is out of range: the prompt set {self.name} has {most} to score by {by}",
                f"give a whole number from 0 to {most}, or another set: prompts=FILE",
                "shots",
            )
        if graded:
            return replace(self, similarity=_first_shots(self.graded(), count))
        if by == "prompt":
            return replace(self, question=_first_shots(self.question, count))
        return replace(self, given=_first_shots(self.given, count), alone=_first_shots(self.alone, count))


def _are_shots(template: str) -> list[bool]:
    """For each part of a template, whether it is a shot; none is where what is asked spans several parts."""
    *before, asked = template.split(BLANK_LINE)
    if any(re.search(HOLE, part) for part in before):
        return [False] * (len(before) + 1)
    form = re.compile(".+".join(re.escape(piece) for piece in re.split(HOLE, asked)) + ".+", re.DOTALL)
    return [*(form.fullmatch(part) is not None for part in before), False]


def _first_shots(template: str, count: int) -> str:
    """The template with its first `count` shots, or all if it has no more."""
    kept, seen = [], 0
    for part, is_shot in zip(template.split(BLANK_LINE), _are_shots(template), strict=True):
        seen += is_shot
        if not is_shot or seen <= count:
            kept.append(part)
    return BLANK_LINE.join(kept)


def names() -> list[str]:
    """The bundled sets."""
    return sorted(entry.name.removesuffix(".toml") for entry in BUNDLED.iterdir() if entry.name.endswith(".toml"))


def load(name: str) -> PromptSet:
    """The bundled set called `name`, or the set in the file `name`. Raises Problem, naming what is wrong in it."""
    bundled = BUNDLED / f"{name}.toml"
    if bundled.is_file():
        text, shown = bundled.read_text(encoding="utf-8"), name
    else:
        path = Path(name)
        if not path.is_file():
            raise Problem(f"there is no prompt set {name!r}", f"give a TOML file or one of: {', '.join(names())}")
        try:
            text, shown = path.read_text(encoding="utf-8"), path.name
        except UnicodeDecodeError as error:
            raise Problem(f"{name} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    return parse(text, shown)


def parse(toml: str, name: str) -> PromptSet:
    """The set written in `toml`. Raises Problem, naming what is wrong in it."""
    try:
        table = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"the prompt set {name} is not TOML: {error}", "mend that line") from None
    return _checked(table, toml, name)


class _Table(NamedTuple):
    """What a set's file holds. Each method raises Problem, naming the part that is missing or wrong."""

    parts: dict[str, Any]
    name: str

    def field(self, path: str, kind: type, default: Any = None) -> Any:
        value: Any = self.parts
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        value = default if value is None else value
        if not isinstance(value, kind) or value == [] or value == "":
            raise Problem(
                f"the prompt set {self.name} has no usable {path!r}",
                "bundled sets in stages/bundled/prompts show the form",
            )
        return value

    def text(self, path: str, *holes: str) -> str:
        """A text in which each of `holes` stands once."""
        value: str = self.field(path, str)
        for hole in holes:
            if value.count(hole) != 1:
                raise Problem(
                    f"{path} of the prompt set {self.name} holds {hole} {value.count(hole)} times", "write it once"
                )
        return value

    def texts(self, path: str, default: list[str] | None = None) -> tuple[str, ...]:
        value = self.parts.get(path, default) if default is not None else self.field(path, list)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise Problem(
                f"{path} of the prompt set {self.name} is not a list of texts", f'write {path} = ["...", "..."]'
            )
        return tuple(value)

    def role(self, path: str) -> Template:
        return Template(self.texts(f"{path}.instructions"), self.text(f"{path}.template", "{instruction}", "{premise}"))


def _checked(parts: dict[str, Any], toml: str, name: str) -> PromptSet:
    unknown = next((part for part in parts if part not in PARTS), None)
    if unknown is not None:
        near = get_close_matches(unknown, PARTS, 1)
        raise Problem(
            f"the prompt set {name} has a part {unknown!r}, which nothing reads",
            f"did you mean {near[0]}?" if near else f"leave it out; a set may have {', '.join(PARTS)}",
        )
    table = _Table(parts, name)
    return PromptSet(
        name=name,
        description=table.field("description", str),
        language=table.field("language", str) if "language" in parts else None,
        digest=digest(canonical({part: value for part, value in parts.items() if part not in ASKED_APART})),
        toml=toml,
        chat=table.field("chat", bool, False),
        stop=table.texts("stop", ["\n"]),
        one_sentence=table.field("one_sentence", bool, True),
        refusals=table.texts("refusals", []),
        entailment=table.role("entailment"),
        contradiction=table.role("contradiction"),
        given=table.text("likelihood.given", "{premise}"),
        alone=table.text("likelihood.alone"),
        question=table.text("question.template", "{premise}", "{hypothesis}"),
        similarity=table.text("similarity.template", "{premise}", "{hypothesis}") if "similarity" in parts else None,
        rewrite=table.role("rewrite") if "rewrite" in parts else None,
        fill=table.role("fill") if "fill" in parts else None,
        gap=table.field("fill.gap", str, PromptSet.gap) if "fill" in parts else PromptSet.gap,
    )
