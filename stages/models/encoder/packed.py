"""Texts laid end to end: a batch without padding.

A batch of sentences padded to its longest is half padding. Here the tokens of all texts stand in one row, shortest text
first. What looks at one token at a time (embeddings, norms, linear layers: nearly all of the arithmetic) does not notice.
Attention takes the texts of one length at a time, each looking only at itself; such a run of equal lengths is a rectangle
within the row, so no token is copied or masked. The vectors are those of the padded batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from stages.models.catalog import OFFSET_POSITIONS
from stages.models.encoder.dropout import Drop, dropped, kept, levels, scaled

NAME = "within_texts"

# Backbones whose positions are looked up one by one and whose attention sees the whole text and nothing else.
PACKABLE = ("bert", *OFFSET_POSITIONS)


class Packed:
    """The token ids of B texts, T in all, end to end.

    `ids` and `positions` (T,), the latter from 0 within each text, or as given; `runs`: (count, length) of each stretch of
    texts of equal length; `place` (B,) where each text went. `draws`: of dropout, where the texts are a part of a batch.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        device: torch.device,
        positions: Sequence[Sequence[int]] | None = None,
        draws: PartDraws | None = None,
    ) -> None:
        self.draws = draws
        order, self.runs = in_order([len(row) for row in rows])
        tokens = sum(count * length for count, length in self.runs)
        ids = np.fromiter(chain.from_iterable(rows[text] for text in order), dtype=np.int64, count=tokens)
        if positions is None:
            places = np.concatenate([np.tile(np.arange(length), count) for count, length in self.runs])
        else:
            places = np.concatenate([np.asarray(positions[text]) for text in order])
        self.ids, self.positions = torch.from_numpy(ids).to(device), torch.from_numpy(places).to(device)
        self.place = torch.from_numpy(np.argsort(order)).to(device)

    def apart(self, tokens: Tensor, dim: int) -> list[Tensor]:
        """A view for each run, with (count, length) in the place of dimension `dim`, which counts all tokens."""
        pieces = tokens.split([count * length for count, length in self.runs], dim)
        return [piece.unflatten(dim, run) for piece, run in zip(pieces, self.runs, strict=True)]


