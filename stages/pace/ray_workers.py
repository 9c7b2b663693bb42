"""A stage's model in many processes, on one machine or a cluster, by Ray. Arrow: missing rows -> finished rows.

The driver, which is the store's one writer, cuts the windows it is given into parts and sends each to a worker: an actor
that holds the model, on a GPU of its own or on its share of the processors. Results stream back as they are done. A worker
that dies is replaced, and what it had not sent back of its parts is done again by whoever is free.

Bounded: a worker has one part under way and one waiting, and the next window is asked for when the last one is handed out.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

# Read when Ray is imported or starts: nothing is reported to its makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayActorError, RayTaskError

from stages.pace.batches import Batches
from stages.pace.workers import Item, Middle, Result
from store.problem import Problem

# Items in a part: a quarter of a worker's share of what is left, so that all end together (guided self-scheduling,
# Polychronopoulos and Kuck 1987). More would be lost with a worker, fewer would leave a model half empty.
LEAST, MOST = 8, 1024
SHARES = 4

AHEAD = 2  # parts that a worker holds: one under way and one waiting, so that it never waits for the driver

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
        self._model = self._load()

    def work(self, items: Sequence[Any], middle: Middle[Any, Any]) -> Iterator[tuple[Sequence[tuple[int, Any]], str]]:
        """(places and results, what happened to the batch size), streamed."""
        for done in middle(items, self._model, self._batches):
            yield done, self._batches.take_warning()


@dataclass
class Part:
    """Items on their way to a worker, with the middle that lies in Ray's object store. `deaths`: workers that it killed."""

    items: Sequence[Any]
    middle: Any
    deaths: int = 0


@dataclass(eq=False)
class Hand:
    """One worker as the driver sees it; `since` is when its model was loaded, `done` how many items it has sent."""

    name: str
    actor: Any
    since: float = 0.0
    done: int = 0


@dataclass
class Sent:
    """A part that a worker has, and the places of those items that came back."""

    hand: Hand
    part: Part
    back: set[int] = field(default_factory=set)


class RayWorkers:
    """`workers` models (None: one a GPU; without GPUs, one a machine) on the cluster at `address` (None: this machine)."""

    def __init__(self, workers: int | None, address: str | None, device: str) -> None:
        self.wanted, self.address, self.on_gpu = workers, address, device.startswith("cuda")
        self.ready: list[Hand] = []
        self.loading: dict[Any, Hand] = {}  # by what Ray says when they are ready
        self.sent: dict[Any, Sent] = {}  # by the stream of their results, for each worker in the order of sending
        self.waiting: deque[Part] = deque()
        self.stillborn = self.left = self.count = 0
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
        self.left, self.count = left, count
        for number in range(count):
            self._hire(f"worker {number + 1}")
        while not self.ready:
            list(self._hear())

    def flow(self, items: Sequence[Item], middle: Middle[Item, Result]) -> Iterator[list[Result]]:
        self.waiting.append(Part(items, ray.put(middle)))
        while self.waiting:
            yield from self._step()

    def rest(self) -> Iterator[list[Any]]:
        while self.waiting or self.sent:
            yield from self._step()

    def take_spent(self) -> Mapping[str, int]:
        return {}  # no server is asked

    def pace(self) -> str:
        now = time.monotonic()
        rates = sorted(hand.done / (now - hand.since) for hand in self.ready if hand.done)
        if not rates:
            return f"{len(self.ready)} of {self.count} workers"
        return f"{len(self.ready)} of {self.count} workers, {rates[0]:.1f} to {rates[-1]:.1f} /s each"

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

    def _hire(self, name: str) -> None:
        hand = Hand(name, self._make())
        self.loading[hand.actor.load.remote()] = hand

    def _step(self) -> Iterator[list[Any]]:
        """Hand out a part if somebody is free, else hear what comes back."""
        held = dict.fromkeys(self.ready, 0)
        for sent in self.sent.values():
            held[sent.hand] += 1
        free = min(held, key=lambda hand: held[hand], default=None)
        if not self.waiting or free is None or held[free] == AHEAD:
            yield from self._hear()
            return
        part = self._cut()
        stream = free.actor.work.options(num_returns="streaming").remote(part.items, part.middle)
        self.sent[stream] = Sent(free, part)

    def _cut(self) -> Part:
        """The next part to be sent."""
        window = self.waiting.popleft()
        size = min(MOST, max(LEAST, math.ceil(self.left / (SHARES * self.count))))
        if len(window.items) > size:
            self.waiting.appendleft(Part(window.items[size:], window.middle, window.deaths))
        return Part(window.items[:size], window.middle, window.deaths)

    def _hear(self) -> Iterator[list[Any]]:
        """Wait for whatever comes first: a worker that is ready, results, the end of a part, a death."""
        found, _ = ray.wait([*self.loading, *self.sent], num_returns=1)
        one: Any = found[0]
        hand = self.loading[one] if one in self.loading else self.sent[one].hand
        try:
            if one in self.loading:
                ray.get(one)
                self.ready.append(self.loading.pop(one))
                hand.since, self.stillborn = time.monotonic(), 0
                return
            done, warning = ray.get(next(one))
        except StopIteration:
            del self.sent[one]
        except RayActorError:
            self._replace(hand)
        except RayTaskError as error:
            # What the user can mend is told in one line; a bug keeps the traceback of the worker.
            raise (error.cause if isinstance(error.cause, Problem) else error) from None
        else:
            if warning:
                self._warnings.append(f"{hand.name}: {warning}")
            self.sent[one].back.update(place for place, _ in done)
            hand.done, self.left = hand.done + len(done), self.left - len(done)
            yield [result for _, result in done]

    def _replace(self, dead: Hand) -> None:
        """Another worker takes the place of one that died; what had not come back goes to whoever is free."""
        lost = [self.sent.pop(stream) for stream, sent in list(self.sent.items()) if sent.hand is dead]
        again = [_undone(sent, under_way=number == 0) for number, sent in enumerate(lost)]
        self.waiting.extendleft(part for part in reversed(again) if part.items)
        if dead in self.ready:
            self.ready.remove(dead)
            count = sum(len(part.items) for part in again)
            self._warnings.append(f"{dead.name} died and is replaced; {count} premises of its are done again")
        else:
            self.loading = {ref: hand for ref, hand in self.loading.items() if hand is not dead}
            self.stillborn += 1
        deaths = max(self.stillborn, *(part.deaths for part in again), 0)
        if deaths == DEATHS:
            what = (
                "as it loaded the model"
                if self.stillborn == DEATHS
                else f"over the same {len(again[0].items)} premises"
            )
            raise Problem(
                f"a worker died {DEATHS} times {what}",
                "if the system's log says that memory ran out, give fewer workers or a smaller batch",
            )
        self._hire(dead.name)


def _undone(sent: Sent, under_way: bool) -> Part:
    """What is left of a part whose worker died. If it was at work on it and nothing came back, the part may be to blame."""
    left = [item for place, item in enumerate(sent.part.items) if place not in sent.back]
    deaths = sent.part.deaths + under_way if not sent.back else 0
    return Part(left, sent.part.middle, deaths)


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
