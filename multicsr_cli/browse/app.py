"""The browser: funnel, rows and one triplet in full, with filters, live thresholds and a person's word.

What a key asks is answered from the numbers in memory and a page of texts; what takes longer (reading the numbers of a run,
a search, an export, anything that writes) goes on in a thread with a connection of its own. The store is read-only here;
who reviews or writes a curate run opens it for that moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import ContentSwitcher, DataTable, Input, Label, Static
from textual.worker import get_current_worker

from multicsr_cli.browse import asked, detail, drawn, export, funnel, help, tabs
from multicsr_cli.browse import numbers as numbers_of
from multicsr_cli.browse.drawing import cut
from multicsr_cli.browse.numbers import SORTS, VERDICTS, Chosen, Numbers, Places
from multicsr_cli.browse.rows import Line, Rows
from multicsr_cli.browse.state import State
from store.database import Store
from store.problem import Problem
from store.read import numbers as shown
from store.read import runs, texts
from store.read.runs import View
from store.records import Run
from store.rows import reviews
from store.rows.reviews import Verdict
from store.rule import LEVELS, Thresholds

# Seconds between two looks at whether somebody has written, and how much longer than reading everything anew took there is
# no second time, so that following a large run leaves the processor to it.
LOOK_EVERY, REST = 1.0, 5.0

# What a person can say.
VERDICT: dict[str, Verdict] = {"keep": "keep", "drop": "drop"}

TABS = ("triplets", "runs", "lineage", "leaderboard", "training")


class Help(ModalScreen[None]):
    """The keys, over everything; any of ? Esc q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,escape,q", "dismiss")]

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(help.page())


