"""Rows of one opened batch: each is fed one token at a time and can be duplicated, reordered and dropped.

Arrow: none of its own; `decoding.py` feeds them, `likelihood.py` reads them. One class a family of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

from stages.models.attention import SharedPrefix
from stages.models.cache import GrowingCache

if TYPE_CHECKING:
    from stages.models.language import LanguageModel


class Streams(Protocol):
    """Rows of one opened batch; `logits` (rows, V) are for the position after everything fed so far."""

    logits: Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keep `rows`, in that order; a row may be named twice (both copies then go their own way)."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token to each row: (rows,) -> logits (rows, V)."""
        ...


class DecoderStreams:
    """Streams of a decoder-only model.

    Columns of the cache: [own part, padded left | written tokens]; the shared prefix stands before them, once for all
    rows (`attention.py`). Padding is masked and takes no position, so every row counts its own positions whatever its
    neighbours' lengths.
    """

    def __init__(
        self, llm: LanguageModel, rows: Sequence[tuple[tuple[int, ...], list[int]]], room: int, keep: int = 1
    ) -> None:
        self.llm = llm
        device = llm.device
        self.width = width = max(len(own) for _, own in rows)
        self.mask = torch.zeros((len(rows), width + room), dtype=torch.bool)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        for i, (_, own) in enumerate(rows):
            self.mask[i, width - len(own) : width] = True
            ids[i, width - len(own) :] = torch.tensor(own)
        self.mask = self.mask.to(device)
        self.prefix = llm.shared_prefix([prefix for prefix, _ in rows])
        before = torch.tensor([[len(prefix)] for prefix, _ in rows], device=device)  # (rows, 1)
        positions = (self.mask[:, :width].long().cumsum(-1) - 1).clamp(min=0) + before
        self.position = positions[:, -1:] + 1  # (rows, 1) the next token's position
        self.cache = GrowingCache(llm.model, width + room)
        out = llm.model(
            input_ids=ids.to(device),
            attention_mask=self.mask[:, :width].long(),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
            **self._shared(),
        )
        self.kept: Tensor = out.logits  # (rows, keep, V)
        self.logits: Tensor = self.kept[:, -1]

    def _shared(self) -> dict[str, SharedPrefix]:
        return {} if self.prefix is None else {"prefix": self.prefix}

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), dtype=torch.long, device=self.llm.device)
        self.cache.select(index)
        self.prefix = None if self.prefix is None else self.prefix.select(index)
        self.mask, self.position, self.logits = self.mask[index], self.position[index], self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        self.mask[:, self.width] = True
        self.width += 1
        out = self.llm.model(
            input_ids=tokens.to(self.llm.device)[:, None],
            attention_mask=self.mask[:, : self.width].long(),
            position_ids=self.position,
            past_key_values=self.cache,
            use_cache=True,
            **self._shared(),
        )
        self.position = self.position + 1
        self.logits = out.logits[:, -1]
        return self.logits


class EncoderDecoderStreams:
    """Streams of an encoder-decoder model: prompts are encoded once, all rows stand at the same decoder position."""

    def __init__(self, llm: LanguageModel, prompts: list[list[int]], room: int) -> None:
        self.llm = llm
        inputs, self.mask = padded_right(prompts, llm.device)
        self.states: Any = llm.model.get_encoder()(input_ids=inputs, attention_mask=self.mask)
        self.written = GrowingCache(llm.model, room + 1)  # self-attention: grows with every token
        self.crossing = [DynamicLayer() for _ in self.written.growing]  # cross-attention: fixed by the prompt
        self.cache = EncoderDecoderCache(self.written, Cache(layers=list(self.crossing)))
        self.logits: Tensor
        start = llm.model.config.decoder_start_token_id
        self.step(torch.full((len(prompts),), start, dtype=torch.long))

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), dtype=torch.long, device=self.llm.device)
        self.written.select(index)
        for layer in self.crossing:
            layer.batch_select_indices(index)
        self.states.last_hidden_state = self.states.last_hidden_state[index]
        self.mask, self.logits = self.mask[index], self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        out = self.llm.model(
            encoder_outputs=self.states,
            attention_mask=self.mask,
            decoder_input_ids=tokens.to(self.llm.device)[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits = out.logits[:, -1]
        return self.logits


def padded_right(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and their mask (rows, longest)."""
    width = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading ids two sequences share."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    return count
