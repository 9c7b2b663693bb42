"""What is asked of an LLM and what comes back, as plain records: a stage can build them without loading torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Prompt:
    """What is sent to the LLM. The first `shared` characters are the same for many prompts (a hint, never assumed)."""

    text: str
    shared: int = 0


class Noise(NamedTuple):
    """A prompt (its place in the list) whose logits are taken away `weight` times: omega of MultiCSR's eq. 2."""

    prompt: int
    weight: float


@dataclass(frozen=True)
class Line:
    """One text to write: `own` is the place of its prompt in the list, `key` names it for the random draws."""

    own: int
    noises: tuple[Noise, ...]
    key: str


@dataclass(frozen=True)
class Sampling:
    """Draw from softmax(scores / temperature), cut to the smallest set of tokens with mass `top_p`, instead of argmax."""

    seed: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class Draft:
    """What was written: its text, its number of tokens, and whether it ended by itself (not by running out of room).

    `problem` is why a server itself says that the text cannot be used: 'refusal' or 'filtered'.
    """

    text: str
    tokens: int
    ended: bool
    problem: str | None = None


class Writer(Protocol):
    """A language model as `gen` uses it."""

    def wrap(self, message: str) -> str:
        """`message` as the user's turn in the model's own chat format. Raises Problem if it has none."""
        ...

    def writing(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
        at_once: int | None = None,
    ) -> Iterator[list[tuple[int, Draft]]]:
        """Write every line to its end: an end-of-text token, `ends(text)` true, or `max_tokens`.

        `at_once` lines are written side by side (None: all); yields (place in `lines`, draft) of those that are done. Greedy
        unless `sampling` is given. Raises Problem where a server fails for good.
        """
        ...

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        """The same for all lines side by side, in their order."""
        ...

    def capacity(self, prompts: Sequence[Prompt], lines: Sequence[Line], max_tokens: int) -> int:
        """How many times this work could be done at once in free memory; no more than gains speed, at least 1."""
        ...

    def take_spent(self) -> dict[str, int]:
        """What a server was asked and charged since this was last called; nothing for a model on this machine."""
        ...


class Reader(Writer, Protocol):
    """A language model as `score` uses it."""

    def log_likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """log p(continuation | prompt) in nats, one figure a pair. Raises Problem where a server gives none."""
        ...

    def expectations(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
        """The mean of the numbers `choices` under the next-token probabilities; None if one is not a single token.

        Raises Problem where a server gives no probabilities.
        """
        ...
