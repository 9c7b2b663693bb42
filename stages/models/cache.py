"""Keys and values of the rows being decoded, in buffers with room to spare: a step appends, it does not copy the cache."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

# Buffers grow by this many columns at a time. Fewer would copy more often, more would read more columns that are empty.
BLOCK = 16


def columns(length: int) -> int:
    """The columns of a buffer that holds `length` positions."""
    return -(-length // BLOCK) * BLOCK


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer in buffers (rows, columns, heads, width); a step writes in place.

    Attention gets all columns of a `whole` layer, those after `length` (zeros) included, and a mask must hide them: a
    slice of every row is not one piece of memory, and a matrix product would copy it first.
    """

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole
        self.length = 0
        self.buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        start, self.length = self.length, self.length + key_states.shape[2]
        new = key_states.transpose(1, 2), value_states.transpose(1, 2)  # (rows, steps, heads, width)
        self._make_room(new[0], len(new[0]))
        for buffer, states in zip(self.held(), new, strict=True):
            buffer[:, start : self.length] = states
        # The library's order (rows, heads, columns, width), without a copy.
        shown = [buffer[:, : None if self.whole else self.length].transpose(1, 2) for buffer in self.held()]
        return shown[0], shown[1]

    def get_seq_length(self) -> int:
        return self.length

    def held(self) -> tuple[Tensor, Tensor]:
        """Keys and values (rows, columns, heads, width)."""
        assert self.buffers is not None
        return self.buffers

    def put(self, rows: Tensor, other: GrowingLayer, of: Tensor, at: int, total: int) -> None:
        """Row rows[i], of `total`, takes over row of[i] of `other`, in the columns from `at` on."""
        end = at + other.length
        self.length = max(self.length, end)
        self._make_room(other.held()[0], total)
        for buffer, states in zip(self.held(), other.held(), strict=True):
            buffer[rows, at:end] = states[of, : other.length]

    def move(self, by: int) -> None:
        """Move what is held by so many columns: to the right, or (negative) to the left, dropping the first ones."""
        before, self.length = self.length, self.length + by
        if self.buffers is None:
            return
        old, dropped, start = self.buffers, max(-by, 0), max(by, 0)
        rows, _, heads, width = old[0].shape
        self._show(*(buffer.new_zeros((rows, columns(self.length), heads, width)) for buffer in old))
        for buffer, states in zip(self.held(), old, strict=True):
            buffer[:, start : self.length] = states[:, dropped:before]

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (n,) of the batch."""
        keys, values = self.held()
        self._show(keys.index_select(0, rows), values.index_select(0, rows))

    def _make_room(self, like: Tensor, rows: int) -> None:
        """Make sure that the buffers, of `rows` rows, have room for `length` columns."""
        if self.buffers is not None and self.buffers[0].shape[1] >= self.length:
            return
        old = self.buffers
        self._show(*(like.new_zeros((rows, columns(self.length), *like.shape[2:])) for _ in range(2)))
        for buffer, states in zip(self.held(), old or (), strict=False):
            buffer[:, : states.shape[1]] = states

    def _show(self, keys: Tensor, values: Tensor) -> None:
        self.buffers = keys, values
        self.keys, self.values = keys.transpose(1, 2), values.transpose(1, 2)
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True


class GrowingCache(Cache):
    """A `GrowingLayer` for each layer of `model`'s decoder, all of them treated alike."""

    def __init__(self, model: Any, whole: bool = False) -> None:
        config = model.config.get_text_config(decoder=True)
        depth = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
        self.growing = [GrowingLayer(whole) for _ in range(depth)]
        super().__init__(layers=list(self.growing))

    def put(self, rows: Tensor, other: GrowingCache, of: Tensor, at: int, total: int) -> None:
        for mine, theirs in zip(self.growing, other.growing, strict=True):
            mine.put(rows, theirs, of, at, total)

    def move(self, by: int) -> None:
        for layer in self.growing:
            layer.move(by)

    def select(self, rows: Tensor) -> None:
        for layer in self.growing:
            layer.select(rows)
