"""The list of rows: as long as the run, drawn line by line from pages that are read when they come into sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from multicsr_cli.browse.numbers import Places

# Rows read and drawn at once, and pages kept: few rows beyond those in sight, and always more than are in sight.
PAGE, PAGES = 32, 64

# A line: pieces of text, each with a style.
Line = Sequence[tuple[str, Style]]


class Rows(ScrollView, can_focus=True):
    """Rows by place. `read` turns a page of places into lines of a given width; the app knows how."""

    DEFAULT_CSS = "Rows { overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
    ]

    class Moved(Message):
        """Another row is the chosen one."""

    def __init__(self, read: Callable[[Places, int], list[Line]], id: str) -> None:
        super().__init__(id=id)
        self.read = read
        self.places: Places = np.empty(0, np.int64)
        self.cursor = 0
        self.empty = ""
        self._pages: dict[int, list[Line]] = {}

    @property
    def chosen(self) -> int | None:
        """The place of the row under the cursor."""
        return int(self.places[self.cursor]) if len(self.places) else None

    def show(self, places: Places, cursor: int, empty: str) -> None:
        """Show these places with the cursor on one of them; `empty` is said where there is none."""
        self.places, self.empty = places, empty
        self.virtual_size = Size(0, len(places))
        self.redraw()
        self.choose(cursor)

    def redraw(self) -> None:
        """Read what is in sight anew."""
        self._pages.clear()
        self.refresh()

    def choose(self, cursor: int) -> None:
        """Put the cursor on a row and bring it into sight."""
        self.cursor = min(max(cursor, 0), max(len(self.places) - 1, 0))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        self.choose(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.choose(self.cursor + by * max(self.size.height - 1, 1))

    def action_edge(self, side: int) -> None:
        self.choose(0 if side < 0 else len(self.places) - 1)

    def on_click(self, event: object) -> None:
        row = int(getattr(event, "y", 0)) + int(self.scroll_offset.y)
        if row < len(self.places):
            self.choose(row)

    def on_resize(self) -> None:
        self.redraw()
        self.choose(self.cursor)

    def render_line(self, y: int) -> Strip:
        row, width = int(self.scroll_offset.y) + y, self.size.width
        if row >= len(self.places):
            text = self.empty if y == 0 and not len(self.places) else ""
            return Strip([Segment(text, self.rich_style)]).adjust_cell_length(width, self.rich_style)
        chosen = Style(reverse=row == self.cursor)
        line = [Segment(text, self.rich_style + style + chosen) for text, style in self._line(row)]
        return Strip(line).adjust_cell_length(width, self.rich_style + chosen)

    def _line(self, row: int) -> Line:
        page, place = divmod(row, PAGE)
        if page not in self._pages:
            if len(self._pages) >= PAGES:
                self._pages.pop(next(iter(self._pages)))
            self._pages[page] = self.read(self.places[page * PAGE : (page + 1) * PAGE], self.size.width)
        return self._pages[page][place]
