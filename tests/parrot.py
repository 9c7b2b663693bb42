"""A language model that recites: what it writes after a prompt is looked up, and it writes it word by word.

It keeps the interface's promises (`ends`, `max_tokens`, one draft a line), so a stage cannot tell it from a model; it is
for what no random model can be relied on to say, such as a refusal or a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from stages.models.llm.request import Draft, Line, Prompt, Sampling


class Parrot:
    """`says` maps a piece of a prompt to the answer; the first piece that the prompt contains counts."""

    def __init__(self, says: Mapping[str, str]) -> None:
        self.says = says
        self.asked: list[str] = []

    def wrap(self, message: str) -> str:
        return f"<user>{message}<bot>"

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        return [self._draft(prompts[line.own].text, max_tokens, ends) for line in lines]

    def writing(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
        at_once: int | None = None,
    ) -> Iterator[list[tuple[int, Draft]]]:
        places = list(enumerate(lines))
        for start in range(0, len(places), at_once or len(places)):
            part = places[start : start + (at_once or len(places))]
            drafts = self.write(prompts, [line for _, line in part], max_tokens, ends, sampling)
            yield list(zip((place for place, _ in part), drafts, strict=True))

    def capacity(self, prompts: Sequence[Prompt], lines: Sequence[Line], max_tokens: int) -> int:
        return 4

    def take_spent(self) -> dict[str, int]:
        return {}

    def log_likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """Half a nat a character, less one for each word that the prompt holds already."""
        self.asked += [prompt.text for prompt, _ in pairs]
        return [-0.5 * len(text) + sum(word in prompt.text for word in text.split()) for prompt, text in pairs]

    def expectations(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
        return None

    def _draft(self, prompt: str, max_tokens: int, ends: Callable[[str], bool]) -> Draft:
        self.asked.append(prompt)
        answer = next((text for piece, text in self.says.items() if piece in prompt), "")
        words = re.findall(r"\s*\S+|\s+$", answer)
        written = ""
        for count, word in enumerate(words[:max_tokens], start=1):
            written += word
            if ends(written):
                return Draft(written, count, True)
        return Draft(written, min(len(words), max_tokens), len(words) <= max_tokens)