def in_order(lengths: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """The order in which texts of so many tokens are packed, and (count, length) of each stretch of equal ones."""
    order = sorted(range(len(lengths)), key=lambda text: lengths[text])
    return order, [(len(list(texts)), length) for length, texts in groupby(lengths[text] for text in order)]


class Draws:
    """What dropout keeps of a batch that is encoded in parts: what it would keep of the batch encoded at once.

    `lengths`: the tokens of each of its texts; `parts`: the texts of each part that is encoded here. The first part that
    comes to a layer draws for the whole batch, as the batch would; what falls to each part is held, a byte a value, for
    when that part comes there, however often. On a GPU the batch would draw in the library's fused kernels, which cannot
    be cut: parts draw there as on a CPU, which is the same for any parts, but not what the batch at once would draw.
    """

    def __init__(self, lengths: Sequence[int], parts: Sequence[Sequence[int]], device: torch.device) -> None:
        self.device = device
        self.held: list[list[Any]] = []  # for each layer reached, for each part
        order, self.runs = in_order(lengths)
        size = np.asarray(lengths)
        first, nth = np.empty_like(size), np.empty_like(size)  # of each text: its first token, its number in its run
        first[order] = np.cumsum(size[order]) - size[order]
        nth[order] = np.concatenate([np.arange(count) for count, _ in self.runs])
        self.tokens, self.members = list[Tensor](), list[dict[int, Tensor]]()
        for part in parts:
            own, runs = in_order(size[part].tolist())
            texts = np.asarray(part)[own]
            every = np.concatenate([np.arange(first[text], first[text] + size[text]) for text in texts])
            self.tokens.append(torch.from_numpy(every).to(device))
            stretches = np.split(nth[texts], np.cumsum([count for count, _ in runs])[:-1])
            self.members.append(
                {length: torch.from_numpy(run).to(device) for (_, length), run in zip(runs, stretches, strict=True)}
            )

    def of_tokens(self, width: int, p: float) -> list[Tensor]:
        """Draw for `width` values of each token: (t, width) for each part."""
        whole = kept((sum(count * length for count, length in self.runs), width), p, self.device)
        return [whole[own] for own in self.tokens]

    def of_pairs(self, heads: int, p: float) -> list[list[Tensor]]:
        """Draw for each pair of tokens of a text: (heads, count, length, length) for each run of each part."""
        drawn: list[list[Tensor]] = [[] for _ in self.members]
        for count, length in self.runs:
            whole = kept((heads, count, length, length), p, self.device)
            for part, members in zip(drawn, self.members, strict=True):
                if length in members:
                    part.append(whole[:, members[length]])
        return drawn


class PartDraws:
    """The draws of one part on one way through the layers."""

    def __init__(self, batch: Draws, part: int) -> None:
        self.batch = batch
        self.part = part
        self.layer = 0

    def dropped(self, values: Tensor, p: float) -> Tensor:
        """The part's `values` (1, t, width) after dropout."""
        if levels(p) == 0:
            return values
        return scaled(values, p, self._next(lambda: self.batch.of_tokens(values.shape[-1], p)))

    def pairs(self, heads: int, p: float) -> list[Drop]:
        """Dropout of the attention (heads, count, length, length) of each run of the part's texts."""
        if levels(p) == 0:
            return [dropped] * len(self.batch.members[self.part])
        every = self._next(lambda: self.batch.of_pairs(heads, p))
        return [partial(scaled, kept=own) for own in every]

    def _next(self, draw: Callable[[], list[Any]]) -> Any:
        if self.layer == len(self.batch.held):
            self.batch.held.append(draw())
        self.layer += 1
        return self.batch.held[self.layer - 1][self.part]


def attention_within_texts(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed: Packed | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of query, key and value (1, H, T, D) of `packed` texts, each within itself; (1, T, H, D).

    Without `packed` this is the library's scaled dot-product attention.
    """
    if packed is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
        return out
    runs = zip(*(packed.apart(side[0], 1) for side in (query, key, value)), strict=True)  # (H, count, length, D) each
    drops: list[Drop] = [dropped] * len(packed.runs)
    if packed.draws is not None and dropout:
        drops = packed.draws.pairs(query.shape[1], dropout)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mixed = []
    for (q, k, v), drop in zip(runs, drops, strict=True):
        if dropout and (packed.draws is not None or not q.is_cuda):
            mixed.append(_dropped_attention(q, k, v, scale, dropout, drop).flatten(1, 2))
        else:
            own = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
            mixed.append(own.flatten(1, 2))
    return torch.cat(mixed, 1).transpose(0, 1)[None].to(query.dtype), None


def _dropped_attention(query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float, drop: Drop) -> Tensor:
    """Attention of (..., length, D) with dropout on a CPU, where the library's kernel does twice the work; or by draws.

    In float32 also under autocast: matrices as small as a sentence's are multiplied faster in it there.
    """
    with torch.autocast(query.device.type, enabled=False):
        scores = (query.float() * scale) @ key.float().transpose(-1, -2)
        return drop(scores.softmax(-1), dropout) @ value.float()


def first_position(backbone: Any) -> int | None:
    """Let `backbone` read packed texts; returns the number of a text's first position.

    None, and no change, for a backbone that cannot: its batches are padded.
    """
    config = backbone.config
    if config.model_type not in PACKABLE or config._attn_implementation not in ("sdpa", NAME) or config.is_decoder:
        return None
    AttentionInterface.register(NAME, attention_within_texts)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    backbone.set_attn_implementation(NAME)
    return config.pad_token_id + 1 if config.model_type in OFFSET_POSITIONS else 0
