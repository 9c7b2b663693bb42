"""The browser: funnel, rows and one triplet in full, with filters, live thresholds and a person's word.

What a key asks is answered from the numbers in memory and a page of texts; what takes longer (reading the numbers of a run,
a search, an export, anything that writes) goes on in a thread with a connection of its own. The store is read-only here;
who reviews or writes a curate run opens it for that moment.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from multicsr_cli.browse.keys.questions import QuestionKeys
from multicsr_cli.browse.numbers import Chosen
from store.read.runs import view
from store.records import Run

# Seconds between two looks at whether somebody has written.
LOOK_EVERY = 1.0


class Browser(QuestionKeys):
    """`multicsr inspect` in a terminal."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,ctrl+c", "quit", priority=False)]

    def __init__(
        self,
        db: Path,
        run: Run | None,
        chosen: Chosen | None = None,
        skip: int = 0,
        masked: Run | None = None,
        words: str = "",
    ) -> None:
        """`run`: what to show first (None: whatever there is or comes to be); `skip`: rows above the cursor. `masked`: the
        training whose masked pairs are shown before that, those with `words`."""
        super().__init__(db, chosen or Chosen(), skip)
        self.first, self.masked, self.words = run, masked, words

    def on_mount(self) -> None:
        self.rows.focus()
        self.set_interval(LOOK_EVERY, self.follow)
        if self.masked is not None:
            self.pairs.words = self.words
            self.show_only(self.masked, "masked")
        self.show_tabs()
        self.open_view(view(self.store, self.first) if self.first else self.newest())
