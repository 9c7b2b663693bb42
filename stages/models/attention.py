"""Attention over a prefix that many rows share, without a copy of it for each row.

Hundreds of prompts begin with the same instruction and shots. Their keys and values are held once; a row holds only its
own part (the premise and what is written after it). Each part is attended to by itself, and the log-sum-exps s of its
scores say how much of the whole softmax it holds, so the result is that of ordinary attention over the whole sequence:

    w Attention(q, K_shared, V_shared) + (1 - w) Attention(q, K_own, V_own),    w = sigmoid(s_shared - s_own)

All rows of a prefix read it in one product, and dropping or doubling a row moves its own part alone.
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

    `states`: for each layer keys and values (S, G, P, D), shorter prefixes padded right; `lengths` (S,) their true
    lengths; `slot` (R,) the prefix of each row. G: key heads, D: their width, P: the longest prefix.
    """

    def __init__(self, states: Sequence[tuple[Tensor, Tensor]], lengths: Tensor, slot: Tensor) -> None:
        self.states = states
        self.lengths = lengths
        self.slot = slot
        longest = states[0][0].shape[2]
        read = torch.arange(longest, device=slot.device)[None, :] < lengths[:, None]  # (S, P)
        self.seen = None if bool(read.all()) else read[:, None, None]  # (S, 1, 1, P) what is no padding
        # A rectangle of rows a prefix: `packed` (S, n) names its rows (filled up with row 0), `place` (R,) is where in
        # the flattened rectangle each row went.
        counts = torch.bincount(slot, minlength=len(lengths))
        order = torch.argsort(slot, stable=True)
        start = counts.cumsum(0) - counts
        within = torch.arange(len(slot), device=slot.device) - start[slot[order]]
        widest = int(counts.max())
        self.packed = torch.zeros((len(lengths), widest), dtype=torch.long, device=slot.device)
        self.packed[slot[order], within] = order
        self.place = torch.empty_like(slot)
        self.place[order] = slot[order] * widest + within

    def select(self, rows: Tensor) -> SharedPrefix:
        """The same prefixes for `rows` (n,) of the batch."""
        return SharedPrefix(self.states, self.lengths, self.slot[rows])

    def pack(self, rows: Tensor) -> Tensor:
        """(R, G, q, x) -> (S, G, n * q, x): the rows of each prefix one below the other."""
        if len(self.lengths) == 1:
            return rows.transpose(0, 1).reshape(1, rows.shape[1], -1, rows.shape[3])
        together = rows[self.packed].transpose(1, 2)  # (S, G, n, q, x)
        return together.reshape(len(self.lengths), rows.shape[1], -1, rows.shape[3])

    def unpack(self, packed: Tensor, queries: int) -> Tensor:
        """(S, G, n * q, x) -> (R, G, q, x)."""
        prefixes, heads, _, width = packed.shape
        apart = packed.reshape(prefixes, heads, -1, queries, width).transpose(1, 2)  # (S, n, G, q, x)
        return apart[0] if prefixes == 1 else apart.reshape(-1, heads, queries, width)[self.place]


def shared_prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    prefix: SharedPrefix | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of query (R, H, T, D) over `prefix` and own keys and values (R, G, L, D); (R, T, H, D).

    Without a prefix this is the library's scaled dot-product attention.
    """
    if prefix is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return out
    rows, heads, steps, width = query.shape
    groups, own_length = key.shape[1], key.shape[2]
    shared_keys, shared_values = prefix.states[module.layer_idx]
    # Query heads that share a key head, and all steps, read it in one product.
    asked = query.reshape(rows, groups, -1, width)  # (R, G, q, D)
    queries = asked.shape[2]
    far, far_sum = _part(prefix.pack(asked), shared_keys, shared_values, prefix.seen, scaling)
    if attention_mask is None:
        causal = torch.ones((steps, own_length), dtype=torch.bool, device=query.device).tril(own_length - steps)
        seen = causal[None, None]  # (1, 1, T, L)
    else:
        seen = attention_mask[..., :own_length]  # (R, 1, T, L)
    seen = seen[:, :, None].expand(-1, -1, heads // groups, -1, -1).reshape(len(seen), 1, queries, own_length)
    near, near_sum = _part(asked, key, value, seen, scaling)
    share = (prefix.unpack(far_sum[..., None], queries) - near_sum[..., None]).sigmoid().to(near.dtype)  # (R, G, q, 1)
    mixed = torch.lerp(near, prefix.unpack(far, queries), share)  # (R, G, q, D)
    return mixed.reshape(rows, heads, steps, width).transpose(1, 2).contiguous(), None


def _part(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention of query (B, G, q, D) over one part (B, G, L, D), and the log-sum-exp of its scores (B, G, q).

    `seen` (B or 1, 1, q or 1, L) is false where a query may not look; one that sees nothing has a sum near -inf, no NaN.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = None
    if seen is not None:
        mask = torch.zeros((), dtype=query.dtype, device=query.device).where(seen, torch.finfo(query.dtype).min)
    if query.device.type == "cpu":
        # The kernel behind scaled_dot_product_attention, which computes the sums and returns only the mixture.
        fused: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=mask, scale=scale
        )
        return fused
    scores = (query * scale @ key.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores + mask
    sums = scores.logsumexp(-1)
    return (scores - sums[..., None]).exp().to(value.dtype) @ value, sums


def install(model: Any) -> bool:
    """Let `model` read shared prefixes; False (and no change) for one whose attention is not the plain kind."""
    config = model.config.get_text_config(decoder=True)
    special = [
        getattr(config, "sliding_window", None),
        getattr(config, "attn_logit_softcapping", None),
        [kind for kind in getattr(config, "layer_types", None) or [] if kind != "full_attention"],
    ]
    if any(special) or config.is_encoder_decoder or not getattr(model, "_supports_attention_backend", False):
        return False
    if model.config._attn_implementation != "sdpa":
        return False
    AttentionInterface.register(NAME, shared_prefix_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True
