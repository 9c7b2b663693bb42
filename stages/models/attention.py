"""Attention over a prefix that many rows share, without a copy of it for each row.

Hundreds of prompts begin with the same instruction and shots. Their keys and values are held once; a row holds only its
own part (the premise and what is written after it). All rows of a prefix read it in one product, and dropping or doubling
a row moves its own part alone.

Reading many tokens at a time, each part is attended to by itself, by the library's fused kernel. The log-sum-exps s of
their scores say how much of the whole softmax each holds, so the result is that of ordinary attention over the sequence:

    w Attention(q, K_shared, V_shared) + (1 - w) Attention(q, K_own, V_own),    w = sigmoid(s_shared - s_own)

Writing, each row asks with one token, and what costs is the number of small products; see `_one_step`.
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

    `states`: for each layer keys and values (S, P, G, D), shorter prefixes padded right; `lengths` their true lengths (S);
    `slots` the prefix of each row (R). G: key heads, D: their width, P: the longest prefix.
    """

    def __init__(self, states: Sequence[tuple[Tensor, Tensor]], lengths: Sequence[int], slots: Sequence[int]) -> None:
        self.states = states
        self.lengths = lengths
        self.slots = slots
        example = states[0][0]
        padding = torch.arange(max(lengths))[None, :] >= torch.tensor(lengths)[:, None]  # (S, P)
        self.bias = hiding(padding, example.dtype).to(example.device) if padding.any() else None
        # A rectangle of rows a prefix: `packed` (S * n,) names its rows (filled up with row 0), `place` (R,) is where in
        # the flattened rectangle each row went.
        members: list[list[int]] = [[] for _ in lengths]
        for row, slot in enumerate(slots):
            members[slot].append(row)
        widest = max(len(rows) for rows in members)
        place = [0] * len(slots)
        for slot, rows in enumerate(members):
            for within, row in enumerate(rows):
                place[row] = slot * widest + within
        filled = [rows + [0] * (widest - len(rows)) for rows in members]
        self.packed = torch.tensor(filled, device=example.device).flatten()
        self.place = torch.tensor(place, device=example.device)

    def pack(self, rows: Tensor) -> Tensor:
        """(R, G, q, x) -> (S, G, n * q, x): the rows of each prefix one below the other."""
        if len(self.lengths) == 1:
            return rows.transpose(0, 1).reshape(1, rows.shape[1], -1, rows.shape[3])
        together = rows.index_select(0, self.packed).view(len(self.lengths), -1, *rows.shape[1:])  # (S, n, G, q, x)
        return together.transpose(1, 2).reshape(len(self.lengths), rows.shape[1], -1, rows.shape[3])

    def unpack(self, packed: Tensor, queries: int) -> Tensor:
        """(S, G, n * q, x) -> (R, G, q, x)."""
        prefixes, heads, _, width = packed.shape
        apart = packed.reshape(prefixes, heads, -1, queries, width).transpose(1, 2)  # (S, n, G, q, x)
        return apart[0] if prefixes == 1 else apart.reshape(-1, heads, queries, width).index_select(0, self.place)

    def scores(self, layer: int, asked: Tensor) -> Tensor:
        """Scaled queries (R, H, G * D), each at its group's place, against their row's prefix: (R, H, P)."""
        keys = self.states[layer][0].flatten(2).transpose(1, 2)  # (S, G * D, P)
        packed = self._pack_heads(asked)
        scores = packed @ keys if self.bias is None else torch.baddbmm(self.bias[:, None], packed, keys)
        return self._unpack_heads(scores, asked)

    def mix(self, layer: int, weights: Tensor) -> Tensor:
        """Weights (R, H, P) of the prefix's values: (R, H, G * D)."""
        return self._unpack_heads(self._pack_heads(weights) @ self.states[layer][1].flatten(2), weights)

    def _pack_heads(self, rows: Tensor) -> Tensor:  # (R, H, x) -> (S, n * H, x)
        together = rows if len(self.lengths) == 1 else rows.index_select(0, self.packed)
        return together.view(len(self.lengths), -1, rows.shape[2])

    def _unpack_heads(self, packed: Tensor, like: Tensor) -> Tensor:  # (S, n * H, x) -> (R, H, x)
        apart = packed.view(-1, like.shape[1], packed.shape[2])
        return apart if len(self.lengths) == 1 else apart.index_select(0, self.place)


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
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of query (R, H, T, D) over `prefix` and own keys and values (R, G, L, D); (R, T, H, D).

    With `step` T is 1, and `attention_mask` (R, 1, 1, L) is what to add to the scores (see `hiding`). With neither step nor
    prefix this is the library's scaled dot-product attention.
    """
    if step:
        return _one_step(module, query, key, value, attention_mask, scaling, prefix, **kwargs), None
    if prefix is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return out
    rows, heads, steps, width = query.shape
    groups, own_length = key.shape[1], key.shape[2]
    shared_keys, shared_values = (states.transpose(1, 2) for states in prefix.states[module.layer_idx])
    # Query heads that share a key head, and all steps, read it in one product.
    asked = query.reshape(rows, groups, -1, width)  # (R, G, q, D)
    queries = asked.shape[2]
    bias = None if prefix.bias is None else prefix.bias[:, None, None]  # (S, 1, 1, P)
    far, far_sum = _part(prefix.pack(asked), shared_keys, shared_values, bias, scaling)
    if attention_mask is None:
        ahead = torch.ones((steps, own_length), dtype=torch.bool, device=query.device).triu(own_length - steps + 1)
        attention_mask = ahead.logical_not()[None, None]  # (1, 1, T, L)
    hidden = attention_mask[..., :own_length].logical_not()
    hidden = hidden[:, :, None].expand(-1, -1, heads // groups, -1, -1).reshape(len(hidden), 1, queries, own_length)
    near, near_sum = _part(asked, key, value, hiding(hidden, query.dtype), scaling)
    share = (prefix.unpack(far_sum[..., None], queries) - near_sum[..., None]).sigmoid().to(near.dtype)  # (R, G, q, 1)
    mixed = torch.lerp(near, prefix.unpack(far, queries), share)  # (R, G, q, D)
    return mixed.reshape(rows, heads, steps, width).transpose(1, 2).contiguous(), None


def _one_step(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    scaling: float | None,
    prefix: SharedPrefix | None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> Tensor:
    """Attention of one query a row (R, H, 1, D): (R, 1, H, D).

    A row's own part is short, so one small product a key head would spend its time on being called. Instead all heads of a
    row take one product: each query stands at the place of its head's group, with zeros elsewhere.
    """
    rows, heads, _, width = query.shape
    groups, length = key.shape[1:3]
    asked = query.new_zeros((rows, groups, heads // groups, groups, width))
    own_place = asked.diagonal(dim1=1, dim2=3)  # (R, H / G, D, G)
    scaled = query * (width**-0.5 if scaling is None else scaling)
    own_place.copy_(scaled.view(rows, groups, -1, width).permute(0, 2, 3, 1))
    asked = asked.view(rows, heads, groups * width)
    # As the cache holds them: (R, L, G * D).
    keys, values = (states.transpose(1, 2).reshape(rows, length, -1) for states in (key, value))
    assert bias is not None
    added = bias[:, 0] if position_bias is None else bias[:, 0] + position_bias[:, :, 0]
    weights = near = torch.baddbmm(added.expand(rows, -1, length), asked, keys.transpose(1, 2))  # (R, H, L)
    if prefix is not None:
        weights = torch.cat([prefix.scores(module.layer_idx, asked), near], -1)
    weights = weights.softmax(-1)
    mixed = weights[..., -length:] @ values  # (R, H, G * D)
    if prefix is not None:
        mixed = mixed + prefix.mix(module.layer_idx, weights[..., :-length])
    own_place = mixed.view(rows, groups, -1, groups, width).diagonal(dim1=1, dim2=3)  # (R, H / G, D, G)
    return own_place.permute(0, 3, 1, 2).reshape(rows, 1, heads, width)


def _part(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention of query (B, G, q, D) over one part (B, G, L, D), and the log-sum-exp of its scores (B, G, q).

    `bias` (B or 1, 1, q or 1, L) hides what a query may not look at; one that sees nothing has a sum near -inf, no NaN.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.device.type == "cpu":
        # The kernel behind scaled_dot_product_attention, which computes the sums and returns only the mixture.
        fused: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=bias, scale=scale
        )
        return fused
    scores = (query * scale @ key.transpose(-1, -2)).float()
    if bias is not None:
        scores = scores + bias
    sums = scores.logsumexp(-1)
    return (scores - sums[..., None]).exp().to(value.dtype) @ value, sums


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
