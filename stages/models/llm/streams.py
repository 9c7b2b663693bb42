"""Rows that an LLM writes side by side: each stands after its own prompt and tokens, and is fed one token at a time.

Arrow: none of its own; `decoding.py` feeds them. One class a family of models, both with the same face (`Streams`).

A row may be given a new prompt while the others go on: its keys and values are overwritten in the columns before the one
that is written next, and a mask hides what of these columns is not its own. So a column stands for a moment, not for a
position; each row counts its own positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers.cache_utils import EncoderDecoderCache

from stages.models.llm.attention import SharedPrefix
from stages.models.llm.backend import Backend
from stages.models.llm.cache import BLOCK, GrowingCache, MaskedCache
from stages.models.llm.forward import only_asked, padded_right, pieces
from stages.models.llm.request import Prompt


class Streams(Protocol):
    """Rows in flight; `logits` (rows, V) are for the token after everything a row was given so far."""

    logits: Tensor

    def start(self, rows: Sequence[int], prompts: Sequence[Prompt], of: Sequence[int]) -> None:
        """Read `prompts`; row rows[i] then stands after prompts[of[i]], whatever it held before."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Keep `rows`, in that order."""
        ...

    def step(self, tokens: Tensor) -> None:
        """Feed one token to each row: (rows,)."""
        ...


def open_streams(llm: Backend, rows: int) -> Streams:
    """Room for `rows` rows of `llm` to be written side by side."""
    return EncoderDecoderStreams(llm, rows) if llm.encoder_decoder else DecoderStreams(llm, rows)


class DecoderStreams:
    """Streams of a decoder-only model.

    A row's own columns hold its prompt (without the prefix it shares with others, which is held once and stands before
    them: `attention.py`) and what was written after it.
    """

    def __init__(self, llm: Backend, rows: int) -> None:
        self.llm = llm
        self.own = MaskedCache(llm.model, rows, llm.plain)
        self.prefixes: list[tuple[int, ...]] = [()] * rows
        self.shared: SharedPrefix | None = None
        self.position = torch.zeros((rows, 1), dtype=torch.long, device=llm.device)  # of the next token
        self.logits = torch.empty((rows, 0), device=llm.device)

    @torch.inference_mode()
    def start(self, rows: Sequence[int], prompts: Sequence[Prompt], of: Sequence[int]) -> None:
        split = [self.llm.split(prompt) for prompt in prompts]
        for piece in pieces([len(own) for _, own in split], self.llm.device):
            place = {prompt: within for within, prompt in enumerate(piece)}
            served = [i for i, prompt in enumerate(of) if prompt in place]
            self._read([split[prompt] for prompt in piece], [rows[i] for i in served], [place[of[i]] for i in served])
        self.shared = self.llm.shared_prefix(self.prefixes)
        # What no row can see any more is given back.
        behind = min(self.own.first) // BLOCK * BLOCK
        if behind:
            self.own.move(-behind)

    def _read(self, texts: Sequence[tuple[tuple[int, ...], list[int]]], rows: Sequence[int], of: Sequence[int]) -> None:
        """Read (prefix, own ids) in one pass; row rows[i] takes over texts[of[i]]."""
        lengths = [len(own) for _, own in texts]
        before = torch.tensor([len(prefix) for prefix, _ in texts], device=self.llm.device)
        # Padding stands on the right, where no token that counts sees it.
        ids, _ = padded_right([own for _, own in texts], self.llm.device)
        width = ids.shape[1]
        cache = GrowingCache(self.llm.model)
        shared = self.llm.shared_prefix([prefix for prefix, _ in texts])
        with only_asked(self.llm.model, range(len(texts)), [length - 1 for length in lengths]):
            logits = self.llm.model(
                input_ids=ids,
                position_ids=before[:, None] + torch.arange(width, device=self.llm.device),
                past_key_values=cache,
                use_cache=True,
                **({} if shared is None else {"prefix": shared}),
            ).logits  # (texts, V)
        if self.own.width < width:
            self.own.move(width - self.own.width)
        self.own.put(rows, cache, of, lengths, self.own.width - width)
        index, source = (torch.tensor(list(places), device=self.llm.device) for places in (rows, of))
        self.position[index] = (before + torch.tensor(lengths, device=self.llm.device))[source, None]
        self.logits = _with(self.logits, index, logits[source])
        for row, place in zip(rows, of, strict=True):
            self.prefixes[row] = texts[place][0]

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), device=self.llm.device)
        self.own.select(index, rows)
        self.prefixes = [self.prefixes[row] for row in rows]
        self.shared = self.llm.shared_prefix(self.prefixes)
        self.position, self.logits = self.position[index], self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> None:
        self.own.show_next()
        out = self.llm.model(
            input_ids=tokens.to(self.llm.device)[:, None],
            attention_mask=self.own.mask(self.own.width + 1),
            position_ids=self.position,
            past_key_values=self.own.cache,
            use_cache=True,
            **({"step": True} if self.llm.plain else {}),
            **({} if self.shared is None else {"prefix": self.shared}),
        )
        self.position = self.position + 1
        self.logits = out.logits[:, -1]


