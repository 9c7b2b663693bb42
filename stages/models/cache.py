"""Keys and values of the rows being decoded, in buffers allocated once: a step appends instead of copying the whole cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer in a buffer with room for `capacity` positions; a step writes in place."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0
        self.key_buffer: Tensor | None = None
        self.value_buffer: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.key_buffer is None or self.value_buffer is None:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.key_buffer, self.value_buffer = self._room_like(key_states), self._room_like(value_states)
            self.is_initialized = True
        start, end = self.length, self.length + key_states.shape[-2]
        self.key_buffer[:, :, start:end] = key_states
        self.value_buffer[:, :, start:end] = value_states
        self._show(end)
        return self.filled()

    def filled(self) -> tuple[Tensor, Tensor]:
        """Keys and values (rows, heads, length, width) of the positions read so far."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (n,) of the batch; only the filled part of the buffers is copied."""
        keys, values = self.filled()
        self.key_buffer, self.value_buffer = self._room_like(keys, len(rows)), self._room_like(values, len(rows))
        torch.index_select(keys, 0, rows, out=self.key_buffer[:, :, : self.length])
        torch.index_select(values, 0, rows, out=self.value_buffer[:, :, : self.length])
        self._show(self.length)

    def _room_like(self, states: Tensor, rows: int | None = None) -> Tensor:
        batch, heads, _, width = states.shape
        return states.new_empty((batch if rows is None else rows, heads, self.capacity, width))

    def _show(self, length: int) -> None:
        assert self.key_buffer is not None
        assert self.value_buffer is not None
        self.length = length
        self.keys, self.values = self.key_buffer[:, :, :length], self.value_buffer[:, :, :length]


class GrowingCache(Cache):
    """A `GrowingLayer` for each layer of `model`'s decoder."""

    def __init__(self, model: Any, capacity: int) -> None:
        config = model.config.get_text_config(decoder=True)
        depth = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
        self.growing = [GrowingLayer(capacity) for _ in range(depth)]
        super().__init__(layers=list(self.growing))

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (n,) of the batch in every layer."""
        for layer in self.growing:
            layer.select(rows)
