"""Attention over a prefix that many rows share, without a copy of it for each row.

Hundreds of prompts begin with the same instruction and shots. Their keys and values are held once; a row holds only its
own part (the premise and what is written after it), as in Hydragen (Juravsky et al., 2024). All rows of a prefix read
it in one product, and dropping or doubling a row moves its own part alone.

The scores against both parts stand side by side under one softmax, so the result is that of ordinary attention over the
whole sequence:

    [w_shared, w_own] = softmax([q K_shared, q K_own])
    w_shared V_shared + w_own V_own

All steps of the query heads that share a key head are the rows of one product. The library's fused kernel would do without
the scores in memory, but it is made for long sequences: on pieces of some ten tokens it took twice the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "shared_prefix"


class SharedPrefix:
    """S prefixes and which of them each of R rows has.

    `states`: for each layer keys and values (S, G, P, D), shorter prefixes padded right; `lengths` their true lengths (S);
    `prefix_of` the prefix of each row (R). G: key heads, D: their width, P: the longest prefix.
    """

    def __init__(
        self, states: Sequence[tuple[Tensor, Tensor]], lengths: Sequence[int], prefix_of: Sequence[int]
    ) -> None:
        self.states = states
        self.lengths = lengths
        self.prefix_of = prefix_of
        example = states[0][0]
        padding = torch.arange(max(lengths))[None, :] >= torch.tensor(lengths)[:, None]  # (S, P)
        self.bias = hiding(padding, example.dtype).to(example.device)[:, None, None] if padding.any() else None
        # A rectangle of n rows a prefix: `packed` (S * G * n,) names its rows' key heads (filled up with those of row 0),
        # `place` (R * G,) is where in the flattened rectangle each went.
        members: list[list[int]] = [[] for _ in lengths]
        for row, prefix in enumerate(prefix_of):
            members[prefix].append(row)
        widest = max(len(rows) for rows in members)
        within = [0] * len(prefix_of)
        for rows in members:
            for order, row in enumerate(rows):
                within[row] = order
        heads = torch.arange(example.shape[1])
        filled = torch.tensor([rows + [0] * (widest - len(rows)) for rows in members])  # (S, n)
        packed = filled[:, None] * len(heads) + heads[:, None]  # (S, G, n)
        place = (torch.tensor(prefix_of)[:, None] * len(heads) + heads) * widest + torch.tensor(within)[
            :, None
        ]  # (R, G)
        self.packed, self.place = packed.flatten().to(example.device), place.flatten().to(example.device)

    def scores(self, layer: int, asked: Tensor) -> Tensor:
        """Scores of scaled queries (R, G, q, D) against their row's prefix: (R, G, q, P)."""
        scores = self._pack(asked) @ self.states[layer][0].transpose(-1, -2)
        return self._unpack(scores if self.bias is None else scores.add_(self.bias), asked)

    def mix(self, layer: int, weights: Tensor) -> Tensor:
        """Weights (R, G, q, P) of the prefix's values: (R, G, q, D)."""
        return self._unpack(self._pack(weights) @ self.states[layer][1], weights)

    def _pack(self, rows: Tensor) -> Tensor:
        """(R, G, q, x) -> (S, G, n * q, x): the rows of each prefix one below the other."""
        if len(self.lengths) == 1:
            return rows.transpose(0, 1).flatten(1, 2)[None]
        together = rows.contiguous().flatten(0, 1).index_select(0, self.packed)  # (S * G * n, q, x)
        return together.view(len(self.lengths), rows.shape[1], -1, rows.shape[3])

    def _unpack(self, packed: Tensor, like: Tensor) -> Tensor:
        """(S, G, n * q, x) -> (R, G, q, x)."""
        if len(self.lengths) == 1:
            return packed.view(like.shape[1], -1, like.shape[2], packed.shape[3]).transpose(0, 1)
        apart = packed.view(-1, like.shape[2], packed.shape[3]).index_select(0, self.place)
        return apart.view(*like.shape[:3], -1)


def hiding(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to scores so that those where `hidden` is true take no part."""
    return torch.zeros_like(hidden, dtype=dtype).masked_fill_(hidden, torch.finfo(dtype).min)


def shared_prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    prefix: SharedPrefix | None = None,
    step: bool = False,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of query (R, H, T, D) over `prefix` and own keys and values (R, G, L, D); (R, T, H, D).

    With `step` T is 1, and `attention_mask` (R, 1, 1, L) is what to add to the scores (see `hiding`). With neither step nor
    prefix this is the library's scaled dot-product attention.
    """
    if prefix is None and not step:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, position_bias=position_bias, **kwargs
        )
        return out
    rows, heads, steps, width = query.shape
    groups, length = key.shape[1:3]
    if step:
        assert attention_mask is not None
        bias = attention_mask if position_bias is None else attention_mask + position_bias  # (R, 1 or H, 1, L)
    else:
        bias = _causal(attention_mask, steps, length, query).repeat(1, 1, heads // groups, 1)  # (R or 1, 1, q, L)
    scaled = query * (width**-0.5 if scaling is None else scaling)
    asked = scaled.reshape(rows, groups, -1, width)  # (R, G, q, D)
    near = (asked @ key.transpose(-1, -2)).add_(bias)  # (R, G, q, L)
    if prefix is None:
        mixed = near.softmax(-1) @ value
    else:
        weights = torch.cat([prefix.scores(module.layer_idx, asked), near], -1).softmax(-1)
        mixed = weights[..., -length:] @ value + prefix.mix(module.layer_idx, weights[..., :-length])  # (R, G, q, D)
    return mixed.view(rows, heads, steps, width).transpose(1, 2).contiguous(), None


def _causal(mask: Tensor | None, steps: int, length: int, query: Tensor) -> Tensor:
    """What to add to the scores of the newest `steps` of `length` tokens, from the library's mask: (R or 1, 1, T, L)."""
    if mask is None:
        ahead = torch.ones((steps, length), dtype=torch.bool, device=query.device).triu(length - steps + 1)
        return hiding(ahead, query.dtype)[None, None]
    return hiding(mask[..., :length].logical_not(), query.dtype)


def install(model: Any) -> bool:
    """Let `model` attend as above; False (and no change) for one whose attention is not the plain kind."""
    config = model.config.get_text_config(decoder=True)
    special = [
        getattr(config, "sliding_window", None),
        getattr(config, "attn_logit_softcapping", None),
        [kind for kind in getattr(config, "layer_types", None) or [] if kind != "full_attention"],
    ]
    if any(special) or model.config._attn_implementation != "sdpa" or not model._can_set_attn_implementation():
        return False
    AttentionInterface.register(NAME, shared_prefix_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True
