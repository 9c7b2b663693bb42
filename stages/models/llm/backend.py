"""A transformers LLM with its tokenizer, and the prefixes it has read: what decoding, likelihoods and streams stand on.

Arrow: none of its own. Two families: a decoder-only model (SmolLM2, LLaMA-likes, GPT-2) reads prompt and answer as one
sequence; an encoder-decoder model (Flan-T5) encodes the prompt once and decodes the answer against it.

The leading part that many prompts share (instruction and shots) is computed once and held once (`Prompt.shared`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from stages.models.llm import attention
from stages.models.llm.attention import SharedPrefix
from stages.models.llm.cache import GrowingCache
from stages.models.llm.request import Prompt

# Prefixes kept computed, and sets of them put together. A run has as many as instructions, and the sets change as rows come
# and go; with retrieved demonstrations every batch brings its own, and the bounds keep memory flat.
PREFIXES_KEPT, STACKS_KEPT = 16, 4


class Backend:
    """The `model` in eval mode with its `tokenizer`; `name` is what the user called it.

    `encoder_decoder`: which family it is of. `exact`: whether it computes in float32, where a step that rounding could tip
    is computed again alone. `eos`: the ids that end a text. `plain`: whether it attends the way `attention.py` does.
    `shares`: whether prompts may share the keys and values of their heads. `joins`: whether a row may begin while others go
    on: positions must be given, or be known by their distances.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.encoder_decoder: bool = bool(model.config.is_encoder_decoder)
        self.device: torch.device = model.device
        self.exact: bool = model.dtype == torch.float32
        eos = model.generation_config.eos_token_id if model.generation_config is not None else None
        if eos is None:
            eos = tokenizer.eos_token_id
        self.eos: frozenset[int] = frozenset([] if eos is None else [eos] if isinstance(eos, int) else eos)
        self.plain = attention.install(model)
        self.shares = self.plain and not self.encoder_decoder and bool(model._supports_attention_backend)
        self.joins = not self.encoder_decoder or hasattr(model.config, "relative_attention_num_buckets")
        self._prefixes: OrderedDict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = OrderedDict()
        self._stacks: OrderedDict[tuple[tuple[int, ...], ...], list[tuple[Tensor, Tensor]]] = OrderedDict()

    def ids(self, text: str) -> list[int]:
        """Token ids of a prompt as the model expects it (with the special tokens its tokenizer adds)."""
        # A chat template writes the special tokens out in the text; they must not be added twice.
        templated = any(text.startswith(token) for token in self.tokenizer.all_special_tokens)
        ids: list[int] = self.tokenizer(text, add_special_tokens=not templated).input_ids
        return ids

    def ids_of(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Token ids of each distinct text, as `ids` gives them."""
        return {text: self.ids(text) for text in dict.fromkeys(texts)}

    def text(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, special tokens left out."""
        decoded: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded

    @torch.inference_mode()
    def alone(self, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
        """Next-token logits (V,) after `prompt` and `tokens`, computed without batch, padding or cache.

        The same call gives the same bits whatever else is being worked on; it settles the calls that rounding
        could tip (see `sampling.choose`).
        """
        ids = self.ids(prompt.text)
        if self.encoder_decoder:
            start = self.model.config.decoder_start_token_id
            out = self.model(
                input_ids=self.tensor([ids]), decoder_input_ids=self.tensor([[start, *tokens]]), use_cache=False
            )
            logits: Tensor = out.logits[0, -1]
        else:
            out = self.model(input_ids=self.tensor([[*ids, *tokens]]), use_cache=False, logits_to_keep=1)
            logits = out.logits[0, -1]
        return logits.float()

    def split(self, prompt: Prompt) -> tuple[tuple[int, ...], list[int]]:
        """(ids that may come from the prefix cache, the rest: at least one id)."""
        ids = self.ids(prompt.text)
        shared = self.shared(prompt, ids)
        return tuple(ids[:shared]), ids[shared:]

    def shared(self, prompt: Prompt, ids: list[int]) -> int:
        """How many of a prompt's ids may come from the prefix cache; at least one never does."""
        if not self.shares or not prompt.shared:
            return 0
        # A tokenizer may merge characters across the border, so only the ids that truly agree are shared.
        return min(common(self.ids(prompt.text[: prompt.shared]), ids), len(ids) - 1)

    def shared_prefix(self, prefixes: Sequence[tuple[int, ...]]) -> SharedPrefix | None:
        """The computed prefixes of a batch, `prefixes[i]` for row i; None if no row has one."""
        distinct = tuple(sorted(set(prefixes)))
        if distinct == ((),):
            return None
        states = self._stacks.get(distinct)
        if states is None:
            states = self._stacks[distinct] = self._stack(distinct)
            if len(self._stacks) > STACKS_KEPT:
                self._stacks.popitem(last=False)
        place = {prefix: number for number, prefix in enumerate(distinct)}
        return SharedPrefix(states, [len(prefix) for prefix in distinct], [place[prefix] for prefix in prefixes])

    def _stack(self, prefixes: tuple[tuple[int, ...], ...]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (S, heads, longest, width) of each layer after reading each of S prefixes."""
        read = [self._read(prefix) for prefix in prefixes]
        longest = max(len(prefix) for prefix in prefixes)
        stacked = []
        for layer in zip(*read, strict=True):
            heads, _, width = layer[0][0].shape
            parts = layer[0][0].new_zeros((2, len(prefixes), heads, longest, width))
            for number, states in enumerate(layer):
                for part, own in zip(parts, states, strict=True):
                    part[number, :, : own.shape[1]] = own
            stacked.append((parts[0], parts[1]))
        return stacked

    def _read(self, ids: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (heads, len(ids), width) of each layer after reading `ids`, alone: always the same bits."""
        states = self._prefixes.get(ids)
        if states is None:
            cache = GrowingCache(self.model)
            read = self.tensor([list(ids) or [0]])  # any one token gives the shapes of reading nothing
            self.model(input_ids=read, past_key_values=cache, use_cache=True, logits_to_keep=1)
            held = [layer.held() for layer in cache.growing]
            states = self._prefixes[ids] = [(keys[0, :, : len(ids)], values[0, :, : len(ids)]) for keys, values in held]
            if len(self._prefixes) > PREFIXES_KEPT:
                self._prefixes.popitem(last=False)
        return states

    def tensor(self, rows: list[list[int]]) -> Tensor:
        """Rows of token ids of one length, on the model's device."""
        return torch.tensor(rows, dtype=torch.long, device=self.device)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading ids two sequences share."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    return count
