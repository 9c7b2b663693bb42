"""Keys that move: from tab to tab, along the rows, into one triplet and back, to a premise."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher, DataTable

from multicsr_cli.browse import lists
from multicsr_cli.browse.frame import TABS
from multicsr_cli.browse.keys.help import Help
from multicsr_cli.browse.keys.reader import RunReader
from multicsr_cli.browse.numbers import dropped
from store.read import numbers as shown
from store.read import runs, texts
from store.records import Run


class MoveKeys(RunReader):
    """Moves the cursor and the focus; nothing is left out or decided here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help"),
        *(Binding(str(number), f"tab('{name}')") for number, name in enumerate(TABS, start=1)),
        Binding("tab", "inside"),
        Binding("enter", "zoom"),
        Binding("n", "dropped(1)"),
        Binding("N", "dropped(-1)"),
        Binding("c", "copy"),
        Binding("left", "training(-1)", show=False),
        Binding("right", "training(1)", show=False),
    ]

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_tab(self, name: str) -> None:
        self.query_one(ContentSwitcher).current = name
        self.show_tabs()
        self.show_status()
        self.call_after_refresh(self.show_tab)
        self.focus_tab()

    def focus_tab(self) -> None:
        """Let keys go to what the tab shows."""
        self.query_one({"triplets": "#rows", "masked": "#pairs"}.get(self.tab, f"#{self.tab}")).focus()

    def action_inside(self) -> None:
        inside = {"triplets": "#detail", "masked": "#pair"}.get(self.tab)
        if inside is None:
            return
        if self.query_one(inside).has_focus:
            self.focus_tab()
        else:
            self.query_one(inside).focus()

    def action_zoom(self) -> None:
        if self.tab != "triplets":
            return
        zoomed = self.query_one("#triplets").toggle_class("zoomed").has_class("zoomed")
        (self.query_one("#detail") if zoomed else self.rows).focus()

    def action_dropped(self, by: int) -> None:
        """The next row that is dropped, from the cursor on."""
        if self.state.judged is None or not len(self.rows.places):
            return
        below = dropped(self.state.judged.code[self.rows.places])
        at = self.rows.cursor
        hits = np.flatnonzero(below[at + 1 :]) + at + 1 if by > 0 else np.flatnonzero(below[:at])[::-1]
        if len(hits):
            self.rows.choose(int(hits[0]))
        else:
            self.tell("no dropped row further on" if by > 0 else "no dropped row further up")

    def action_training(self, by: int) -> None:
        if self.tab in ("training", "masked"):
            self.training -= by
            self.show_tab()
            self.focus_tab()  # a list that was empty could not keep it

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
            self.show_only(run, "training")

    def show_only(self, run: Run, tab: str) -> None:
        """Show a train run in one of the tabs that show trainings."""
        self.training = [one.id for one in lists.trainings(self.store)].index(run.id)
        self.action_tab(tab)

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
