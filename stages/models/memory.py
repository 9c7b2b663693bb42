"""Memory of a device: how much is free, how much a piece of work takes, and whether an error says that it ran out.

Arrow: none of its own; it sizes the batches of every stage (`stages/pace/batches.py`). The weights are loaded when this is
asked, so what is free is free for the work. An estimate counts what lives at once when the work needs the most: caches to
the byte, activations by their largest tensors. Where it is wrong all the same, the batch is halved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import torch

# Premises written at once. On a processor 64 was the fastest of those measured. A step on a GPU costs about the same up to
# a few thousand rows (its kernels are launched one by one, the weights are read once); a premise has four.
PREMISES = {"cpu": 64, "cuda": 512}

# Texts encoded at once: sorted by length, 64 fill a processor; a GPU wants some ten thousand tokens in a pass.
TEXTS = {"cpu": 64, "cuda": 512}

# How much of what is free a batch may take. Allocators lose some of a GPU to fragments; main memory is shared with others.
SHARE = {"cpu": 0.5, "cuda": 0.8}

# Largest tensors alive at once in a layer, beside its input: queries, keys, values and the sum (each as wide as the
# model), and the feed-forward layer's gate, its other half and their product.
HIDDEN_TENSORS, FORWARD_TENSORS = 6, 3

FLOAT32 = 4

# How messages begin that mean the same as torch.OutOfMemoryError and come as a plain RuntimeError.
OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)

# Where a container's memory is accounted: control groups of version 2 and of version 1, with their (limit, use).
CONTAINERS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def ran_out(error: BaseException) -> bool:
    """Whether `error` says that the memory of a device is used up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in OUT_OF_MEMORY)


def release() -> None:
    """Give freed blocks back to the GPU, so that smaller batches do not meet the fragments of larger ones."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def free(device: torch.device) -> int:
    """Bytes that this process may still take on `device`."""
    if device.type != "cuda":
        left = [left_in_container(*container) for container in CONTAINERS]
        return min(
            int(psutil.virtual_memory().available), *(bytes_left for bytes_left in left if bytes_left is not None)
        )
    unclaimed, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_allocated(device)
    allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total)
    # What the allocator keeps for later is free for us.
    return int(min(unclaimed + torch.cuda.memory_reserved(device), allowed) - held)


def left_in_container(folder: Path, limit: str, use: str) -> int | None:
    """Bytes a container accounted in `folder` may still take; None where there is none, or it has no limit."""
    if not (folder / limit).is_file() or (most := (folder / limit).read_text(encoding="ascii").strip()) == "max":
        return None
    # Files read lately count as used, and are dropped as soon as somebody asks for memory.
    statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    used = int((folder / use).read_text(encoding="ascii")) - int(statistics.get("inactive_file", 0))
    return max(int(most) - used, 0)


def count(device: torch.device, each: int, most: int) -> int:
    """How many pieces of work of `each` bytes fit on `device` at once: at least 1, at most `most`."""
    return max(1, min(most, int(SHARE[device.type] * free(device)) // max(each, 1)))


def cache_bytes(config: Any, positions: int, size: int) -> int:
    """Bytes of the keys and values of one stream of `positions` tokens in a decoder of `config`, `size` bytes a number."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    depth = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
    return int(2 * depth * heads * width * positions * size)


def activation_bytes(config: Any, tokens: int, seen: int, size: int) -> int:
    """Bytes of one row in the widest layer: `tokens` read at once, of which each attends to `seen`, `size` bytes a number."""
    forward = getattr(config, "intermediate_size", None) or getattr(config, "d_ff", None) or 4 * config.hidden_size
    layer = tokens * (HIDDEN_TENSORS * config.hidden_size + FORWARD_TENSORS * forward) * size
    # Scores, once more while they are masked, and their softmax in float32 and in the model's format.
    attention = config.num_attention_heads * tokens * seen * (3 * size + FLOAT32)
    return int(layer + attention)
