"""Dropout from 16 random bits a value, on a CPU.

The library draws a float for each value there, on one thread: a tenth of a training step. Four values share one 64-bit
draw here. The probability is rounded to a multiple of 2^-16, and what is kept is scaled by that rounded probability, so
the expectation is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 2**16


def dropped(values: Tensor, p: float) -> Tensor:
    """`values` with each set to 0 with probability `p` (0 <= p < 1) and the others divided by 1 - p."""
    if values.device.type != "cpu":
        return functional.dropout(values, p)
    cut = round(p * LEVELS)
    if cut == 0:
        return values
    draws = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: values.numel()].view(values.shape)  # each from -LEVELS / 2 to LEVELS / 2 - 1
    kept = bits >= cut - LEVELS // 2
    return values * kept.to(values.dtype).mul_(LEVELS / (LEVELS - cut))


class Dropout(nn.Dropout):
    """A dropout layer that draws in this way."""

    def forward(self, values: Tensor) -> Tensor:
        return dropped(values, self.p) if self.training else values


def install(model: nn.Module) -> None:
    """Put a `Dropout` of the same probability in the place of each of the library's in `model`."""
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, Dropout(child.p))
