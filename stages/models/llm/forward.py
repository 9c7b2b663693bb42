"""One forward pass over many texts: which go together, how they are padded, which positions go through the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# Tokens read in one forward pass. More gains nothing on a processor: the matrix products are saturated, and activations
# that leave its cache cost more than they save. A GPU wants some ten thousand.
TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16384}


def pieces(
    lengths: Sequence[int], device: torch.device, prefixes: Sequence[tuple[int, ...]] | None = None
) -> Iterator[list[int]]:
    """Places of texts to read together: alike lengths, padded to at most `TOKENS_AT_ONCE` tokens; one prefix, if given."""
    group = prefixes or [()] * len(lengths)
    piece: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (group[place], lengths[place])):
        # In this order the newest is the longest.
        full = lengths[place] * (len(piece) + 1) > TOKENS_AT_ONCE[device.type]
        if piece and (full or group[place] != group[piece[0]]):
            yield piece
            piece = []
        piece.append(place)
    if piece:
        yield piece


@contextmanager
def only_asked(model: Any, rows: Sequence[int], places: Sequence[int]) -> Iterator[None]:
    """Let the output layer see only position places[i] of row rows[i]: its logits become (len(rows), V)."""

    def pick(layer: torch.nn.Module, states: tuple[Tensor]) -> tuple[Tensor]:  # (rows, T, width) -> (n, width)
        return (states[0][list(rows), list(places)],)

    # Whatever a model does with its logits afterwards (capping, scaling) is done to each alone, so it stays right.
    hook = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()


def padded_right(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and their mask (rows, longest)."""
    width = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)
