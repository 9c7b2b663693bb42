"""Keys that write: a person's word over a triplet, and a curate run with the thresholds as moved.

The store is opened for writing for that moment only, in a thread, and by one writer after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType

from multicsr import curate
from multicsr_cli.browse.keys.reader import RunReader
from multicsr_cli.browse.numbers import Chosen
from store.database import Store
from store.problem import Problem
from store.read import runs
from store.records import Run
from store.rows import reviews
from store.rows.reviews import Verdict
from store.rule import Thresholds

# What a person can say.
VERDICT: dict[str, Verdict] = {"keep": "keep", "drop": "drop"}


class ReviewKeys(RunReader):
    """Writes, and shows what that changes; on the tab of triplets alone, since nobody reviews what is out of sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "say('keep')"),
        Binding("d", "say('drop')"),
        Binding("u", "take_back"),
        Binding("w", "write"),
    ]

    def __init__(self, db: Path, chosen: Chosen, skip: int = 0) -> None:
        super().__init__(db, chosen, skip)
        self.one_writer = asyncio.Lock()

    def action_say(self, verdict: Verdict, note: str = "") -> None:
        premise, view = self.premise, self.state.view
        if view is not None and premise is not None and self.tab == "triplets":
            gen = view.gen
            self.change(
                lambda store: reviews.add(store, gen, premise, verdict, note), f"you {verdict} it; u takes it back"
            )

    def action_take_back(self) -> None:
        premise, view = self.premise, self.state.view
        if view is None or premise is None or self.tab != "triplets":
            return
        gen = view.gen
        if premise not in reviews.standing(self.store, gen):
            self.tell("there is no word of a person over this triplet")
            return
        self.change(lambda store: reviews.take_back(store, gen, premise), "taken back: the rule decides")

    @work
    async def change(self, write: Callable[[Store], object], told: str) -> None:
        """Write a word, one after the other, and show what it changes."""
        view = self.state.view
        async with self.one_writer:
            try:
                await asyncio.to_thread(self.written, write)
            except Problem as problem:
                self.refused(problem)
                return
        if self.state.view is view:
            self.hear()
            self.tell(told)

    def written(self, write: Callable[[Store], object]) -> object:
        store = Store.open(self.db, create=False)
        try:
            return write(store)
        finally:
            store.close()

    def action_write(self) -> None:
        """A curate run with the thresholds as they are, through the stage itself."""
        view, now = self.state.view, self.state.now
        if self.tab != "triplets":
            return
        if view is None or view.score is None or now is None:
            self.tell("move a threshold first: a A α, b B β, g G γ, m M the least b")
        elif not self.state.moved:
            self.tell("these are the thresholds of this run: move one first")
        else:
            self.curate(view.score, now)

    @work
    async def curate(self, score: Run, at: Thresholds) -> None:
        view = self.state.view
        rule = view.curate.config if view and view.curate else {}
        told: dict[str, Any] = {name: rule[name] for name in ("drop_copies", "drop_duplicates") if name in rule}
        told |= {**at.named, "swap_reversed": at.swap}

        def made(store: Store) -> Run:
            return curate.job(store, score, **told).run().run

        self.tell("writing ...")
        async with self.one_writer:
            try:
                run = await asyncio.to_thread(self.written, made)
            except Problem as problem:
                self.refused(problem)
                return
        assert isinstance(run, Run)
        self.open_view(runs.view(self.store, run))
        self.tell(f"curate {run.id}: {run.counts['kept']:,} kept, {run.counts['dropped']:,} dropped by the rule")
