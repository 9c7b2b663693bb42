"""Which worker has which items: the bookkeeping of a driver, without any of the processes (`ray_workers.py` has those).

Arrow: none of its own. Windows of items wait here and are cut into parts; a part belongs to one worker until it is done. What
a worker that died had not sent back waits again, before everything else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

# Items in a part: a quarter of a worker's share of what is left, so that all end together (guided self-scheduling,
# Polychronopoulos and Kuck 1987). More would be lost with a worker, fewer would leave a model half empty.
LEAST, MOST = 8, 1024
SHARES = 4

AHEAD = 2  # parts that a worker holds: one under way and one waiting, so that it never waits for the driver


@dataclass
class Part:
    """Items on their way to a worker, with the middle of the stage. `deaths`: workers that it killed."""

    items: Sequence[Any]
    middle: Any
    deaths: int = 0


@dataclass(eq=False)
class WorkerHandle:
    """One worker as the driver sees it; `since` is when its model was loaded, `done` how many items it has sent."""

    name: str
    actor: Any
    since: float = 0.0
    done: int = 0


@dataclass
class Assignment:
    """A part that a worker has, and the places of those items that came back."""

    worker: WorkerHandle
    part: Part
    back: set[int] = field(default_factory=set)

    def undone(self, under_way: bool) -> Part:
        """What is left of it when its worker died. If that was at work on it and nothing came back, it may be to blame."""
        left = [item for place, item in enumerate(self.part.items) if place not in self.back]
        deaths = self.part.deaths + under_way if not self.back else 0
        return Part(left, self.part.middle, deaths)


class Assignments:
    """The parts of `workers` workers: those that wait, and those that are under way by the stream of their results.

    `left`: the items of the whole stage that have not come back.
    """

    def __init__(self) -> None:
        self.workers = self.left = 0
        self.waiting: deque[Part] = deque()
        self.under_way: dict[Hashable, Assignment] = {}  # for each worker in the order of sending

    def __len__(self) -> int:
        return len(self.waiting) + len(self.under_way)

    def free(self, ready: Sequence[WorkerHandle]) -> WorkerHandle | None:
        """The worker with the fewest parts, unless none waits or all hold as many as they may."""
        held = dict.fromkeys(ready, 0)
        for assignment in self.under_way.values():
            held[assignment.worker] += 1
        fewest = min(held, key=lambda worker: held[worker], default=None)
        return fewest if self.waiting and fewest is not None and held[fewest] < AHEAD else None

    def next_part(self) -> Part:
        """The next part to be sent."""
        window = self.waiting.popleft()
        size = min(MOST, max(LEAST, math.ceil(self.left / (SHARES * self.workers))))
        if len(window.items) > size:
            self.waiting.appendleft(Part(window.items[size:], window.middle, window.deaths))
        return Part(window.items[:size], window.middle, window.deaths)

    def came_back(self, stream: Hashable, places: Sequence[int]) -> None:
        """The results of items at `places` of a part are there."""
        assignment = self.under_way[stream]
        assignment.back.update(places)
        assignment.worker.done, self.left = assignment.worker.done + len(places), self.left - len(places)

    def lose(self, dead: WorkerHandle) -> list[Part]:
        """Let what `dead` had not sent back wait again; returns its parts, that under way first."""
        streams = [stream for stream, assignment in self.under_way.items() if assignment.worker is dead]
        lost = [self.under_way.pop(stream) for stream in streams]
        again = [assignment.undone(under_way=number == 0) for number, assignment in enumerate(lost)]
        self.waiting.extendleft(part for part in reversed(again) if part.items)
        return again
