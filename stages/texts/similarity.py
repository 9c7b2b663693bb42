"""How similar two texts are, by the word of an LLM, in [0, 5]; there are two readings. Arrow: hypotheses -> scores.

`prompt` (MultiCSR, eq. 3): ask for a number and read the reply. A reply without a number in range has no value. On the
scale 0-1 (CLAIF, CLHAIF) the LLM is asked for a similarity in [0, 1] and a reason: the first number counts, the reason stays
in the reply, and what is stored is five times the number, because a store has one scale.

`likelihood`, for LLMs too small to answer with a number: the share of the hypothesis' information that the premise
explains, score(x -> y) = 5 * clip(1 - log p(y | x, "same meaning") / log p(y | no premise), 0, 1); in both directions
it is the mean of score(x -> y) and score(y -> x). Its `reply` holds the log-probabilities it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stages.config.words import SCALES
from stages.models.llm.request import Draft, Line, Prompt, Reader
from stages.texts import replies as text
from stages.texts.prompts import PromptSet
from store.problem import Problem
from store.records import canonical

GRADED = SCALES[1]  # a similarity in [0, 1] with a reason
SCALE = 5.0  # the top of the similarity scale (SemEval's 0 to 5)
END = "\n"  # a reply is one line
REPLY_TOKENS = 12  # room for "The similarity is 3.5 out of 5."
REASON_TOKENS = 64  # room for a number and a sentence that says why

Pair = tuple[str, str]  # (premise, hypothesis), or any two texts
Answer = tuple[float | None, str]  # (score or None, the reply or evidence it was read from)


class Reading(Protocol):
    """What a config says of how the LLM is read."""

    @property
    def by(self) -> str:
        """prompt or likelihood"""
        ...

    @property
    def expected(self) -> bool:
        """by prompt: the mean over the digits, instead of a written reply"""
        ...

    @property
    def scale(self) -> str:
        """by prompt: 0-1 with a reason, or 0-5"""
        ...

    @property
    def directions(self) -> str:
        """by likelihood: one or both"""
        ...


def similarities(pairs: Sequence[Pair], how: Reading, prompts: PromptSet, reader: Reader) -> list[Answer]:
    """The answer to each pair; in float32 the same whatever other pairs it is asked with."""
    if how.by == "likelihood":
        return by_likelihood(pairs, how.directions == "both", prompts, reader)
    return by_prompt(pairs, how.expected, prompts, reader, how.scale)


def capacity(pairs: Sequence[Pair], how: Reading, prompts: PromptSet, reader: Reader) -> int:
    """How many times these pairs, or others as long, can be asked about at once in free memory."""
    if how.by == "likelihood":
        return reader.capacity([], [], 0)  # it cuts what it reads into passes of its own
    asked = questions(pairs, how.scale, prompts, reader)
    return reader.capacity(asked, plain_lines(asked), 0 if how.expected else _room(how.scale))


def by_likelihood(pairs: Sequence[Pair], both: bool, prompts: PromptSet, reader: Reader) -> list[Answer]:
    """(score, the log-probabilities as JSON) of each (premise, hypothesis)."""
    wanted: dict[tuple[str | None, str], None] = {}  # (given or None, sentence), each computed once
    for x, y in pairs:
        for given, sentence in ((x, y), (y, x))[: 2 if both else 1]:
            wanted[(given, sentence)] = wanted[(None, sentence)] = None
    alone = Prompt(prompts.alone, len(prompts.alone))
    shared = prompts.given.index("{premise}")
    asked = [
        (alone if given is None else Prompt(prompts.given.replace("{premise}", given), shared), f" {sentence}")
        for given, sentence in wanted
    ]
    log_p = dict(zip(wanted, reader.log_likelihoods(asked), strict=True))

    answers: list[Answer] = []
    for x, y in pairs:
        values, evidence = [], dict[str, float]()
        for name, given, sentence in (("y", x, y), ("x", y, x))[: 2 if both else 1]:
            explained, unexplained = log_p[(given, sentence)], log_p[(None, sentence)]
            values.append(explained_share(explained, unexplained))
            other = "x" if name == "y" else "y"
            evidence |= {f"log p({name}|{other})": explained, f"log p({name})": unexplained}
        answers.append((round(SCALE * sum(values) / len(values), 3), canonical(evidence)))
    return answers


def explained_share(explained: float, unexplained: float) -> float:
    """1 - log p(y | x) / log p(y), clipped to [0, 1]: 1 if x makes y certain, 0 if x says nothing about y."""
    if unexplained == 0.0:
        return 0.0  # a sentence that is certain anyway holds no information to explain
    return min(max(1.0 - explained / unexplained, 0.0), 1.0)


def by_prompt(
    pairs: Sequence[Pair], expected: bool, prompts: PromptSet, reader: Reader, scale: str = SCALES[0]
) -> list[Answer]:
    """(score or None, the reply) of each (premise, hypothesis). With `expected`, the mean over the digits 0 to 5."""
    asked = questions(pairs, scale, prompts, reader)
    if expected:
        values = reader.expectations(asked, [str(number) for number in range(int(SCALE) + 1)])
        if values is None:
            raise Problem(
                f"expected needs an LLM whose numbers 0 to {SCALE:.0f} are single tokens, and this one's are not",
                "leave it out",
                setting="expected",
            )
        return [(value, canonical({"expected": value})) for value in values]
    replies = reader.write(asked, plain_lines(asked), _room(scale), ends=lambda written: END in written.lstrip())
    return [read(draft, scale) for draft in replies]


def _room(scale: str) -> int:
    """Tokens of the longest reply."""
    return REASON_TOKENS if scale == GRADED else REPLY_TOKENS


def read(draft: Draft, scale: str) -> Answer:
    """(score or None, the reply); a reply that the server itself calls unusable is kept with that reason."""
    if draft.problem:
        return None, canonical({"problem": draft.problem, "reply": draft.text})
    if scale != GRADED:
        return text.first_number(draft.text, 0.0, SCALE), draft.text
    share = text.first_number(draft.text, 0.0, 1.0)
    return None if share is None else round(SCALE * share, 3), draft.text


def questions(pairs: Sequence[Pair], scale: str, prompts: PromptSet, reader: Reader) -> list[Prompt]:
    """How similar are they? One prompt a (premise, hypothesis)."""
    question = prompts.graded() if scale == GRADED else prompts.question
    template = reader.wrap(question) if prompts.chat else question
    shared = min(template.index("{premise}"), template.index("{hypothesis}"))
    return [
        # Both holes at once: a premise that contains "{hypothesis}" is a text like any other.
        Prompt(y.join(x.join(part.split("{premise}")) for part in template.split("{hypothesis}")), shared)
        for x, y in pairs
    ]


def plain_lines(asked: Sequence[Prompt]) -> list[Line]:
    """An answer to each prompt, without noise."""
    return [Line(own=place, noises=(), key="") for place in range(len(asked))]
