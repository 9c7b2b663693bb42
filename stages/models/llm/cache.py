"""Keys and values of the rows being decoded, in buffers with room to spare: a step appends, it does not copy the cache.

What a row may not see of the common columns, a mask hides (`MaskedCache`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicLayer

from stages.models.llm.attention import hiding

# Buffers grow by this many columns at a time. Fewer would copy more often, more would read more columns that are empty.
BLOCK = 16


def columns(length: int) -> int:
    """The columns of a buffer that holds `length` positions."""
    return -(-length // BLOCK) * BLOCK


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer in buffers (rows, heads, columns, width); a step writes in place.

    Attention gets all columns of a `whole` layer, those after `length` (zeros) included, and a mask must hide them: a
    slice of every row is not one piece of memory, and a matrix product would copy it first.
    """

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole
        self.length = 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        start, self.length = self.length, self.length + key_states.shape[2]
        self._make_room(key_states, len(key_states))
        keys, values = self.held()
        keys[:, :, start : self.length], values[:, :, start : self.length] = key_states, value_states
        return (keys, values) if self.whole else (keys[:, :, : self.length], values[:, :, : self.length])

    def get_seq_length(self) -> int:
        return self.length

    def held(self) -> tuple[Tensor, Tensor]:
        """Keys and values (rows, heads, columns, width)."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def put(self, rows: Tensor, other: GrowingLayer, of: Tensor, at: int, total: int) -> None:
        """Row rows[i], of `total`, takes over row of[i] of `other`, in the columns from `at` on."""
        end = at + other.length
        self.length = max(self.length, end)
        self._make_room(other.held()[0], total)
        for buffer, states in zip(self.held(), other.held(), strict=True):
            buffer[rows, :, at:end] = states[of, :, : other.length]

    def move(self, by: int) -> None:
        """Move what is held by so many columns: to the right, or (negative) to the left, dropping the first ones."""
        before, self.length = self.length, self.length + by
        if self.is_initialized:
            self._show(
                *(_widened(buffer[:, :, max(-by, 0) : before], self.length, max(by, 0)) for buffer in self.held())
            )

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (n,) of the batch."""
        keys, values = self.held()
        self._show(keys.index_select(0, rows), values.index_select(0, rows))

    def _make_room(self, like: Tensor, rows: int) -> None:
        """Make sure that the buffers, of `rows` rows, have room for `length` columns."""
        if not self.is_initialized:
            empty = like.new_empty((rows, like.shape[1], 0, like.shape[3]))
            self._show(_widened(empty, self.length), _widened(empty, self.length))
        elif self.held()[0].shape[2] < self.length:
            self._show(*(_widened(buffer, self.length) for buffer in self.held()))

    def _show(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True


def _widened(states: Tensor, length: int, start: int = 0) -> Tensor:
    """`states` (rows, heads, n, width) from column `start` on in a buffer with room for `length`, zeros in the others."""
    rows, heads, held, width = states.shape
    buffer = states.new_empty((rows, heads, columns(length), width))
    buffer[:, :, :start] = 0
    buffer[:, :, start : start + held] = states
    buffer[:, :, start + held :] = 0
    return buffer


class GrowingCache(Cache):
    """A `GrowingLayer` for each layer of `model`'s decoder, all of them treated alike."""

    def __init__(self, model: Any, whole: bool = False) -> None:
        config = model.config.get_text_config(decoder=True)
        depth = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
        self.growing = [GrowingLayer(whole) for _ in range(depth)]
        super().__init__(layers=list(self.growing))

    def put(self, rows: Tensor, other: GrowingCache, of: Tensor, at: int, total: int) -> None:
        """Row rows[i], of `total`, takes over row of[i] of `other`, in the columns from `at` on."""
        for mine, theirs in zip(self.growing, other.growing, strict=True):
            mine.put(rows, theirs, of, at, total)

    def move(self, by: int) -> None:
        """Move what is held by so many columns, in every layer."""
        for layer in self.growing:
            layer.move(by)

    def select(self, rows: Tensor) -> None:
        """Keep `rows` (n,) of the batch, in every layer."""
        for layer in self.growing:
            layer.select(rows)


class MaskedCache:
    """The cache of `model` for `rows` rows, and which of its columns each row may see.

    `plain`: whether the model attends the way `attention.py` does, to whole buffers and with a mask to be added to scores.
    """

    def __init__(self, model: Any, rows: int, plain: bool) -> None:
        self.plain = plain
        self.dtype, self.device = model.dtype, model.device
        self.cache = GrowingCache(model, whole=plain)
        self.hidden = torch.ones((rows, 0), dtype=torch.bool, device=self.device)  # (rows, columns)
        self.first = [0] * rows  # the first column each row may see

    @property
    def width(self) -> int:
        """Columns in use."""
        return self.cache.growing[0].length

    def put(self, rows: Sequence[int], read: GrowingCache, of: Sequence[int], lengths: Sequence[int], at: int) -> None:
        """Row rows[i] takes over row of[i] of `read`, of which lengths[of[i]] columns count, in the columns from `at` on."""
        index, source = (torch.tensor(list(places), device=self.device) for places in (rows, of))
        self.cache.put(index, read, source, at, len(self.hidden))
        self._make_room()
        end = at + read.growing[0].length
        counted = torch.tensor([lengths[place] for place in of], device=self.device)
        self.hidden[index] = True
        self.hidden[index, at:end] = torch.arange(end - at, device=self.device)[None] >= counted[:, None]
        for row in rows:
            self.first[row] = at

    def move(self, by: int) -> None:
        """Move all columns to the right, or (negative) to the left over the first ones."""
        self.cache.move(by)
        moved = torch.ones((len(self.hidden), columns(self.width)), dtype=torch.bool, device=self.device)
        kept = self.hidden[:, max(-by, 0) : self.width - by]
        moved[:, max(by, 0) : max(by, 0) + kept.shape[1]] = kept
        self.hidden = moved
        self.first = [column + by for column in self.first]

    def show_next(self) -> None:
        """Every row may see the column that is about to be written."""
        if self.width == self.hidden.shape[1]:
            self.hidden = functional.pad(self.hidden, (0, BLOCK), value=True)
        self.hidden[:, self.width] = False

    def select(self, index: Tensor, rows: Sequence[int]) -> None:
        """Keep `rows`, in that order; `index` (n,) are the same on the device."""
        self.cache.select(index)
        self.hidden = self.hidden[index]
        self.first = [self.first[row] for row in rows]

    def mask(self, width: int) -> Tensor:
        """The attention mask for one more token a row, over `width` columns."""
        if self.plain:
            return hiding(self.hidden[:, None, None], self.dtype)  # (rows, 1, 1, columns)
        return self.hidden[:, :width].logical_not().long()  # (rows, width), as the library takes it

    def _make_room(self) -> None:
        wanted = columns(self.width) - self.hidden.shape[1]
        if wanted > 0:
            self.hidden = functional.pad(self.hidden, (0, wanted), value=True)
