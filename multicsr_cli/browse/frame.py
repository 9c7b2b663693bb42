"""The screen: its parts, and what each shows of the state. What keys do is told in keys/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, DataTable, Input, Label, Static

from multicsr_cli.browse import detail, lists, panes
from multicsr_cli.browse.charts import cut
from multicsr_cli.browse.masked import MaskedTab
from multicsr_cli.browse.numbers import Chosen, Places
from multicsr_cli.browse.rows import Line, Rows
from multicsr_cli.browse.state import State
from store.database import Store
from store.problem import Problem

TABS = ("triplets", "runs", "lineage", "leaderboard", "training", "masked")


class Frame(App[None]):
    """Lays the screen out and shows the state on it. The store is read-only here."""

    TITLE = "multicsr"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #title, #tabs, #columns, #status, #foot { height: 1; }
    #title { text-style: bold; }
    * { scrollbar-background: ansi_default; scrollbar-background-hover: ansi_default; scrollbar-color: ansi_bright_black; }
    #foot { text-style: dim; }
    ContentSwitcher { height: 1fr; }
    #triplets { height: 1fr; }
    #upper { height: 6fr; }
    #left { height: 100%; border-right: solid ansi_bright_black; scrollbar-size: 0 0; }
    #right { height: 100%; }
    Rows { height: 1fr; scrollbar-size-vertical: 1; }
    #detail { height: 5fr; border-top: solid ansi_bright_black; scrollbar-size-vertical: 1; padding: 0 1; }
    .zoomed #upper { display: none; }
    DataTable { height: 1fr; }
    #mask { height: auto; }
    #pairs { height: 6fr; scrollbar-size-vertical: 1; }
    #pair { height: 5fr; border-top: solid ansi_bright_black; scrollbar-size-vertical: 1; padding: 0 1; }
    #ask { height: 1; display: none; }
    #ask Label { text-style: bold; }
    #ask Input { border: none; height: 1; padding: 0; background: transparent; }
    Help { align: center middle; }
    Help VerticalScroll { width: 80; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; }
    Help VerticalScroll { border: round ansi_bright_black; }
    """

    def __init__(self, db: Path, chosen: Chosen) -> None:
        # The terminal's own colours, so that a light background is as good as a dark one; asked for here, because NO_COLOR
        # is heeded once, and with colours of its own Textual would turn the terminal's into black on black.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.db = db
        self.store = Store.open(db, create=False, write=False)
        self.state = State(chosen)
        self.training = 0
        self.news = ""

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        yield Static(id="tabs")
        with ContentSwitcher(initial="triplets"):
            with Vertical(id="triplets"):
                with Horizontal(id="upper"):
                    with VerticalScroll(id="left", can_focus=False):
                        yield Static(id="funnel")
                    with Vertical(id="right"):
                        yield Static(id="columns")
                        yield Rows(self.page, id="rows")
                with VerticalScroll(id="detail"):
                    yield Static(id="full")
            yield DataTable(id="runs", cursor_type="row")
            with VerticalScroll(id="lineage"):
                yield Static(id="line")
            yield DataTable(id="leaderboard", cursor_type="row")
            with VerticalScroll(id="training"):
                yield Static(id="curves")
            yield MaskedTab(id="masked")
        yield Static(id="status")
        with Horizontal(id="ask"):
            yield Label(id="question")
            yield Input(id="answer", compact=True, select_on_focus=False)
        yield Static(id="foot", markup=False)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_everything)

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    @property
    def tab(self) -> str:
        return str(self.query_one(ContentSwitcher).current)

    @property
    def premise(self) -> int | None:
        """The premise under the cursor."""
        place, numbers = self.rows.chosen, self.state.numbers
        return int(numbers.ids[place]) if place is not None and numbers is not None else None

    @property
    def pairs(self) -> MaskedTab:
        return self.query_one(MaskedTab)

    def put(self, id: str, content: Any) -> None:
        self.query_one(f"#{id}", Static).update(content)

    def tell(self, what: str) -> None:
        """News, in the place of the status line until the next key."""
        self.news = what
        self.show_status()

    def refused(self, problem: Problem) -> None:
        self.tell(f"{problem.what}: {problem.remedy}")

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self.news = ""
        await super().on_event(event)

    def on_masked_tab_moved(self) -> None:
        self.show_status()

    def on_rows_moved(self) -> None:
        self.query_one("#detail").scroll_home(animate=False)
        self.show_full()
        self.show_status()

    def filter(self, at: int | None = None) -> None:
        """Show the rows that are asked for, with the cursor on premise `at` where it is among them."""
        places, numbers = self.state.places(), self.state.numbers
        if places is None or numbers is None:
            return
        if at is None:
            at = self.premise
        place = numbers.place(at) if at is not None else None
        hits = np.flatnonzero(places == place) if place is not None else np.empty(0, np.int64)
        empty = " nothing is left by these filters: Esc shows everything" if len(numbers) else " nothing is written yet"
        self.rows.show(places, int(hits[0]) if len(hits) else 0, empty)
        self.show_everything()

    def choose(self, **changed: Any) -> None:
        self.state.chosen = replace(self.state.chosen, **changed)
        self.filter()

    def show_everything(self) -> None:
        self.query_one("#left").styles.width = self.left_width
        self.show_tabs()
        self.show_title()
        self.show_left()
        self.put("columns", panes.columns(self.size.width - self.left_width - 1))
        self.show_status()
        self.show_tab()

    @property
    def left_width(self) -> int:
        return panes.left_width(self.state, self.size.width)

    def show_title(self) -> None:
        self.put("title", panes.title(self.state, self.db.name, self.size.width))

    def show_tabs(self) -> None:
        line = Text()
        for number, name in enumerate(TABS, start=1):
            line.append(f" {number} {name} ", "reverse" if name == self.tab else "dim")
            line.append(" ")
        self.put("tabs", line)
        self.put("foot", panes.foot(self.tab, self.size.width))

    def show_left(self) -> None:
        self.put("funnel", panes.left(self.state, self.left_width - 2, self.query_one("#left").size.height))

    def page(self, places: Places, width: int) -> list[Line]:
        """A page of rows, as lines of text."""
        return panes.rows(self.state, self.store, places, width)

    def show_status(self) -> None:
        hints = {"runs": " Enter opens a run", "training": " ← → other trainings"}
        if self.news:
            self.put("status", Text(cut(f" {self.news}", self.size.width), "bold"))
        elif self.tab == "masked":
            self.put("status", Text(cut(self.pairs.status, self.size.width)))
        elif self.tab != "triplets":
            self.put("status", hints.get(self.tab, ""))
        else:
            self.put("status", panes.status(self.state, self.rows.cursor, len(self.rows.places), self.size.width))

    def show_full(self) -> None:
        one = self.triplet()
        self.put("full", detail.full(one, self.size.width - 4) if one else "")

    def triplet(self) -> detail.FullTriplet | None:
        """All that is known of the chosen triplet."""
        place = self.rows.chosen
        try:
            return None if place is None else panes.triplet(self.state, self.store, place)
        except Problem as problem:
            self.refused(problem)
            return None

    def show_tab(self) -> None:
        """Fill the tab that is looked at, if it is not the triplets."""
        if self.tab in ("runs", "leaderboard"):
            table = self.query_one(f"#{self.tab}", DataTable)
            columns, rows = (lists.runs if self.tab == "runs" else lists.leaderboard)(self.store)
            at = table.cursor_row
            table.clear(columns=True)
            table.add_columns(*columns)
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            table.move_cursor(row=at)
        elif self.tab == "lineage":
            self.put("line", lists.lineage(self.store, self.state.run))
        elif self.tab in ("training", "masked"):
            self.show_training()

    def show_training(self) -> None:
        """The curves, or the masked pairs, of the training that is chosen."""
        every = lists.trainings(self.store)
        self.training %= max(len(every), 1)
        run, number = (every[self.training] if every else None), self.training + 1
        if self.tab == "masked":
            self.pairs.show(self.store, run, number, len(every))
            self.show_status()
        elif run is None:
            self.put("curves", Text(" nothing was trained yet: `multicsr train` does", "dim"))
        else:
            size = self.query_one("#training").size
            self.put("curves", lists.curves(self.store, run, number, len(every), size.width, size.height))
