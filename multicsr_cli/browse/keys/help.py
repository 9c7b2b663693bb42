"""What each key does, for `?`."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = {
    "Rows": (
        ("↑ ↓  PgUp PgDn  Home End", "move"),
        ("n  N", "the next, the previous dropped row"),
        ("p", "jump to a premise: its number in the source, or words"),
        ("Enter", "the triplet on the whole screen, and back"),
        ("Tab", "into the triplet, to scroll it, and back"),
        ("c", "copy the triplet (tab-separated)"),
        ("e", "export the rows shown to a .csv or .jsonl file"),
    ),
    "Filters and order": (
        ("/", "words, as you type"),
        ("v", "verdict: all, keep, drop, changed, reviewed"),
        ("r  R", "reason: the next, the previous"),
        ("f", "score range: a>=2 b<1.5 a-b<=0"),
        ("s", "source: the next"),
        ("o  O", "sort by premise, a, b, a − b, length; turn it round"),
        ("Esc", "leave out nothing"),
    ),
    "Thresholds": (
        ("a A  b B  g G  m M", "α, β, γ and the least b down and up by 0.1"),
        ("0", "as the run has them"),
        ("t", "funnel or plane of (a, b), where only one fits"),
        ("w", "write a curate run with these thresholds"),
    ),
    "Your word": (
        ("k  d", "keep, drop this triplet, whatever the rule says"),
        ("K  D", "the same with a note"),
        ("u", "take your word back"),
    ),
    "Everywhere": (
        ("1 2 3 4 5 6", "the tabs, from triplets to masked pairs"),
        ("← →  /", "another training; masked pairs with words"),
        ("?  q", "this help; leave"),
    ),
}

TOLD = """Marks: K D a person's word; + − a row that the moved thresholds keep, drop.
The plane: ░▒▓█ kept, ·:+# dropped, ' empty and kept.
A word is over the texts of the gen run: every curation of them hears it, and a
training on them is another run. Nothing is ever overwritten."""


def page() -> RenderableType:
    """All keys, by what they are for."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for title, keys in KEYS.items():
        grid.add_row(Text(title, "bold"), "")
        for key, what in keys:
            grid.add_row(Text(f"  {key}"), Text(what))
    return Group(grid, Text(), Text(TOLD))


class Help(ModalScreen[None]):
    """The keys, over everything; any of ? Esc q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,escape,q", "dismiss")]

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(page())
