"""A stage's model in many processes, on one machine or a cluster, by Ray. Arrow: missing rows -> finished rows.

The driver, which is the store's one writer, cuts the windows it is given into parts and sends each to a worker: an actor
that holds the model, on a GPU of its own or on its share of the processors. Results stream back as they are done. A worker
that dies is replaced, and what it had not sent back of its parts is done again by whoever is free.

Bounded: a worker has one part under way and one waiting, and the next window is asked for when the last one is handed out.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from tempfile import TemporaryDirectory
from typing import Any

# Read when Ray is imported or starts: nothing is reported to its makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayActorError, RayTaskError

from stages.pace.assignments import Assignment, Assignments, Part, WorkerHandle
from stages.pace.batches import Batches
from stages.pace.workers import Item, Middle, Result
from store.problem import Problem

DEATHS = 3  # in a row, at the same work: then it is the work that kills

# Bytes for what is sent, about the least that Ray takes; a window with its demonstrations has 10 MB.
OBJECTS = 80 * 2**20

# Ray's sockets lie there, and the path of a socket may have 107 bytes, which those of a user's TMPDIR may exceed.
SHORT = "/tmp"

REACHABLE = 5.0  # seconds within which a cluster must answer


class Worker:
    """What runs in a process of its own: the model, and the middle of a stage at its own pace."""

    def __init__(self, load: Callable[[], Any], batches: Batches) -> None:
        self._load, self._batches = load, batches

    def load(self) -> None:
        """Load the model; what it raises reaches the driver."""
        self._model = self._load()

    def work(self, items: Sequence[Any], middle: Middle[Any, Any]) -> Iterator[tuple[Sequence[tuple[int, Any]], str]]:
        """(places and results, what happened to the batch size), streamed."""
        for done in middle(items, self._model, self._batches):
            yield done, self._batches.take_warning()


class RayWorkers:
    """An `Engine` of `workers` models (None: one a GPU; without GPUs, one a machine) on the cluster at `address` (None: this
    machine). To be used as a context, which ends every process it started.

    Raises Problem where there is no such cluster, where it has fewer processors or GPUs, and where workers die again and
    again.
    """

    def __init__(self, workers: int | None, address: str | None, device: str) -> None:
        self.wanted, self.address, self.on_gpu = workers, address, device.startswith("cuda")
        self.ready: list[WorkerHandle] = []
        self.loading: dict[Any, WorkerHandle] = {}  # by what Ray says when they are ready
        self.assignments = Assignments()
        self.failed_starts = 0  # in a row
        self._warnings: list[str] = []
        self._context = ExitStack()

    def __enter__(self) -> RayWorkers:
        self._context.enter_context(redirect_stdout(sys.stderr))  # Ray tells of deaths on stdout, which is for results
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind, whatever happened."""
        self._context.close()

    def start(self, load: Callable[[], Any], batches: Batches, left: int) -> None:
        """Connect, and wait until the first worker has loaded its model; the others join as they come."""
        self._connect()
        has = ray.cluster_resources()
        machines = sum(node["Alive"] for node in ray.nodes())
        most = int(has.get("GPU", 0)) if self.on_gpu else int(has["CPU"])
        count = self.wanted or (most if self.on_gpu else machines)
        if not 1 <= count <= most:
            raise Problem(
                f"workers {count}, and the Ray cluster has {most} {'GPUs' if self.on_gpu else 'processors'}",
                "give as many as it has, or fewer",
                "workers",
            )
        share = {"num_gpus": 1, "num_cpus": 1} if self.on_gpu else {"num_cpus": most // count}
        self._make = lambda: ray.remote(Worker).options(**share).remote(load, batches)
        self.assignments.left, self.assignments.workers = left, count
        for number in range(count):
            self._start_worker(f"worker {number + 1}")
        while not self.ready:
            list(self._receive())

    def flow(self, items: Sequence[Item], middle: Middle[Item, Result]) -> Iterator[list[Result]]:
        self.assignments.waiting.append(Part(items, ray.put(middle)))
        while self.assignments.waiting:
            yield from self._step()

    def rest(self) -> Iterator[list[Any]]:
        while len(self.assignments):
            yield from self._step()

    def take_spent(self) -> Mapping[str, int]:
        return {}  # no server is asked

    def pace(self) -> str:
        now, count = time.monotonic(), self.assignments.workers
        rates = sorted(worker.done / (now - worker.since) for worker in self.ready if worker.done)
        if not rates:
            return f"{len(self.ready)} of {count} workers"
        return f"{len(self.ready)} of {count} workers, {rates[0]:.1f} to {rates[-1]:.1f} /s each"

    def take_warning(self) -> str:
        told, self._warnings = "; ".join(self._warnings), []
        return told

    def _connect(self) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self.address:
            self._context.callback(ray.shutdown)
            _join(self.address, quiet)
            return
        # Removed when the processes that write there are gone.
        folder = TemporaryDirectory(prefix="multicsr-", dir=SHORT, ignore_cleanup_errors=True)
        self._context.enter_context(folder)
        self._context.callback(ray.shutdown)
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, self.wanted or 1),
            include_dashboard=False,
            object_store_memory=OBJECTS,
            _temp_dir=folder.name,
            **quiet,
        )

    def _start_worker(self, name: str) -> None:
        worker = WorkerHandle(name, self._make())
        self.loading[worker.actor.load.remote()] = worker

    def _step(self) -> Iterator[list[Any]]:
        """Send a part if a worker is free, else wait for what comes back."""
        worker = self.assignments.free(self.ready)
        if worker is None:
            yield from self._receive()
            return
        part = self.assignments.next_part()
        stream = worker.actor.work.options(num_returns="streaming").remote(part.items, part.middle)
        self.assignments.under_way[stream] = Assignment(worker, part)

    def _receive(self) -> Iterator[list[Any]]:
        """Wait for whatever comes first: a worker that is ready, results, the end of a part, a death."""
        under_way = self.assignments.under_way
        (first, *_), _ = ray.wait([*self.loading, *under_way], num_returns=1)
        reference: Any = first
        worker = self.loading[reference] if reference in self.loading else under_way[reference].worker
        try:
            if reference in self.loading:
                ray.get(reference)
                self.ready.append(self.loading.pop(reference))
                worker.since, self.failed_starts = time.monotonic(), 0
                return
            done, warning = ray.get(next(reference))
        except StopIteration:
            del under_way[reference]
        except RayActorError:
            self._replace(worker)
        except RayTaskError as error:
            # What the user can mend is told in one line; a bug keeps the traceback of the worker.
            raise (error.cause if isinstance(error.cause, Problem) else error) from None
        else:
            if warning:
                self._warnings.append(f"{worker.name}: {warning}")
            self.assignments.came_back(reference, [place for place, _ in done])
            yield [result for _, result in done]

    def _replace(self, dead: WorkerHandle) -> None:
        """Another worker takes the place of one that died; what had not come back goes to whoever is free."""
        again = self.assignments.lose(dead)
        if dead in self.ready:
            self.ready.remove(dead)
            count = sum(len(part.items) for part in again)
            self._warnings.append(f"{dead.name} died and is replaced; {count} premises of its are done again")
        else:
            self.loading = {reference: worker for reference, worker in self.loading.items() if worker is not dead}
            self.failed_starts += 1
        deaths = max(self.failed_starts, *(part.deaths for part in again), 0)
        if deaths == DEATHS:
            at_start = self.failed_starts == DEATHS
            what = "as it loaded the model" if at_start else f"over the same {len(again[0].items)} premises"
            raise Problem(
                f"a worker died {DEATHS} times {what}",
                "if the system's log says that memory ran out, give fewer workers or a smaller batch",
            )
        self._start_worker(dead.name)


def _join(address: str, quiet: dict[str, Any]) -> None:
    """Connect to a cluster. Where nobody listens Ray itself would try for minutes, so that is asked first."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACHABLE).close()
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError) as error:  # Ray's own are of these kinds, another version's is a RuntimeError
        raise Problem(
            f"ray_address {address} is no Ray cluster that can be joined ({str(error).splitlines()[0]})",
            "start one with `ray start --head`, which says its address; one with a token wants RAY_AUTH_MODE=token here too",
            "ray_address",
        ) from error
