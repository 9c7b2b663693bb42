"""Models with little memory: real ones that refuse, as a GPU would, a forward pass over too many rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def memory_for(module: nn.Module, rows: int) -> Iterator[list[int]]:
    """Within the context `module` runs out of memory when it reads more than `rows` rows (of a tensor, or of a list of token
    ids); yields the rows it refused."""
    refused: list[int] = []

    def refuse(_module: nn.Module, args: Any, kwargs: Any) -> None:
        given = (value for value in (*args, *kwargs.values()) if isinstance(value, (Tensor, list)))
        # What has a gradient is a weight: the word vectors that a training hands over.
        asked = max(len(value) for value in given if not getattr(value, "requires_grad", False))
        if asked > rows:
            refused.append(asked)
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {asked} rows.")

    hook = module.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield refused
    finally:
        hook.remove()
