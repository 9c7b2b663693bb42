"""Operations and bytes that a decoder-only model cannot do without, counted from its shape.

A product of (m, k) and (k, n) is 2 m k n operations. So a token costs twice the weights of the layers; at each layer it
also looks at every position up to its own, twice (scores and mixture) over all heads. A position whose next token is asked
for costs twice the output layer.
"""

from __future__ import annotations

from typing import Any


def reading(model: Any, start: int, end: int) -> float:
    """Operations for the tokens of one text at places `start` (computed before: none of its cost) to `end`."""
    layers = sum(weight.numel() for name, weight in model.named_parameters() if ".layers." in name)
    seen = sum(range(start + 1, end + 1))  # the token at place t sees t + 1 positions
    width = model.config.num_attention_heads * model.config.head_dim
    found: float = 2.0 * layers * (end - start) + 4.0 * width * model.config.num_hidden_layers * seen
    return found


def choosing(model: Any, positions: int) -> float:
    """Operations of the output layer for so many positions."""
    found: float = 2.0 * model.config.hidden_size * model.config.vocab_size * positions
    return found


def weights(model: Any) -> int:
    """Bytes of all weights: what every forward pass moves at least."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
