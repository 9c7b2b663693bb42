"""Reading in threads, each with a connection of its own: the numbers of a run, a search, and what others write meanwhile."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
from textual import work
from textual.worker import get_current_worker

from multicsr_cli.browse import loading
from multicsr_cli.browse.frame import Frame
from multicsr_cli.browse.numbers import Chosen, Numbers, Places
from store.database import Store
from store.problem import Problem
from store.read import numbers as shown
from store.read import runs, texts
from store.read.runs import View
from store.records import Run
from store.rows import reviews

# How much longer than reading everything anew took there is no second time, so that following a large run leaves the
# processor to it.
REST = 5.0


class RunReader(Frame):
    """Fills the state from the store, and goes on filling it while somebody writes."""

    def __init__(self, db: Path, chosen: Chosen, skip: int = 0) -> None:
        """`skip`: rows above the cursor at first."""
        super().__init__(db, chosen)
        self.skip = skip
        self.version = shown.data_version(self.store)
        self.finder: Store | None = None
        self.read_at, self.read_for = 0.0, 0.0

    def newest(self) -> View | None:
        run = runs.newest_shown(self.store)
        return runs.view(self.store, run) if run else None

    def open_view(self, view: View | None) -> None:
        """Show another run, or the same one anew."""
        if view is None:
            self.show_everything()
            return
        self.state.open(view)
        self.show_title()
        self.load(view)

    @work(thread=True, exclusive=True, group="load")
    def load(self, view: View) -> None:
        worker, began = get_current_worker(), time.monotonic()
        try:
            store = Store.open(self.db, create=False, write=False)
            try:
                for numbers in loading.load(store, view):
                    if worker.is_cancelled:
                        return
                    self.call_from_thread(self.arrived, view, numbers)
                numbers.take(loading.measure(store, view, numbers))
                numbers.put_in_order(bool(self.state.own and self.state.own.swap))
                if not worker.is_cancelled:
                    self.call_from_thread(self.read, numbers, time.monotonic() - began)
            finally:
                store.close()
        except Problem as problem:
            self.call_from_thread(self.failed, problem)

    def failed(self, problem: Problem) -> None:
        self.state.reading = False
        self.refused(problem)

    def arrived(self, view: View, numbers: Numbers) -> None:
        """Numbers came in: of the first premises, or of all."""
        if view is not self.state.view:
            return
        at = self.premise
        self.state.take(numbers)
        self.filter(at)
        if self.skip and len(self.rows.places) > self.skip:
            self.rows.choose(self.skip)
            self.skip = 0
        if self.state.chosen.search and self.state.found is None:
            self.find(view.gen, self.state.chosen.search)

    def read(self, numbers: Numbers, seconds: float) -> None:
        """Lengths, sources and orders came in: this run is read."""
        self.state.reading = False
        self.read_at, self.read_for = time.monotonic(), seconds
        if self.state.numbers is numbers:
            self.filter(self.premise)
            self.show_title()

    def follow(self) -> None:
        """Has somebody written? Then show it: new rows of an unfinished run, other people's words, new runs."""
        if self.state.reading or time.monotonic() - self.read_at < REST * self.read_for:
            return
        try:
            version = shown.data_version(self.store)
            if version == self.version:
                return
            self.version = version
            self.show_tab()
            view, run = self.state.view, self.state.run
            if view is None or run is None:
                self.open_view(self.newest())
            elif any(part is not None and not part.finished for part in (view.gen, view.score, view.curate)):
                self.state.found = None
                self.open_view(runs.view(self.store, self.store.run(run.id)))
            else:
                self.hear()
        except Problem as problem:
            self.refused(problem)

    def hear(self) -> None:
        """Let the words in force, of whoever said them, decide."""
        if self.state.numbers is not None and self.state.view is not None:
            self.state.numbers.hear(reviews.standing(self.store, self.state.view.gen))
            self.state.judge()
            self.filter(self.premise)

    @work(thread=True, exclusive=True, group="find")
    def find(self, gen: Run, text: str) -> None:
        worker = get_current_worker()
        try:
            store = self.finder = Store.open(self.db, create=False, write=False)
            try:
                found = np.array(texts.with_words(store, gen, text), dtype=np.int64)
            finally:
                if self.finder is store:
                    self.finder = None
                store.close()
            if not worker.is_cancelled:
                self.call_from_thread(self.came, text, found)
        except Problem as problem:
            self.call_from_thread(self.failed, problem)
        except (
            sqlite3.Error,
            RuntimeError,
        ):  # a search that is given up: its query is interrupted, or the app has gone
            if not worker.is_cancelled:
                raise

    def came(self, text: str, found: Places) -> None:
        """What a search found, if it is still asked for."""
        if text == self.state.chosen.search and self.state.numbers is not None:
            self.state.came(found)
            self.filter()
