"""Bytes of the tensors that are alive, and the most there were: what an allocator would have had to find, on any device."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """Counts the storages made within the context until they are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.holders: dict[int, int] = {}  # storage -> tensors on it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        known = {self._storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(out):
            # A view of something that was there before is nobody's new memory.
            if isinstance(leaf, torch.Tensor) and (
                self._storage(leaf) in self.holders or self._storage(leaf) not in known
            ):
                self._hold(leaf)
        return out

    def _storage(self, tensor: torch.Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)

    def _hold(self, tensor: torch.Tensor) -> None:
        storage, size = self._storage(tensor), tensor.untyped_storage().nbytes()
        if storage not in self.holders:
            self.now += size
            self.peak = max(self.peak, self.now)
        self.holders[storage] = self.holders.get(storage, 0) + 1
        weakref.finalize(tensor, self._drop, storage, size)

    def _drop(self, storage: int, size: int) -> None:
        self.holders[storage] -= 1
        if not self.holders[storage]:
            del self.holders[storage]
            self.now -= size
