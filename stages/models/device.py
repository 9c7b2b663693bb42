"""Devices and number formats: what --device and --dtype mean on this machine.

Loads torch only where the answer needs it: a command with nothing left to do must say so at once, and loading torch takes
about a second.
"""

from __future__ import annotations

import sys
from pathlib import Path

from store.problem import Problem

# What a graphics driver puts there: NVIDIA's, that of Windows' Linux, AMD's.
DRIVERS = ("nvidia*", "dxg", "kfd")

# How Linux names the instructions that multiply bfloat16 faster than float32.
FAST_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16"})


def device(name: str) -> str:
    """The device called `name` (auto, cpu, cuda or cuda:N), as torch calls it. Raises Problem where it is not there."""
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(name)
    except RuntimeError:
        raise Problem(f"device {name!r} is not known", "give auto, cpu, cuda or cuda:N", "device") from None
    if wanted.type not in ("cpu", "cuda"):
        raise Problem(f"device {name!r} is not supported", "give auto, cpu, cuda or cuda:N", "device")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise Problem(
            f"device {name} was asked for, and this machine has {count or 'no'} CUDA device{'s' * (count != 1)}",
            "use device=auto or device=cpu",
            "device",
        )
    return str(wanted)


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """False only where there is certainly none: on Linux, without a driver's files. Elsewhere only torch can tell."""
    return sys.platform != "linux" or any(True for driver in DRIVERS for _ in devices.glob(driver))


def dtype(name: str, where: str) -> str:
    """`name`, with auto resolved: bfloat16 where the device multiplies it faster than float32, else float32."""
    if name != "auto":
        return name
    if where.startswith("cuda"):
        import torch

        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = bool(processor_flags() & FAST_BFLOAT16)
    return "bfloat16" if fast else "float32"


def processor_flags(listing: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, in the words of Linux; on another system asked of torch."""
    if not listing.is_file():
        import torch

        return frozenset(name for name, has in torch.cpu.get_capabilities().items() if has is True)
    lines = listing.read_text(encoding="ascii", errors="replace").splitlines()
    return frozenset(flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split())
