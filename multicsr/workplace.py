"""Where the models of gen and score work: in this process, or in many (Ray). None of it is config: the rows are the same."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.names import Plan
    from stages.pace.workers import Engine

EngineName = Annotated[
    str, typer.Option("--engine", metavar="local|ray", help="The model in this process, or in many by Ray.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="With --engine ray: models at once.",
        show_default="one a GPU; without GPUs, one a machine",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="With --engine ray: the cluster.",
        show_default="one is started on this machine, and ended",
    ),
]


@dataclass(frozen=True)
class Workplace:
    """The options, as they were typed. Raises Problem for what cannot be, before anything is written."""

    engine: str = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ("local", "ray"):
            raise Problem(f"--engine {self.engine!r} is not known", "give local or ray")
        for flag, value in (("--workers", self.workers), ("--ray-address", self.address)):
            if self.engine == "local" and value is not None:
                raise Problem(f"{flag} {value} goes with --engine ray", "leave it out, or give --engine ray")
        if self.workers is not None and self.workers < 1:
            raise Problem(f"--workers {self.workers} is out of range", "give a whole number of at least 1")
        _, colon, port = (self.address or "HOST:1").rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise Problem(f"--ray-address {self.address} is not HOST:PORT", "give what `ray start --head` said")
        if self.engine == "ray" and importlib.util.find_spec("ray") is None:
            raise Problem("--engine ray needs Ray, which is not installed", "pip install 'multicsr[ray]'")

    def refuse(self, made: Plan) -> None:
        """Raise Problem if this is no place for the run's model."""
        if self.engine == "local":
            return
        if made.device == "server":
            raise Problem(
                f"--engine ray spreads an LLM of one's own, and {made.config.llm} is behind a server",
                "leave it out; --in-flight N has more requests answered at once",
            )
        if getattr(made.config, "kind", None) == "encoder":
            raise Problem(
                f"--engine ray does not go with --by {made.config.by}: its vectors are kept in the store, for one process",
                "leave it out; an encoder is fast",
            )
        if made.device not in ("cpu", "cuda"):
            raise Problem(f"--device {made.device} is one GPU, and --engine ray gives each worker its own", "give cuda")

    def opened(self, device: str) -> AbstractContextManager[Engine]:
        """The engine; no process of it outlives the context."""
        if self.engine == "local":
            from stages.pace.workers import InProcess

            return nullcontext(InProcess())
        from stages.pace.ray_workers import RayWorkers

        return RayWorkers(self.workers, self.address, device)


HERE = Workplace()
