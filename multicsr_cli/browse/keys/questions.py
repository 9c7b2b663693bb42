"""Keys that ask for one line at the foot of the screen, and what becomes of the answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label

from multicsr_cli.browse.keys import rows_file
from multicsr_cli.browse.keys.filters import FilterKeys
from multicsr_cli.browse.keys.moves import MoveKeys
from multicsr_cli.browse.keys.reviews import VERDICT, ReviewKeys
from multicsr_cli.browse.numbers import Places
from multicsr_cli.browse.state import State, ranges
from store.database import Store
from store.problem import Problem


class QuestionKeys(FilterKeys, MoveKeys, ReviewKeys):
    """What is asked for (`asking`, '' for nothing): words, a score range, a premise, a file, the note of a word."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "escape"),
        Binding("slash", "ask('search')", priority=True),
        Binding("f", "ask('range')", priority=True),
        Binding("p", "ask('jump')", priority=True),
        Binding("e", "ask('export')", priority=True),
        Binding("K", "ask('keep')", priority=True),
        Binding("D", "ask('drop')", priority=True),
    ]

    asking = ""

    def action_ask(self, what: str) -> None:
        """Ask for one line at the foot of the screen."""
        if self.tab != "triplets" and (self.tab, what) != ("masked", "search"):
            return
        if self.state.numbers is None:
            return
        begun = {
            "search": ("search: ", self.pairs.words if self.tab == "masked" else self.state.chosen.search),
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
        self.focus_tab()
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
                self.choose(ranges=ranges(value))
            elif what == "jump":
                self.jump(value)
            elif what == "export":
                self.export(replace(self.state), Path(value).expanduser(), self.rows.places)
            elif what in VERDICT:
                self.action_say(VERDICT[what], value)
        except Problem as problem:
            self.refused(problem)

    def action_escape(self) -> None:
        if self.asking:
            if self.asking == "search":
                self.search("")
            self.answered()
        elif self.tab == "masked":
            self.search("")
            self.focus_tab()
        elif self.query_one("#triplets").has_class("zoomed"):
            self.action_zoom()
        elif not self.state.chosen.everything:
            self.state.search("")
            self.choose(verdict="all", reason=None, ranges=(), source=None, search="")

    def search(self, text: str) -> None:
        """Leave only rows with these words, as they are being typed."""
        if self.tab == "masked":
            self.pairs.words = text.strip()
            self.show_training()
            return
        if self.finder is not None:
            self.finder.connection.interrupt()  # nobody waits for what was typed before
        self.state.search(text)
        if self.state.chosen.search and self.state.view is not None:
            self.show_status()
            self.find(self.state.view.gen, self.state.chosen.search)
        else:
            self.filter()

    @work(thread=True, group="export")
    def export(self, state: State, path: Path, places: Places) -> None:
        """Write what is shown to a file; `state` is a copy, since keys go on changing what is shown."""
        try:
            store = Store.open(self.db, create=False, write=False)
            try:
                count = rows_file.write(path, rows_file.rows(store, state, places))
            finally:
                store.close()
        except Problem as problem:
            self.call_from_thread(self.refused, problem)
        else:
            self.call_from_thread(self.tell, f"{count:,} rows written to {path}")
