"""An LLM as the stages see it: prompts go in, drafts and log-likelihoods come out.

Arrow: none of its own. `gen` and `score` are handed a `LanguageModel`; it knows nothing of premises or the store.

What makes it fast without changing what it computes:

* the leading part that many prompts share (instruction and shots) is computed once and held once (`backend.py`);
* keys and values live in buffers with room to spare, so a step appends instead of copying the whole cache (`cache.py`);
* a row that is done makes place for the next prompt at once (`decoding.py`);
* only positions whose next token is asked for go through the vocabulary (`forward.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from stages.models import memory
from stages.models.llm import decoding, likelihood
from stages.models.llm.backend import Backend
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from store.problem import Problem


class LanguageModel(Backend):
    """A `Backend` with all that `gen` (a `Writer`) and `score` (a `Reader`) ask of one."""

    def wrap(self, message: str) -> str:
        """`message` as the user's turn in the model's own chat format. Raises Problem if it has none."""
        if not self.tokenizer.chat_template:
            raise Problem(
                f"the model {self.name} has no chat template, and this prompt set wants one",
                "choose another with prompts=NAME, or another LLM",
            )
        turns = [{"role": "user", "content": message}]
        wrapped: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return wrapped

    def writing(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
        at_once: int | None = None,
    ) -> Iterator[list[tuple[int, Draft]]]:
        """Contrastive decoding of `lines` over `prompts`, `at_once` side by side; see `stages/models/llm/decoding.py`."""
        return decoding.writing(self, prompts, lines, max_tokens, ends, sampling, at_once)

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        """The same for all lines side by side, in their order."""
        parts = self.writing(prompts, lines, max_tokens, ends, sampling)
        drafts = dict(pair for part in parts for pair in part)
        return [drafts[place] for place in range(len(lines))]

    def capacity(self, prompts: Sequence[Prompt], lines: Sequence[Line], max_tokens: int) -> int:
        """How many times this work could be done at once in free memory; see `stages/models/memory.py`."""
        each = self.writing_bytes(prompts, lines, max_tokens)
        return memory.count(self.device, each, memory.PREMISES[self.device.type])

    def writing_bytes(self, prompts: Sequence[Prompt], lines: Sequence[Line], room: int) -> int:
        """Bytes that writing `lines` of `room` tokens over `prompts` takes at its peak, beside the weights."""
        if not prompts:
            return 0
        config = self.model.config.get_text_config(decoder=True)
        size = self.model.dtype.itemsize
        split = [self.split(prompt) for prompt in prompts]
        shared, own = (max(map(len, side)) for side in zip(*split, strict=True))
        streams = len(lines) * (1 + max(len(line.noises) for line in lines))
        # A stream's shared prefix is held once for all; an encoder-decoder model's own positions begin with a start token.
        positions = own + room + (1 if self.encoder_decoder else 0)
        cache = streams * memory.cache_bytes(config, positions, size)
        reading = len(prompts) * memory.activation_bytes(config, own, shared + own, size)
        # As the model gives them, and in float32: both sides and what is taken away.
        logits = streams * config.vocab_size * (size + 3 * memory.FLOAT32)
        states = streams * own * config.hidden_size * size if self.encoder_decoder else 0
        return int(cache + reading + logits + states)

    def take_spent(self) -> dict[str, int]:
        """Nothing: no server is asked."""
        return {}

    @torch.inference_mode()
    def log_likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """log p(continuation | prompt) in nats, one figure a pair; see `stages/models/llm/likelihood.py`."""
        return likelihood.log_likelihoods(self, pairs)

    @torch.inference_mode()
    def expectations(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
        """The mean of the numbers `choices` under the next-token probabilities; see `stages/models/llm/likelihood.py`."""
        return likelihood.expectations(self, prompts, choices)
