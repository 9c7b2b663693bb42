"""Where the models of gen and score work: in this process, or in many (Ray). None of it is config: the rows are the same."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.settings import Settings, setting
from store.problem import Problem

if TYPE_CHECKING:
    from stages.pace.workers import Engine


@dataclass(frozen=True, kw_only=True)
class Workplace(Settings):
    """One process, or many. Raises Problem for what cannot be."""

    engine: str = setting(
        "the model in this process, or in many by Ray", "local", choices=("local", "ray"), metavar="local|ray"
    )
    workers: int | None = setting(
        "with engine=ray: models at once", None, usual="one a GPU; without GPUs, one a machine", low=1
    )
    ray_address: str | None = setting(
        "with engine=ray: the cluster",
        None,
        usual="one is started on this machine, and ended",
        metavar="HOST:PORT",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("workers", self.workers), ("ray_address", self.ray_address)):
            if self.engine == "local" and value is not None:
                raise Problem(f"{name} {value} goes with engine=ray", "leave it out, or give engine=ray", name)
        _, colon, port = (self.ray_address or "HOST:1").rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise Problem(
                f"ray_address {self.ray_address} is not HOST:PORT", "give what `ray start --head` said", "ray_address"
            )
        if self.engine == "ray" and importlib.util.find_spec("ray") is None:
            raise Problem("engine ray needs Ray, which is not installed", "pip install 'multicsr[ray]'", "engine")

    def refuse(self, config: Any, device: str) -> None:
        """Raise Problem if this is no place for the model of a gen or score run with `config`, found on `device`."""
        if self.engine == "local":
            return
        if device == "server":
            raise Problem(
                f"engine ray spreads an LLM of one's own, and {config.llm} is behind a server",
                "leave it out; in_flight=N has more requests answered at once",
                "engine",
            )
        if getattr(config, "kind", None) == "encoder":
            raise Problem(
                f"engine ray does not go with by={config.by}: its vectors are kept in the store, for one process",
                "leave it out; an encoder is fast",
                "engine",
            )
        if device not in ("cpu", "cuda"):
            raise Problem(
                f"device {device} is one GPU, and engine=ray gives each worker its own", "give cuda", "device"
            )

    def opened(self, device: str) -> AbstractContextManager[Engine]:
        """The engine; no process of it outlives the context."""
        if self.engine == "local":
            from stages.pace.workers import InProcess

            return nullcontext(InProcess())
        from stages.pace.ray_workers import RayWorkers

        return RayWorkers(self.workers, self.ray_address, device)


HERE = Workplace()
