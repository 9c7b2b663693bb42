"""Devices and number formats: what --device and --dtype mean on this machine. Loads torch, but no model library."""

from __future__ import annotations

import torch

from stages.models.problem import Unusable


def device(name: str) -> torch.device:
    """The device called `name`: auto, cpu, cuda or cuda:N. Raises Unusable where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(name)
    except RuntimeError:
        raise Unusable(f"--device {name!r} is not known", "give auto, cpu, cuda or cuda:N") from None
    if wanted.type not in ("cpu", "cuda"):
        raise Unusable(f"--device {name!r} is not supported", "give auto, cpu, cuda or cuda:N")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise Unusable(
            f"--device {name} was asked for, and this machine has {count or 'no'} CUDA device{'s' * (count != 1)}",
            "use --device auto or --device cpu",
        )
    return wanted


def dtype(name: str, where: torch.device) -> str:
    """`name`, with auto resolved: bfloat16 where the processor multiplies it faster than float32, else float32."""
    if name != "auto":
        return name
    if where.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu.get_capabilities()
        fast = bool(has.get("amx_bf16") or has.get("avx512_bf16"))
    return "bfloat16" if fast else "float32"
