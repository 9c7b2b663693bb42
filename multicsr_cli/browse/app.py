"""The browser: funnel, rows and one triplet in full, with filters, live thresholds and a person's word.

What a key asks is answered from the numbers in memory and a page of texts; what takes longer (reading the numbers of a run,
a search, an export, anything that writes) goes on in a thread with a connection of its own. The store is read-only here;
who reviews or writes a curate run opens it for that moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.style import Style
from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import ContentSwitcher, DataTable, Input, Label, Static
from textual.worker import get_current_worker

from multicsr_cli.browse import asked, detail, drawing, export, funnel, help, tabs
from multicsr_cli.browse import numbers as numbers_of
from multicsr_cli.browse.drawing import DROP_STYLE, KEEP_STYLE, cut
from multicsr_cli.browse.numbers import SORTS, VERDICTS, Chosen, Judged, Numbers, Places, Thresholds
from multicsr_cli.browse.rows import Line, Rows
from multicsr_cli.curate import usual
from store import browse, reviews, shown
from store.browse import View
from store.database import Store
from store.records import Problem, Run
from store.reviews import Verdict
from store.shown import Texts

# How far one key moves a threshold.
STEP = 0.1

# Seconds between two looks at whether somebody has written, and how much longer than reading everything anew took there is
# no second time, so that following a large run leaves the processor to it.
LOOK_EVERY, REST = 1.0, 5.0

# The left side in cells, and from which width of the screen on it is the wider one.
NARROW_LEFT, WIDE_LEFT, WIDE = 25, 38, 100

# From this width of the rows on, the number of a premise is told.
NUMBERED = 76

# Lines of the plane of (a, b) that are worth drawing under the funnel.
LOWEST_PLANE = 8

# What a person can say.
VERDICT: dict[str, Verdict] = {"keep": "keep", "drop": "drop"}

TABS = ("triplets", "runs", "lineage", "leaderboard", "training")

# What the foot of the screen reminds of, where it is wide and where it is narrow.
FEET = (
    " / search  v verdict  r reason  f range  o sort  n next dropped  aA bB gG thresholds  k d u your word  ? help  q leave",
    " / search  v r f filter  o sort  n dropped  aA bB gG αβγ  k d u word  ? help",
)


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
    .asking #ask { display: block; }
    .asking #status { display: none; }
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
        Binding("slash", "ask('search')"),
        Binding("f", "ask('range')"),
        Binding("p", "ask('jump')"),
        Binding("e", "ask('export')"),
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
            for name in ("alpha", "beta", "gamma", "min_contradiction")
            for key, sign in ((name[0], -1), (name[0].upper(), 1))
        ),
        Binding("0", "reset"),
        Binding("w", "write"),
        Binding("k", "say('keep')"),
        Binding("d", "say('drop')"),
        Binding("K", "ask('keep')"),
        Binding("D", "ask('drop')"),
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
        self.view = browse.view(self.store, run) if run is not None else None
        self.chosen, self.skip = chosen or Chosen(), skip
        self.numbers: Numbers | None = None
        self.own: Thresholds | None = None  # of the run
        self.now: Thresholds | None = None  # as moved
        self.judged: Judged | None = None
        self.before: Judged | None = None
        self.found: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self.found_here: numbers_of.Mask | None = None
        self.finder: Store | None = None
        self.reading = False
        self.read_at, self.read_for = 0.0, 0.0
        self.plane = False
        self.asking = ""
        self.training = 0
        self.news = ""
        self.one_writer = asyncio.Lock()

    # --- the screen

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
                        yield Rows(self.lines, id="rows")
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
        self.open_view(self.view or self.newest())

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_everything)

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    @property
    def tab(self) -> str:
        return str(self.query_one(ContentSwitcher).current)

    @property
    def newest_run(self) -> Run | None:
        """The run that is shown: the last one of the view."""
        return (self.view.curate or self.view.score or self.view.gen) if self.view else None

    def newest(self) -> View | None:
        run = shown.newest(self.store)
        return browse.view(self.store, run) if run else None

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

    # --- opening and following

    def open_view(self, view: View | None) -> None:
        """Show another run, or the same one anew."""
        self.view = view
        if view is None:
            self.show_everything()
            return
        rule = view.curate.config if view.curate else None
        own = None
        if rule is not None:
            floor = rule.get("min_contradiction", 0.0)
            own = Thresholds(rule["alpha"], rule["beta"], rule["gamma"], rule["swap_reversed"], floor)
        if own != self.own or self.numbers is None:
            self.own = self.now = own
        self.reading = True
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
                numbers.put_in_order(bool(self.own and self.own.swap))
                if not worker.is_cancelled:
                    self.call_from_thread(self.read, numbers, time.monotonic() - began)
            finally:
                store.close()
        except Problem as problem:
            self.call_from_thread(self.failed, problem)

    def failed(self, problem: Problem) -> None:
        self.reading = False
        self.tell(f"{problem.what}: {problem.remedy}")

    def arrived(self, view: View, numbers: Numbers) -> None:
        """Numbers came in: of the first premises, or of all."""
        if view is not self.view:
            return
        at = self.premise
        self.numbers = numbers
        self.found_here = numbers.where(self.found) if self.found is not None else None
        self.judge()
        self.filter(at)
        if self.skip and len(self.rows.places) > self.skip:
            self.rows.choose(self.skip)
            self.skip = 0
        if self.chosen.search and self.found is None:
            self.find(view.gen, self.chosen.search)

    def read(self, numbers: Numbers, seconds: float) -> None:
        """Lengths, sources and orders came in: this run is read."""
        self.reading = False
        self.read_at, self.read_for = time.monotonic(), seconds
        if self.numbers is numbers:
            self.filter(self.premise)
            self.show_title()

    def follow(self) -> None:
        """Has somebody written? Then show it: new rows of an unfinished run, other people's words, new runs."""
        if self.reading or time.monotonic() - self.read_at < REST * self.read_for:
            return
        try:
            version = shown.data_version(self.store)
            if version == self.version:
                return
            self.version = version
            self.show_tab()
            if self.view is None:
                self.open_view(self.newest())
                return
            run = self.newest_run
            assert run is not None
            going = [part for part in (self.view.gen, self.view.score, self.view.curate) if part and not part.finished]
            if going:
                self.found = None
                self.open_view(browse.view(self.store, self.store.run(run.id)))
            elif self.numbers is not None:
                self.numbers.hear(reviews.standing(self.store, self.view.gen))
                self.judge()
                self.filter(self.premise)
        except Problem as problem:
            self.tell(f"{problem.what}: {problem.remedy}")

    # --- judging and choosing

    @property
    def premise(self) -> int | None:
        """The premise under the cursor."""
        place = self.rows.chosen
        return int(self.numbers.ids[place]) if place is not None and self.numbers is not None else None

    @property
    def swap(self) -> bool:
        return self.now.swap if self.now else False

    def judge(self) -> None:
        """Decide every premise anew with the thresholds as they are."""
        if self.numbers is None:
            return
        self.before = self.numbers.judge(self.own) if self.own is not None else None
        self.judged = self.before if self.own is not None and self.own == self.now else self.numbers.judge(self.now)

    def filter(self, at: int | None = None, toward: int = 0) -> None:
        """Show the rows that are asked for, with the cursor on premise `at` where it is among them."""
        if self.numbers is None or self.judged is None:
            return
        if at is None:
            at = self.premise
        places = self.numbers.places(self.chosen, self.judged, self.before, self.found_here, self.swap)
        cursor = toward
        place = self.numbers.place(at) if at is not None else None
        if place is not None and len(hits := np.flatnonzero(places == place)):
            cursor = int(hits[0])
        empty = (
            " nothing is left by these filters: Esc shows everything"
            if len(self.numbers)
            else " nothing is written yet"
        )
        self.rows.show(places, cursor, empty)
        self.show_everything()

    def choose(self, **changed: Any) -> None:
        self.chosen = replace(self.chosen, **changed)
        self.filter()

    # --- drawing

    def show_everything(self) -> None:
        self.query_one("#left").styles.width = self.left_width
        self.put("foot", FEET[0 if self.size.width > len(FEET[0]) else 1])
        self.show_title()
        self.show_left()
        self.show_columns()
        self.show_status()
        self.show_tab()

    @property
    def left_width(self) -> int:
        if self.size.width >= WIDE:
            return WIDE_LEFT
        every = 0 if self.numbers is None else len(self.numbers)
        return max(NARROW_LEFT, funnel.NAME + len(f"{every:,}") + funnel.SHORTEST_BAR + 3)

    def show_title(self) -> None:
        run = self.newest_run
        if run is None or self.view is None:
            self.put(
                "title",
                Text(cut(f" {self.db.name}: no runs yet, `multicsr gen` begins the first", self.size.width)),
            )
            return
        told = f" {run.stage} {run.id}  {detail.omega(self.view.gen)}"
        if self.now is not None:
            told += f"  α {self.now.alpha:g}  β {self.now.beta:g}  γ {self.now.gamma:g}"
            told += f"  b≥{self.now.min_contradiction:g}" if self.now.min_contradiction else ""
            if self.now != self.own:
                told += "  (moved; w writes, 0 resets)" if self.size.width >= WIDE else "  (moved)"
        note = "reading" if self.reading and self.numbers is None else "" if run.finished else "being written"
        right = f"{note}  {self.db.name} "
        room = max(self.size.width - len(right), 0)
        self.put("title", Text(cut(told, room) + right, no_wrap=True))

    def show_tabs(self) -> None:
        line = Text()
        for number, name in enumerate(TABS, start=1):
            line.append(f" {number} {name} ", "reverse" if name == self.tab else "dim")
            line.append(" ")
        self.put("tabs", line)

    def show_left(self) -> None:
        if self.numbers is None or self.judged is None or self.view is None:
            self.put("funnel", "")
            return
        width = self.left_width - 2
        height = self.query_one("#left").size.height
        counts = funnel.count(self.numbers, self.judged, self.before, self.view.score is not None)
        lines = funnel.funnel(counts, width)
        moved = funnel.moved(counts, self.own, self.now) if self.now is not None and self.now != self.own else []
        if moved and self.repeats_unknown:
            moved.append(Text("at most: w finds repeats", "dim"))
        both = self.view.score is not None and height - len(lines) - len(moved) - 3 >= LOWEST_PLANE
        if both:
            lines += [Text(), *moved, *self.drawn_plane(width, height - len(lines) - len(moved) - 1)]
        elif self.plane and self.view.score is not None:
            lines = [*moved, *self.drawn_plane(width, height - len(moved))]
        elif moved:
            lines = [*moved, *lines]
        if len(lines) > height > 0:
            lines = [*lines[: height - 1], Text(f" … {len(lines) - height + 1} more", "dim")]
        self.put("funnel", Text("\n", no_wrap=True, overflow="crop").join(lines))

    @property
    def repeats_unknown(self) -> bool:
        """Whether the run drops copies or duplicates, which under moved thresholds are found only when it is written."""
        rule = self.view.curate.config if self.view and self.view.curate else {}
        return bool(rule.get("drop_copies") or rule.get("drop_duplicates"))

    def drawn_plane(self, width: int, height: int) -> list[Text]:
        assert self.numbers is not None
        cells = self.numbers.density(max(width - 4, 8), max(height - 2, 4), self.swap)
        return drawing.density(cells, self.now)

    def show_columns(self) -> None:
        width = self.size.width - self.left_width - 1
        self.put("columns", Text(cut(self.line("   ", "#", "premise", "a", "b", "verdict", width), width), "dim"))

    def line(self, mark: str, position: str, premise: str, a: str, b: str, why: str, width: int) -> str:
        """The cells of a row side by side. The number of the premise is left out where there is little room."""
        number = f"{position:>8} " if width >= NUMBERED else ""
        room = width - len(mark) - len(number) - 24
        return f"{mark}{number}{cut(premise, room)} {a:>5} {b:>5}  {cut(why, 10)}"

    def lines(self, places: Places, width: int) -> list[Line]:
        """A page of rows, drawn."""
        if self.numbers is None or self.judged is None or self.view is None:
            return []
        ids = self.numbers.ids[places]
        try:
            found = shown.texts(self.store, self.view.gen, ids.tolist())
        except Problem as problem:
            return [((problem.what, Style()),) for _ in places]
        a, b = self.numbers.read(self.swap)
        drawn: list[Line] = []
        for place, premise in zip(places.tolist(), ids.tolist(), strict=True):
            code = self.numbers.names[int(self.judged.code[place])]
            said = detail.verdict(code)
            mark = " KD"[int(self.numbers.word[place])]
            kept = code == ""
            if self.before is not None and (self.before.code[place] == numbers_of.KEPT) != kept:
                mark += "+" if kept else "−"
            texts = found.get(premise)
            why = {"": "keep", "undecided": "-", "waiting": "not scored"}.get(code, code)
            one, other = (_two(float(column[place])) for column in (a, b))
            position, text = (f"{texts.position:,}", texts.premise) if texts else ("", "")
            line = self.line(f"{mark:<3}", position, text, one, other, why, width)
            style = {"keep": KEEP_STYLE, "drop": DROP_STYLE}.get(said)
            drawn.append(((line[: -len(cut(why, 10))], Style()), (cut(why, 10), Style(color=style))))
        return drawn

    def show_status(self) -> None:
        hints = {"runs": " Enter opens a run", "training": " ← → other trainings"}
        if self.news:
            self.put("status", Text(cut(f" {self.news}", self.size.width), "bold"))
            return
        if self.tab != "triplets":
            self.put("status", hints.get(self.tab, ""))
            return
        if self.numbers is None:
            self.put("status", Text(" reading ..." if self.view else " waiting for the first run", "bold"))
            return
        chosen, total = self.chosen, len(self.numbers)
        parts = [f"{min(self.rows.cursor + 1, len(self.rows.places)):,} of {len(self.rows.places):,}"]
        if len(self.rows.places) != total:
            parts[0] += f" (of {total:,})"
        if chosen.verdict != "all":
            parts.append({"keep": "kept", "drop": "dropped"}.get(chosen.verdict, chosen.verdict))
        parts += [part for part in (chosen.reason, chosen.source) if part]
        parts += [_range(*one) for one in chosen.ranges]
        if chosen.search:
            parts.append(f"“{chosen.search}”" + (" ..." if self.found is None else ""))
        if chosen.sort != "premise" or chosen.descending:
            parts.append(f"by {chosen.sort} {'↓' if chosen.descending else '↑'}")
        self.put("status", Text(cut(" " + " · ".join(parts), self.size.width)))

    def show_full(self) -> None:
        one = self.triplet()
        self.put("full", detail.full(one, self.size.width - 4) if one else "")

    def triplet(self) -> detail.Triplet | None:
        """All that is known of the chosen triplet."""
        place, premise = self.rows.chosen, self.premise
        if place is None or premise is None or self.numbers is None or self.judged is None or self.view is None:
            return None
        try:
            texts = shown.texts(self.store, self.view.gen, [premise]).get(premise)
            if texts is None:
                return None
            a, b = (float(column[place]) for column in self.numbers.read(self.swap))
            return detail.Triplet(
                self.view.gen,
                texts,
                shown.sides(self.store, self.view, premise),
                None if np.isnan(a) else a,
                None if np.isnan(b) else b,
                bool(self.swap and self.numbers.swapped[place]),
                self.numbers.names[int(self.judged.code[place])],
                self.numbers.names[int(self.judged.rule[place])],
                self.now,
                reviews.said(self.store, self.view.gen, premise),
                shown.elsewhere(self.store, self.view.gen, premise),
            )
        except Problem as problem:
            self.tell(f"{problem.what}: {problem.remedy}")
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
            self.put("line", tabs.lineage(self.store, self.newest_run))
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

    # --- keys

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
        elif not self.chosen.everything:
            self.found = self.found_here = None
            self.choose(verdict="all", reason=None, ranges=(), source=None, search="")

    def action_verdict(self) -> None:
        self.choose(verdict=_next(VERDICTS, self.chosen.verdict, 1))

    def action_reason(self, by: int) -> None:
        if self.numbers is not None and self.judged is not None:
            reasons = funnel.count(self.numbers, self.judged, None, True).reasons
            self.choose(reason=_next((None, *reasons), self.chosen.reason, by))

    def action_source(self) -> None:
        if self.numbers is None or self.numbers.source is None:
            self.tell("the sources are being read")
        elif len(self.numbers.sources) < 2:
            self.tell(f"all rows are from {', '.join(self.numbers.sources) or 'nowhere'}")
        else:
            self.choose(source=_next((None, *self.numbers.sources), self.chosen.source, 1))

    def action_sort(self) -> None:
        self.choose(sort=_next(SORTS, self.chosen.sort, 1))

    def action_turn(self) -> None:
        self.choose(descending=not self.chosen.descending)

    def action_dropped(self, by: int) -> None:
        """The next row that is dropped, from the cursor on."""
        if self.judged is None or not len(self.rows.places):
            return
        below = numbers_of.dropped(self.judged.code[self.rows.places])
        at = self.rows.cursor
        hits = np.flatnonzero(below[at + 1 :]) + at + 1 if by > 0 else np.flatnonzero(below[:at])[::-1]
        if len(hits):
            self.rows.choose(int(hits[0]))
        else:
            self.tell("no dropped row further on" if by > 0 else "no dropped row further up")

    def action_threshold(self, name: str, sign: int) -> None:
        if self.view is None or self.numbers is None:
            return
        if self.view.score is None:
            self.tell(f"nothing is scored yet: `multicsr score {self.view.gen.id}`")
            return
        now = self.now or Thresholds(*usual(self.view.score))
        low, high = (-5.0, 5.0) if name == "gamma" else (0.0, 5.0)
        value = min(max(round(getattr(now, name) + sign * STEP, 3), low), high)
        self.now = replace(now, **{name: value})
        self.plane = True
        self.judged = self.numbers.judge(self.now)
        self.filter()

    def action_reset(self) -> None:
        self.now, self.plane = self.own, False
        self.judge()
        self.filter()

    def action_plane(self) -> None:
        if self.view is not None and self.view.score is None:
            self.tell(f"nothing is scored yet: `multicsr score {self.view.gen.id}`")
            return
        self.plane = not self.plane
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
            self.numbers = self.found = self.found_here = None
            self.chosen = Chosen()
            self.action_tab("triplets")
            self.open_view(browse.view(self.store, run))
        elif run.stage == "train":
            self.training = [one.id for one in tabs.trainings(self.store)].index(run.id)
            self.action_tab("training")

    # --- asking

    def action_ask(self, what: str) -> None:
        """Ask for one line at the foot of the screen."""
        if self.numbers is None or self.tab != "triplets":
            return
        begun = {
            "search": ("search: ", self.chosen.search),
            "range": ("score range, such as a>=2 b<1.5 a-b<=0: ", ""),
            "jump": ("jump to premise (its number, or words): ", ""),
            "export": (f"write {len(self.rows.places):,} rows to: ", "shown.csv"),
            "keep": ("keep it, because: ", ""),
            "drop": ("drop it, because: ", ""),
        }[what]
        self.asking = what
        self.add_class("asking")
        self.query_one("#question", Label).update(f" {begun[0]}")
        answer = self.query_one("#answer", Input)
        with answer.prevent(Input.Changed):
            answer.value = begun[1]
        answer.cursor_position = len(begun[1])
        answer.focus()

    def answered(self) -> None:
        self.asking = ""
        self.remove_class("asking")
        self.rows.focus()
        self.show_status()

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
            elif what == "export" and self.view is not None:
                self.export(self.view, Path(value).expanduser(), self.rows.places)
            elif what in VERDICT:
                self.action_say(VERDICT[what], value)
        except Problem as problem:
            self.tell(f"{problem.what}: {problem.remedy}")

    def search(self, text: str) -> None:
        """Leave only rows with these words, as they are being typed."""
        if self.finder is not None:
            self.finder.connection.interrupt()  # nobody waits for what was typed before
        self.found = self.found_here = None
        self.chosen = replace(self.chosen, search=text.strip())
        if self.chosen.search and self.view is not None:
            self.show_status()
            self.find(self.view.gen, self.chosen.search)
        else:
            self.filter()

    @work(thread=True, exclusive=True, group="find")
    def find(self, gen: Run, text: str) -> None:
        worker = get_current_worker()
        try:
            store = self.finder = Store.open(self.db, create=False, write=False)
            try:
                found = np.array(shown.found(store, gen, text), dtype=np.int64)
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

    def came(self, text: str, found: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """What a search found, if it is still asked for."""
        if text == self.chosen.search and self.numbers is not None:
            self.found, self.found_here = found, self.numbers.where(found)
            self.filter()

    def jump(self, value: str) -> None:
        """Put the cursor on a premise: a number is its place in the source, anything else words in it."""
        if self.view is None or self.numbers is None or not value:
            return
        number = value.replace(",", "")
        if number.isdecimal():
            premise = shown.at(self.store, self.view.gen, int(number))
            hits = [] if premise is None else [premise]
        else:
            hits = shown.found(self.store, self.view.gen, value)
        there = np.flatnonzero(np.isin(self.numbers.ids[self.rows.places], np.array(hits, dtype=np.int64)))
        if len(there):
            self.rows.choose(int(there[0]))
        elif hits:
            self.tell(f"premise {value} is not among the rows shown: Esc shows everything")
        else:
            self.tell(f"there is no premise {value} in this run")

    # --- writing: what a person says, a curate run, a file

    def action_say(self, verdict: Verdict, note: str = "") -> None:
        premise = self.premise
        if self.view is not None and premise is not None:
            gen = self.view.gen
            self.change(
                lambda store: reviews.add(store, gen, premise, verdict, note), f"you {verdict} it; u takes it back"
            )

    def action_take_back(self) -> None:
        premise = self.premise
        if self.view is None or premise is None:
            return
        if premise not in reviews.standing(self.store, self.view.gen):
            self.tell("there is no word of a person over this triplet")
            return
        gen = self.view.gen
        self.change(lambda store: reviews.take_back(store, gen, premise), "taken back: the rule decides")

    @work
    async def change(self, write: Callable[[Store], object], told: str) -> None:
        """Write a word, one after the other, and show what it changes."""
        view = self.view
        assert view is not None
        async with self.one_writer:
            try:
                await asyncio.to_thread(self.written, write)
            except Problem as problem:
                self.tell(f"{problem.what}: {problem.remedy}")
                return
        if self.view is view and self.numbers is not None:
            self.numbers.hear(reviews.standing(self.store, view.gen))
            self.judge()
            self.filter()
            self.tell(told)

    def written(self, write: Callable[[Store], object]) -> object:
        store = Store.open(self.db, create=False)
        try:
            return write(store)
        finally:
            store.close()

    def action_write(self) -> None:
        """A curate run with the thresholds as they are, through the stage itself."""
        if self.view is None or self.view.score is None or self.now is None:
            self.tell("move a threshold first: a A α, b B β, g G γ, m M the least b")
        elif self.now == self.own:
            self.tell("these are the thresholds of this run: move one first")
        else:
            self.curate(self.view.score, self.now)

    @work
    async def curate(self, score: Run, at: Thresholds) -> None:
        from stages import curate as stage
        from stages.config import CurateConfig

        rule = self.view.curate.config if self.view and self.view.curate else {}

        def made(store: Store) -> Run:
            copies, duplicates = rule.get("drop_copies", False), rule.get("drop_duplicates", False)
            config = CurateConfig(at.alpha, at.beta, at.gamma, copies, duplicates, at.swap, at.min_contradiction)
            for _ in stage.run(store, config, score):
                pass
            return store.begin("curate", stage.VERSION, config, score.id)

        self.tell("writing ...")
        async with self.one_writer:
            try:
                run = await asyncio.to_thread(self.written, made)
            except Problem as problem:
                self.tell(f"{problem.what}: {problem.remedy}")
                return
        assert isinstance(run, Run)
        self.open_view(browse.view(self.store, run))
        self.tell(f"curate {run.id}: {run.counts['kept']:,} kept, {run.counts['dropped']:,} dropped by the rule")

    @work(thread=True, group="export")
    def export(self, view: View, path: Path, places: Places) -> None:
        numbers, judged, swap = self.numbers, self.judged, self.swap
        assert numbers is not None
        assert judged is not None
        try:
            store = Store.open(self.db, create=False, write=False)
            try:
                count = export.write(path, _exported(store, view, numbers, judged, swap, places))
            finally:
                store.close()
        except Problem as problem:
            self.call_from_thread(self.tell, f"{problem.what}: {problem.remedy}")
        else:
            self.call_from_thread(self.tell, f"{count:,} rows written to {path}")


def _exported(
    store: Store, view: View, numbers: Numbers, judged: Judged, swap: bool, places: Places
) -> Iterator[tuple[Any, ...]]:
    """The rows of a file, page by page, as they are shown: with the roles as the rule reads them."""
    a, b = numbers.read(swap)
    for start in range(0, len(places), export.PAGE):
        page = places[start : start + export.PAGE]
        found = shown.texts(store, view.gen, numbers.ids[page].tolist())
        for place in page.tolist():
            texts: Texts = found[int(numbers.ids[place])]
            code = numbers.names[int(judged.code[place])]
            sides = [texts.entailment, texts.contradiction]
            if swap and numbers.swapped[place]:
                sides.reverse()
            scores = [None if np.isnan(column[place]) else float(column[place]) for column in (a, b)]
            said = {"keep": "keep", "drop": "drop"}.get(detail.verdict(code))
            word = (None, "keep", "drop")[int(numbers.word[place])]
            yield (texts.premise, *sides, *scores, said, code if said == "drop" else None, word)


def _two(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _range(name: str, low: float, high: float) -> str:
    shown = [f"{name} ≥ {low:.4g}"] if np.isfinite(low) else []
    return " ".join([*shown, *([f"{name} ≤ {high:.4g}"] if np.isfinite(high) else [])])


def _next(choices: tuple[Any, ...], now: Any, by: int) -> Any:
    """The choice after (before) this one, round and round."""
    place = choices.index(now) if now in choices else 0
    return choices[(place + by) % len(choices)]