class EncoderDecoderStreams:
    """Streams of an encoder-decoder model: a prompt is encoded once, and a row crosses to it at every step.

    The decoder knows positions by their distance only (T5), so rows may begin at different columns.
    """

    def __init__(self, llm: Backend, rows: int) -> None:
        self.llm = llm
        self.written = MaskedCache(llm.model, rows, llm.plain)
        self.prompt = MaskedCache(llm.model, rows, llm.plain)
        self.logits = torch.empty((rows, 0), device=llm.device)

    @torch.inference_mode()
    def start(self, rows: Sequence[int], prompts: Sequence[Prompt], of: Sequence[int]) -> None:
        read = [self.llm.ids(prompt.text) for prompt in prompts]
        for piece in pieces([len(ids) for ids in read], self.llm.device):
            place = {prompt: within for within, prompt in enumerate(piece)}
            served = [i for i, prompt in enumerate(of) if prompt in place]
            self._read([read[prompt] for prompt in piece], [rows[i] for i in served], [place[of[i]] for i in served])
        behind = min(self.written.first) // BLOCK * BLOCK
        if behind:
            self.written.move(-behind)

    def _read(self, texts: Sequence[list[int]], rows: Sequence[int], of: Sequence[int]) -> None:
        """Encode texts in one pass and feed each the start token; row rows[i] takes over texts[of[i]]."""
        ids, mask = padded_right(texts, self.llm.device)
        states = self.llm.model.get_encoder()(input_ids=ids, attention_mask=mask)
        written, prompt = GrowingCache(self.llm.model), GrowingCache(self.llm.model)
        logits = self.llm.model(
            encoder_outputs=states,
            attention_mask=mask,
            decoder_input_ids=torch.full_like(ids[:, :1], self.llm.model.config.decoder_start_token_id),
            past_key_values=EncoderDecoderCache(written, prompt),
            use_cache=True,
        ).logits[:, -1]
        if self.written.width == 0:
            self.written.move(1)
        self.written.put(rows, written, of, [1] * len(texts), self.written.width - 1)
        self.prompt.put(rows, prompt, of, [len(text) for text in texts], 0)
        index, source = (torch.tensor(list(places), device=self.llm.device) for places in (rows, of))
        self.logits = _with(self.logits, index, logits[source])

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), device=self.llm.device)
        self.written.select(index, rows)
        self.prompt.select(index, rows)
        self.logits = self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> None:
        self.written.show_next()
        cache = EncoderDecoderCache(self.written.cache, self.prompt.cache)
        # The prompts' keys and values are all there, so the states they were made from are asked for their shape only.
        states = torch.empty((), dtype=self.llm.model.dtype, device=self.llm.device)
        width = self.prompt.cache.growing[0].held()[0].shape[2]
        out = self.llm.model(
            encoder_outputs=(states.expand(len(tokens), width, self.llm.model.config.hidden_size),),
            attention_mask=self.prompt.mask(width),
            decoder_input_ids=tokens.to(self.llm.device)[:, None],
            decoder_attention_mask=self.written.mask(self.written.width + 1),
            past_key_values=cache,
            use_cache=True,
            **({"step": True} if self.llm.plain else {}),
        )
        self.logits = out.logits[:, -1]


def _with(logits: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """`logits` (R, V) with `new` (n, V) in `rows`; the first ones make room for all."""
    if logits.shape[1] == 0:
        logits = new.new_zeros((len(logits), new.shape[1]))
    logits[rows] = new
    return logits