class Browser(App[None]):
    """`multicsr inspect` in a terminal."""

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
    #ask { height: 1; display: none; }
    #ask Label { text-style: bold; }
    #ask Input { border: none; height: 1; padding: 0; background: transparent; }
    Help { align: center middle; }
    Help VerticalScroll { width: 80; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; }
    Help VerticalScroll { border: round ansi_bright_black; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", priority=False),
        Binding("question_mark", "help"),
        *(Binding(str(number), f"tab('{name}')") for number, name in enumerate(TABS, start=1)),
        Binding("tab", "inside"),
        Binding("enter", "zoom"),
        Binding("escape", "escape"),
        Binding("slash", "ask('search')", priority=True),
        Binding("f", "ask('range')", priority=True),
        Binding("p", "ask('jump')", priority=True),
        Binding("e", "ask('export')", priority=True),
        Binding("v", "verdict"),
        Binding("r", "reason(1)"),
        Binding("R", "reason(-1)"),
        Binding("s", "source"),
        Binding("o", "sort"),
        Binding("O", "turn"),
        Binding("n", "dropped(1)"),
        Binding("N", "dropped(-1)"),
        Binding("c", "copy"),
        Binding("t", "plane"),
        *(
            Binding(key, f"threshold('{name}', {sign})")
            for name in (level.threshold for level in LEVELS)
            for key, sign in ((name[0], -1), (name[0].upper(), 1))
        ),
        Binding("0", "reset"),
        Binding("w", "write"),
        Binding("k", "say('keep')"),
        Binding("d", "say('drop')"),
        Binding("K", "ask('keep')", priority=True),
        Binding("D", "ask('drop')", priority=True),
        Binding("u", "take_back"),
        Binding("left", "training(-1)", show=False),
        Binding("right", "training(1)", show=False),
    ]

    def __init__(self, db: Path, run: Run | None, chosen: Chosen | None = None, skip: int = 0) -> None:
        """`run`: what to show first (None: whatever there is or comes to be); `skip`: rows above the cursor."""
        # The terminal's own colours, so that a light background is as good as a dark one; asked for here, because NO_COLOR
        # is heeded once, and with colours of its own Textual would turn the terminal's into black on black.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.db = db
        self.store = Store.open(db, create=False, write=False)
        self.version = shown.data_version(self.store)
        self.first = run
        self.state, self.skip = State(chosen or Chosen()), skip
        self.finder: Store | None = None
        self.read_at, self.read_for = 0.0, 0.0
        self.asking = ""
        self.training = 0
        self.news = ""
        self.one_writer = asyncio.Lock()

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
        yield Static(id="status")
        with Horizontal(id="ask"):
            yield Label(id="question")
            yield Input(id="answer", compact=True, select_on_focus=False)
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        self.rows.focus()
        self.set_interval(LOOK_EVERY, self.follow)
        self.show_tabs()
        self.open_view(runs.view(self.store, self.first) if self.first else self.newest())

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_everything)

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    @property
    def tab(self) -> str:
        return str(self.query_one(ContentSwitcher).current)

    def newest(self) -> View | None:
        run = runs.newest_shown(self.store)
        return runs.view(self.store, run) if run else None

    def put(self, id: str, content: Any) -> None:
        self.query_one(f"#{id}", Static).update(content)

    def tell(self, what: str) -> None:
        """News, in the place of the status line until the next key."""
        self.news = what
        self.show_status()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self.news = ""
        await super().on_event(event)

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
                for numbers in numbers_of.load(store, view):
                    if worker.is_cancelled:
                        return
                    self.call_from_thread(self.arrived, view, numbers)
                numbers.take(numbers_of.measure(store, view, numbers))
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

    def refused(self, problem: Problem) -> None:
        self.tell(f"{problem.what}: {problem.remedy}")

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

    @property
    def premise(self) -> int | None:
        """The premise under the cursor."""
        place, numbers = self.rows.chosen, self.state.numbers
        return int(numbers.ids[place]) if place is not None and numbers is not None else None

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
        self.put("foot", drawn.foot(self.size.width))
        self.show_title()
        self.show_left()
        self.put("columns", drawn.columns(self.size.width - self.left_width - 1))
        self.show_status()
        self.show_tab()

    @property
    def left_width(self) -> int:
        return drawn.left_width(self.state, self.size.width)

    def show_title(self) -> None:
        self.put("title", drawn.title(self.state, self.db.name, self.size.width))

    def show_tabs(self) -> None:
        line = Text()
        for number, name in enumerate(TABS, start=1):
            line.append(f" {number} {name} ", "reverse" if name == self.tab else "dim")
            line.append(" ")
        self.put("tabs", line)

    def show_left(self) -> None:
        self.put("funnel", drawn.left(self.state, self.left_width - 2, self.query_one("#left").size.height))

    def page(self, places: Places, width: int) -> list[Line]:
        """A page of rows, drawn."""
        return drawn.rows(self.state, self.store, places, width)

    def show_status(self) -> None:
        hints = {"runs": " Enter opens a run", "training": " ← → other trainings"}
        if self.news:
            self.put("status", Text(cut(f" {self.news}", self.size.width), "bold"))
        elif self.tab != "triplets":
            self.put("status", hints.get(self.tab, ""))
        else:
            self.put("status", drawn.status(self.state, self.rows.cursor, len(self.rows.places), self.size.width))

    def show_full(self) -> None:
        one = self.triplet()
        self.put("full", detail.full(one, self.size.width - 4) if one else "")

    def triplet(self) -> detail.Triplet | None:
        """All that is known of the chosen triplet."""
        place = self.rows.chosen
        try:
            return None if place is None else drawn.triplet(self.state, self.store, place)
        except Problem as problem:
            self.refused(problem)
            return None

    def show_tab(self) -> None:
        """Fill the tab that is looked at, if it is not the triplets."""
        if self.tab in ("runs", "leaderboard"):
            table = self.query_one(f"#{self.tab}", DataTable)
            columns, rows = (tabs.runs if self.tab == "runs" else tabs.leaderboard)(self.store)
            at = table.cursor_row
            table.clear(columns=True)
            table.add_columns(*columns)
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            table.move_cursor(row=at)
        elif self.tab == "lineage":
            self.put("line", tabs.lineage(self.store, self.state.run))
        elif self.tab == "training":
            every = tabs.trainings(self.store)
            if not every:
                self.put("curves", Text(" nothing was trained yet: `multicsr train` does", "dim"))
                return
            self.training %= len(every)
            size = self.query_one("#training").size
            run = every[self.training]
            self.put("curves", tabs.curves(self.store, run, self.training + 1, len(every), size.width, size.height))

    def on_rows_moved(self) -> None:
        self.query_one("#detail").scroll_home(animate=False)
        self.show_full()
        self.show_status()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_tab(self, name: str) -> None:
        self.query_one(ContentSwitcher).current = name
        self.show_tabs()
        self.show_status()
        self.call_after_refresh(self.show_tab)
        focus = {"triplets": "#rows", "runs": "#runs", "leaderboard": "#leaderboard"}.get(name, f"#{name}")
        self.query_one(focus).focus()

    def action_inside(self) -> None:
        if self.tab == "triplets":
            (self.rows if self.query_one("#detail").has_focus else self.query_one("#detail")).focus()

    def action_zoom(self) -> None:
        if self.tab != "triplets":
            return
        zoomed = self.query_one("#triplets").toggle_class("zoomed").has_class("zoomed")
        (self.query_one("#detail") if zoomed else self.rows).focus()

    def action_escape(self) -> None:
        if self.asking:
            if self.asking == "search":
                self.search("")
            self.answered()
        elif self.query_one("#triplets").has_class("zoomed"):
            self.action_zoom()
        elif not self.state.chosen.everything:
            self.state.search("")
            self.choose(verdict="all", reason=None, ranges=(), source=None, search="")

    def action_verdict(self) -> None:
        self.choose(verdict=_next(VERDICTS, self.state.chosen.verdict, 1))

    def action_reason(self, by: int) -> None:
        numbers, judged = self.state.numbers, self.state.judged
        if numbers is not None and judged is not None:
            reasons = funnel.count(numbers, judged, None, True).reasons
            self.choose(reason=_next((None, *reasons), self.state.chosen.reason, by))

    def action_source(self) -> None:
        numbers = self.state.numbers
        if numbers is None or numbers.source is None:
            self.tell("the sources are being read")
        elif len(numbers.sources) < 2:
            self.tell(f"all rows are from {', '.join(numbers.sources) or 'nowhere'}")
        else:
            self.choose(source=_next((None, *numbers.sources), self.state.chosen.source, 1))

    def action_sort(self) -> None:
        self.choose(sort=_next(SORTS, self.state.chosen.sort, 1))

    def action_turn(self) -> None:
        self.choose(descending=not self.state.chosen.descending)

    def action_dropped(self, by: int) -> None:
        """The next row that is dropped, from the cursor on."""
        if self.state.judged is None or not len(self.rows.places):
            return
        below = numbers_of.dropped(self.state.judged.code[self.rows.places])
        at = self.rows.cursor
        hits = np.flatnonzero(below[at + 1 :]) + at + 1 if by > 0 else np.flatnonzero(below[:at])[::-1]
        if len(hits):
            self.rows.choose(int(hits[0]))
        else:
            self.tell("no dropped row further on" if by > 0 else "no dropped row further up")

    def action_threshold(self, name: str, sign: int) -> None:
        if self.state.numbers is not None and self.is_scored():
            self.state.move(name, sign)
            self.filter()

    def is_scored(self) -> bool:
        """Whether there are scores to look at; says so where there are none."""
        view = self.state.view
        if view is not None and view.score is None:
            self.tell(f"nothing is scored yet: `multicsr score {view.gen.id}`")
        return view is not None and view.score is not None

    def action_reset(self) -> None:
        self.state.reset()
        self.filter()

    def action_plane(self) -> None:
        if self.is_scored():
            self.state.plane = not self.state.plane
            self.show_left()

    def action_training(self, by: int) -> None:
        if self.tab == "training":
            self.training -= by
            self.show_tab()

    def action_copy(self) -> None:
        one = self.triplet()
        if one is not None:
            self.copy_to_clipboard("\t".join((one.texts.premise, one.texts.entailment, one.texts.contradiction)))
            self.tell("copied: premise, entailment, contradiction (if the terminal lets programs copy)")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a run: its triplets, or its training."""
        run = self.store.run(str(event.data_table.get_row_at(event.cursor_row)[0]))
        if run.stage in ("gen", "score", "curate"):
            self.state.leave()
            self.action_tab("triplets")
            self.open_view(runs.view(self.store, run))
        elif run.stage == "train":
            self.training = [one.id for one in tabs.trainings(self.store)].index(run.id)
            self.action_tab("training")

    def action_ask(self, what: str) -> None:
        """Ask for one line at the foot of the screen."""
        if self.state.numbers is None or self.tab != "triplets":
            return
        begun = {
            "search": ("search: ", self.state.chosen.search),
            "range": ("score range, such as a>=2 b<1.5 a-b<=0: ", ""),
            "jump": ("jump to premise (its number, or words): ", ""),
            "export": (f"write {len(self.rows.places):,} rows to: ", "shown.csv"),
            "keep": ("keep it, because: ", ""),
            "drop": ("drop it, because: ", ""),
        }[what]
        self.asking = what
        self.put_question(True)
        self.query_one("#question", Label).update(f" {begun[0]}")
        answer = self.query_one("#answer", Input)
        with answer.prevent(Input.Changed):
            answer.value = begun[1]
        answer.cursor_position = len(begun[1])
        self.screen.set_focus(answer)

    def answered(self) -> None:
        self.asking = ""
        self.put_question(False)
        self.screen.set_focus(self.rows)
        self.show_status()

    def put_question(self, asked: bool) -> None:
        """Put the line of the question in the place of the status line, or back."""
        self.query_one("#ask").display = asked
        self.query_one("#status").display = not asked

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that ask come before the widgets', so that what is typed right behind one is its answer and no other key;
        while it is being typed they are letters."""
        return not (action == "ask" and self.asking) and super().check_action(action, parameters)

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.asking == "search":
            self.search(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        what, value = self.asking, event.value.strip()
        self.answered()
        try:
            if what == "range":
                self.choose(ranges=asked.ranges(value))
            elif what == "jump":
                self.jump(value)
            elif what == "export":
                self.export(replace(self.state), Path(value).expanduser(), self.rows.places)
            elif what in VERDICT:
                self.action_say(VERDICT[what], value)
        except Problem as problem:
            self.refused(problem)

    def search(self, text: str) -> None:
        """Leave only rows with these words, as they are being typed."""
        if self.finder is not None:
            self.finder.connection.interrupt()  # nobody waits for what was typed before
        self.state.search(text)
        if self.state.chosen.search and self.state.view is not None:
            self.show_status()
            self.find(self.state.view.gen, self.state.chosen.search)
        else:
            self.filter()

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

    def jump(self, value: str) -> None:
        """Put the cursor on a premise: a number is its place in the source, anything else words in it."""
        view, numbers = self.state.view, self.state.numbers
        if view is None or numbers is None or not value:
            return
        number = value.replace(",", "")
        if number.isdecimal():
            premise = shown.at(self.store, view.gen, int(number))
            hits = [] if premise is None else [premise]
        else:
            hits = texts.with_words(self.store, view.gen, value)
        there = np.flatnonzero(np.isin(numbers.ids[self.rows.places], np.array(hits, dtype=np.int64)))
        if len(there):
            self.rows.choose(int(there[0]))
        elif hits:
            self.tell(f"premise {value} is not among the rows shown: Esc shows everything")
        else:
            self.tell(f"there is no premise {value} in this run")

    def action_say(self, verdict: Verdict, note: str = "") -> None:
        premise, view = self.premise, self.state.view
        if view is not None and premise is not None:
            gen = view.gen
            self.change(
                lambda store: reviews.add(store, gen, premise, verdict, note), f"you {verdict} it; u takes it back"
            )

    def action_take_back(self) -> None:
        premise, view = self.premise, self.state.view
        if view is None or premise is None:
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
        if view is None or view.score is None or now is None:
            self.tell("move a threshold first: a A α, b B β, g G γ, m M the least b")
        elif not self.state.moved:
            self.tell("these are the thresholds of this run: move one first")
        else:
            self.curate(view.score, now)

    @work
    async def curate(self, score: Run, at: Thresholds) -> None:
        from stages import curate as stage
        from stages.config import CurateConfig

        view = self.state.view
        rule = view.curate.config if view and view.curate else {}

        def made(store: Store) -> Run:
            settings: dict[str, Any] = {name: rule.get(name, False) for name in ("drop_copies", "drop_duplicates")}
            config = CurateConfig(**{**settings, **at.named}, swap_reversed=at.swap)
            for _ in stage.run(store, config, score):
                pass
            return store.begin("curate", stage.VERSION, config, score.id)

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

    @work(thread=True, group="export")
    def export(self, state: State, path: Path, places: Places) -> None:
        """Write what is shown to a file; `state` is a copy, since keys go on changing what is shown."""
        try:
            store = Store.open(self.db, create=False, write=False)
            try:
                count = export.write(path, export.rows(store, state, places))
            finally:
                store.close()
        except Problem as problem:
            self.call_from_thread(self.refused, problem)
        else:
            self.call_from_thread(self.tell, f"{count:,} rows written to {path}")


def _next(choices: tuple[Any, ...], now: Any, by: int) -> Any:
    """The choice after (before) this one, round and round."""
    place = choices.index(now) if now in choices else 0
    return choices[(place + by) % len(choices)]
