"""What every benchmark needs: a race of two sides in one process, the limit of the machine, and a record of both.

A benchmark file holds one claim. Its `measure(settings)` runs our side and the reference in turn, several rounds, checks
that both give the same result (a difference raises, so no figure is written for a wrong answer), and returns a
`Record`. `python -m benchmarks` runs the files, each in a process of its own, writes one JSON file a claim to
`benchmarks/records/`, and prints the table; `python -m benchmarks --readme` puts that table into README.md.

Times on shared machines wander: only ratios of one run are worth quoting, and a record keeps every round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from store import whole

RECORDS = Path(__file__).parent / "records"

PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy", "pandas", "sqlite-utils")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """What the command line sets: data in the layout of `--data`, rounds of a race, the device, and a small size that
    tries a benchmark out without being a measurement."""

    data: Path | None
    rounds: int
    device: str
    quick: bool


@dataclass(frozen=True)
class Race:
    """Seconds of each round of our side and the reference, run in turn."""

    ours: list[float]
    reference: list[float]

    @property
    def ratio(self) -> float:
        """How many times faster ours is, by the medians."""
        return statistics.median(self.reference) / statistics.median(self.ours)


@dataclass(frozen=True)
class Limit:
    """What the machine could do at best: operations and bytes needed, against what a product and a copy reach in this
    very run. The larger of the two times is the limit; computing and moving may overlap."""

    flop: float
    bytes: float
    flop_per_second: float
    bytes_per_second: float

    @property
    def seconds(self) -> float:
        return max(self.flop / self.flop_per_second, self.bytes / self.bytes_per_second)


@dataclass(frozen=True)
class Record:
    """One claim, measured. `unit` and `count`: what was done how often in a round; `same` says what was compared."""

    name: str
    claim: str
    reference: str
    at_least: float | None
    unit: str
    count: int
    race: Race
    same: str
    sizes: Mapping[str, Any]
    limit: Limit | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The record as it is written."""
        ours, reference = statistics.median(self.race.ours), statistics.median(self.race.reference)
        found = {
            "name": self.name,
            "claim": self.claim,
            "reference": self.reference,
            "at_least": self.at_least,
            "ratio": round(self.race.ratio, 3),
            "unit": self.unit,
            "count": self.count,
            "ours_per_second": round(self.count / ours, 3),
            "reference_per_second": round(self.count / reference, 3),
            "seconds": {"ours": self.race.ours, "reference": self.race.reference},
            "same": self.same,
            "sizes": dict(self.sizes),
            "extra": dict(self.extra),
            **_when_and_where(),
        }
        if self.limit is not None:
            found["limit"] = {
                **asdict(self.limit),
                "seconds": self.limit.seconds,
                "share_reached": round(self.limit.seconds / ours, 3),
            }
        return found


@dataclass(frozen=True)
class Bound:
    """One claim with nothing to race against: what was measured must stay below what is asked. Seconds of each round, and
    where memory is asked for, the most bytes a round held."""

    name: str
    claim: str
    seconds: list[float]
    at_most_seconds: float
    same: str
    sizes: Mapping[str, Any]
    memory: int | None = None
    at_most_memory: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The record as it is written."""
        return {
            "name": self.name,
            "claim": self.claim,
            "measured": {"seconds": round(statistics.median(self.seconds), 3), "bytes": self.memory},
            "at_most": {"seconds": self.at_most_seconds, "bytes": self.at_most_memory},
            "seconds": self.seconds,
            "same": self.same,
            "sizes": dict(self.sizes),
            "extra": dict(self.extra),
            **_when_and_where(),
        }


def _when_and_where() -> dict[str, Any]:
    return {"date": date.today().isoformat(), "machine": machine(), "versions": versions()}


@dataclass(frozen=True)
class Ended:
    """A process that ran to its end, or until it said what was waited for. `memory` is the most bytes it held, or what this
    process held when it started it, whichever is more: Linux counts from before the command takes its place."""

    seconds: float
    memory: int
    out: str


def process(command: Sequence[str], until: str | None = None) -> Ended:
    """Run a command as a user does. With `until`, only up to the line on stderr that holds it; then it is stopped.

    Raises RuntimeError where the command fails, or ends without having said it.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        going = subprocess.Popen(command, stdout=out, stderr=err if until is None else subprocess.PIPE, text=True)
        said = until is None
        if going.stderr is not None:
            said = any(until in line for line in going.stderr if until is not None)
        seconds = time.perf_counter() - started
        if until is not None:
            going.kill()
        _, status, usage = os.wait4(going.pid, 0)
        if until is None:
            seconds = time.perf_counter() - started
        going.returncode = os.waitstatus_to_exitcode(status)
        if going.stderr is not None:
            going.stderr.close()
        out.seek(0)
        if not said or (until is None and going.returncode):
            err.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {going.returncode}: {err.read()}")
        return Ended(seconds, usage.ru_maxrss * 1024, out.read())


def race(ours: Callable[[], Result], reference: Callable[[], Result], rounds: int) -> tuple[Race, Result, Result]:
    """Run both in turn, `rounds` times after one round that does not count; (seconds, our last result, its last one)."""
    times: tuple[list[float], list[float]] = ([], [])
    results: list[Result] = []
    for counted in [False] + [True] * rounds:
        results = []
        for side, run in zip(times, (ours, reference), strict=True):
            seconds, result = timed(run)
            results.append(result)
            if counted:
                side.append(round(seconds, 4))
    return Race(*times), results[0], results[1]


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """(seconds, result); a GPU is waited for."""
    wait()
    start = time.perf_counter()
    result = run()
    wait()
    return time.perf_counter() - start, result


def wait() -> None:
    """Until the GPU has done what it was given, if there is one and torch is loaded."""
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def limit(
    flop: float, moved: float, dtype: str, device: str = "cpu", shape: tuple[int, int, int] | None = None
) -> Limit:
    """The machine's limit for `flop` operations in `dtype` and `moved` bytes, measured now.

    `shape` (m, k, n) of the product that is timed; by default one that is large enough to reach the peak.
    """
    import torch

    number_format = getattr(torch, dtype)
    m, k, n = shape or ((8192, 8192, 8192) if device.startswith("cuda") else (2048, 2048, 2048))
    left, right = (torch.randn(size, device=device).to(number_format) for size in ((m, k), (k, n)))
    product = 2 * m * k * n / min(timed(lambda: left @ right)[0] for _ in range(6))
    source = torch.empty(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    # A copy reads and writes every byte.
    copied = 2 * source.numel() / min(timed(lambda: target.copy_(source))[0] for _ in range(6))
    return Limit(flop, moved, product, copied)


def peak_memory() -> int:
    """Bytes of main memory this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    import sys

    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = torch.get_num_threads()
        found["features"] = [name for name in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if _has(torch, name)]
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    """Versions of the libraries that matter for speed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write(record: dict[str, Any], folder: Path) -> Path:
    """Write a record into `folder`; the file appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{record['name']}.json"
    return whole.write(target, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def settings(arguments: argparse.Namespace) -> Settings:
    """The parsed command line as settings."""
    return Settings(arguments.data, arguments.rounds, arguments.device, arguments.quick)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _has(torch: Any, feature: str) -> bool:
    return bool(torch.cpu.get_capabilities().get(feature))
