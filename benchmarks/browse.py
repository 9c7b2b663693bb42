"""Claim: in the browser on a million decided premises, each key is answered within a tenth of a second.

Keys are pressed on a screen of 120 x 40; a key is answered when the screen that follows from it is drawn. What goes
on in the background (reading the numbers at the start, a search) is measured apart. Each key is pressed as often as
there are rounds; what counts is the slowest key's median.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from textual import events

from benchmarks import curate, harness, million
from multicsr_cli.browse.app import Browser
from store.database import Store
from store.records import Run

SIZE = (120, 40)

# What each row of keys is called in the record.
KEYS: dict[str, Sequence[str]] = {
    "move": ("down", "pagedown", "end", "home"),
    "next dropped": ("n", "N"),
    "verdict": ("v",),
    "reason": ("r", "R"),
    "sort": ("o", "O"),
    "threshold": ("a", "B", "g"),
    "plane or funnel": ("t",),
    "leave out nothing": ("escape",),
    "reset": ("0",),
    "runs and back": ("2", "1"),
}


def measure(settings: harness.Settings) -> harness.Bound:
    made = million.cached(settings.quick)
    with million.copy(made) as path:
        with closing(Store.open(path)) as store:
            run = curate.decide(store, made, curate.ALPHA)
        seconds, busy, background = asyncio.run(_pressed(path, run, settings.rounds))
    slowest = max(seconds, key=lambda key: statistics.median(seconds[key]))
    return harness.Bound(
        name="browse",
        claim="each key in the browser on that store (the slowest)",
        seconds=[round(one, 4) for one in seconds[slowest]],
        at_most_seconds=0.1,
        same="the funnel of the screen is that of the run, and every row is there",
        sizes={"premises": made.written["premises"].rows, "screen": list(SIZE)},
        extra={
            "slowest key": slowest,
            "seconds": _slowest(seconds),
            "seconds of the processor": _slowest(busy),
            "in the background": background,
        },
    )


async def _drawn(app: Browser) -> None:
    """Until what a key sets off is on the screen: the key, the row it moves to, and what that row shows.

    A pilot's own `press` sleeps as well.
    """
    for _ in range(4):
        drawn = asyncio.Event()
        app.call_after_refresh(drawn.set)
        await drawn.wait()


def _slowest(measured: dict[str, list[float]]) -> dict[str, float]:
    """The median of the slowest of each row of keys."""
    return {name: round(max(statistics.median(measured[key]) for key in keys), 4) for name, keys in KEYS.items()}


async def _pressed(
    path: Path, run: Run, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, float]]:
    """Seconds of every press of each key, those of the processor in it, and of what went on in the background.

    The processor's are told beside, because a neighbour lengthens only the others.
    """
    seconds: dict[str, list[float]] = {key: [] for keys in KEYS.values() for key in keys}
    busy: dict[str, list[float]] = {key: [] for key in seconds}
    app, began = Browser(path, run), time.perf_counter()
    async with app.run_test(size=SIZE) as pilot:
        while app.state.numbers is None:
            await asyncio.sleep(0.01)
        background = {"first rows": round(time.perf_counter() - began, 3)}
        await app.workers.wait_for_complete()
        background["all numbers"] = round(time.perf_counter() - began, 3)
        await pilot.pause()
        _check(app, run)
        for counted in [False] + [True] * rounds:
            for key in seconds:
                began, worked = time.perf_counter(), time.process_time()
                app.post_message(events.Key(key, None))
                await _drawn(app)
                if counted:
                    seconds[key].append(time.perf_counter() - began)
                    busy[key].append(time.process_time() - worked)
                await app.workers.wait_for_complete()
        began = time.perf_counter()
        await pilot.press("slash", *"gardener")
        await app.workers.wait_for_complete()
        background["a search, typed"] = round(time.perf_counter() - began, 3)
    return seconds, busy, background


def _check(app: Any, run: Run) -> None:
    if int(app.state.judged.kept.sum()) != run.counts["kept"] or len(app.rows.places) != run.counts["premises"]:
        raise AssertionError("the screen counts other premises than the run")
