"""Dropout from 16 random bits a value, on a CPU.

The library draws a float for each value there, on one thread: a tenth of a training step. Four values share one 64-bit
draw here. The probability is rounded to a multiple of 2^-16, and what is kept is scaled by that rounded probability, so
the expectation is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 2**16

Drop = Callable[[Tensor, float], Tensor]


def dropped(values: Tensor, p: float) -> Tensor:
    """`values` with each set to 0 with probability `p` (0 <= p < 1) and the others divided by 1 - p."""
    if values.device.type != "cpu":
        return functional.dropout(values, p)
    if levels(p) == 0:
        return values
    return scaled(values, p, kept(values.shape, p, values.device))


def levels(p: float) -> int:
    """The number of the 2^16 draws that set a value to 0."""
    return round(p * LEVELS)


def kept(shape: Sequence[int], p: float, device: torch.device) -> Tensor:
    """A draw for each of `shape`: True where the value is kept."""
    count = math.prod(shape)
    draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=device).random_(-(2**63), None)
    bits = draws.view(torch.int16)[:count].view(*shape)  # each from -LEVELS / 2 to LEVELS / 2 - 1
    return bits >= levels(p) - LEVELS // 2


def scaled(values: Tensor, p: float, kept: Tensor) -> Tensor:
    """`values` where `kept`, divided by the share that is; else 0."""
    return values * kept.to(values.dtype).mul_(LEVELS / (LEVELS - levels(p)))


_drop: ContextVar[Drop] = ContextVar("drop", default=dropped)


@contextmanager
def dropping(drop: Drop) -> Iterator[None]:
    """Let every `Dropout` drop by `drop` within the context."""
    before = _drop.set(drop)
    try:
        yield
    finally:
        _drop.reset(before)


class Dropout(nn.Dropout):
    """A dropout layer that draws in this way."""

    def forward(self, values: Tensor) -> Tensor:
        return _drop.get()(values, self.p) if self.training else values


def install(model: nn.Module) -> None:
    """Put a `Dropout` of the same probability in the place of each of the library's in `model`."""
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, Dropout(child.p))
