"""The browser for tests: a small store with something of everything, keys pressed by a pilot, the screen as text."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rows import CURATE, GEN, SCORE, Made, add_drafts, scored
from shell import BIN
from textual.pilot import Pilot

from multicsr_cli.browse.app import Browser
from multicsr_cli.browse.numbers import Chosen
from stages import curate
from store.database import Store
from store.records import Run, ScoreRow
from store.rows import scores

MADE = [
    Made("A dog runs along the beach.", "A dog is at the beach.", "The dog is asleep.", a=4.5, b=0.5),
    Made("Two women read in the park.", "Women are reading.", "Nobody reads here.", a=4.0, b=1.25),
    Made("The train leaves at nine.", "It leaves at nine.", "There is no train.", a=2.75, b=0.25),
    Made("He repaired the old radio.", "The radio works again.", "He sold the radio.", a=4.0, b=4.0),
    Made("Children play football.", "Children are playing.", "Children play chess.", a=3.5, b=3.0),
    Made("The soup was too hot.", "The soup was hot.", "I'm sorry.", c_problem="refusal", a=4.0, b=0.0),
    Made("Nobody heard the bell.", "", "All heard the bell.", e_problem="empty", a=None, b=2.0),
    Made("She has lived here for ten years.", "She lives here.", "She never lived here.", a=None, b=1.0),
    Made("Rain is expected tonight.", "It will rain.", "It will be dry.", a=5.0, b=0.0),
    Made("The museum is closed on Mondays.", "On Mondays it is closed.", "It never closes.", a=3.25, b=2.0),
]


def in_a_terminal(*args: object, drawn: Sequence[bytes]) -> bytes:
    """What `multicsr` draws in a terminal of its own until all of `drawn` was, and `q` was pressed. It must end with 0."""
    import pty

    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    command = [str(BIN), *map(str, args)]
    going = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    seen = b""
    while not all(
        text in seen for text in drawn
    ):  # where the command ends first the terminal is closed, and so is this
        seen += os.read(ours, 65536)
    os.write(ours, b"q")
    with contextlib.suppress(OSError):
        while os.read(ours, 65536):
            pass
    assert going.wait() == 0
    os.close(ours)
    return seen


def small(path: Path) -> Run:
    """A store with two gen runs (another omega), scores of both and a curate run of the first, which is returned."""
    store = Store.open(path)
    gen, score, there = scored(store, MADE)
    list(curate.run(store, CURATE, score))
    other = store.begin("gen", 1, replace(GEN, omega=0.0, omega_contradiction=0.0), None)
    add_drafts(store, other, ((premise, replace(one, x_plus=one.x)) for premise, one in zip(there, MADE, strict=True)))
    again = store.begin("score", 1, SCORE, other.id)
    rows = [ScoreRow(premise.id, role, 5.0, "5") for premise in there for role in ("entailment", "contradiction")]
    scores.add(store, again, rows)
    store.finish(again, scores.counts(store, again))
    run = store.begin("curate", curate.VERSION, CURATE, score.id)
    assert gen.id == score.parent
    store.close()
    return run


class Walk:
    """A browser that is walked through: keys are pressed, and what they set off is waited for."""

    def __init__(self, app: Browser, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*({" ": "space"}.get(letter, letter) for letter in text))

    async def settle(self) -> None:
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    @property
    def screen(self) -> str:
        """The screen as text, without the blanks at the ends of lines. Textual has no public way to it but a picture."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"

    @property
    def shown(self) -> list[str]:
        """The premises of the rows, in their order."""
        assert self.app.state.numbers is not None
        ids = self.app.state.numbers.ids[self.app.rows.places].tolist()
        texts = dict(self.app.store.rows("SELECT id, text FROM premises"))
        return [texts[id] for id in ids]

    @property
    def at(self) -> str:
        """The premise under the cursor."""
        return self.shown[self.app.rows.cursor]


def walk(
    db: Path,
    steps: Callable[[Walk], Awaitable[Any]],
    run: Run | None = None,
    size: tuple[int, int] = (80, 24),
    chosen: Chosen | None = None,
) -> None:
    """Open the browser on a store and take `steps`."""

    async def walked() -> None:
        app = Browser(db, run, chosen)
        async with app.run_test(size=size) as pilot:
            going = Walk(app, pilot)
            await going.settle()
            await steps(going)

    asyncio.run(walked())
