"""Texts laid end to end: a batch without padding.

A batch of sentences padded to its longest is half padding. Here the tokens of all texts stand in one row, shortest text
first. What looks at one token at a time (embeddings, norms, linear layers: nearly all of the arithmetic) does not notice.
Attention takes the texts of one length at a time, each looking only at itself; such a run of equal lengths is a rectangle
within the row, so no token is copied or masked. The vectors are those of the padded batch.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from stages.models.dropout import dropped

NAME = "within_texts"

# Backbones whose positions are looked up one by one and whose attention sees the whole text and nothing else.
PACKABLE = ("bert", *OFFSET_POSITIONS)


class Packed:
    """The token ids of B texts, T in all, end to end.

    `ids` and `positions` (T,), the latter from 0 within each text, or as given; `runs`: (count, length) of each stretch of
    texts of equal length; `place` (B,) where each text went.
    """

    def __init__(
        self, rows: Sequence[Sequence[int]], device: torch.device, positions: Sequence[Sequence[int]] | None = None
    ) -> None:
        order = sorted(range(len(rows)), key=lambda text: len(rows[text]))
        self.runs = [(len(list(texts)), length) for length, texts in groupby(len(rows[text]) for text in order)]
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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mixed = []
    for q, k, v in runs:
        if dropout and not q.is_cuda:
            mixed.append(_dropped_attention(q, k, v, scale, dropout).flatten(1, 2))
        else:
            own = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
            mixed.append(own.flatten(1, 2))
    return torch.cat(mixed, 1).transpose(0, 1)[None].to(query.dtype), None


def _dropped_attention(query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float) -> Tensor:
    """Attention of (..., length, D) with dropout on a CPU, where the library's kernel does twice the work.

    In float32 also under autocast: matrices as small as a sentence's are multiplied faster in it there.
    """
    with torch.autocast("cpu", enabled=False):
        scores = (query.float() * scale) @ key.float().transpose(-1, -2)
        return dropped(scores.softmax(-1), dropout) @ value.float()


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
