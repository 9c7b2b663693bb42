"""The tab of masked pairs: what the mask of a training removed, the most often masked first, and one of them in full."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static

from multicsr_cli import shown_masked
from multicsr_cli.browse.charts import cut, differences
from multicsr_cli.browse.lists import about
from store.database import Store
from store.problem import Problem
from store.read import masked
from store.read.masked import ListedMasked, Mask
from store.records import Run

# Cells of the two numbers of a row, of the blanks around its four cells, and of the scroll bar.
TIMES, COSINE, BLANKS, BAR = 5, 6, 8, 1

# Cells that a sentence keeps, however narrow the screen.
NARROWEST = 4

# More than a training keeps: a page of all.
EVERY = 2**31 - 1


class MaskedTab(Vertical):
    """Shows a training's masked pairs: those in which `words` occur, where there are any."""

    class Moved(Message):
        """Another pair is the chosen one."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.words = ""
        self.mask: Mask | None = None
        self.rows: list[ListedMasked] = []

    def compose(self) -> ComposeResult:
        yield Static(id="mask")
        yield DataTable(id="pairs", cursor_type="row")
        with VerticalScroll(id="pair"):
            yield Static(id="both")

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#pairs", DataTable)

    @property
    def status(self) -> str:
        """Which of the pairs is the chosen one."""
        words = f" · “{self.words}”" if self.words else ""
        return f" {self.table.cursor_row + 1:,} of {len(self.rows):,} pairs{words}" if self.rows else ""

    def show(self, store: Store, run: Run | None, number: int, of: int) -> None:
        """Show the masked pairs of `run`, training `number` of so many; None: there is no training yet."""
        self.mask, self.rows, every = None, [], 0
        told = Text()
        if run is None:
            told.append(" nothing was trained yet: `multicsr train` does", "dim")
        else:
            told.append(f" train {run.id}", "bold").append(f"  {about(run)}")
            told.append(f"  {number} of {of}, ← → for the others" if of > 1 else "", "dim")
            try:
                self.mask = masked.mask(run)
            except Problem as problem:
                told.append(f"\n {problem.what}: {problem.remedy}")
            else:
                every = masked.count(store, run)
                self.rows = masked.listed(store, run, search=self.words, limit=EVERY)
                told.append("\n " + _heading(self.mask, every))
        if every and not self.rows:
            told.append("\n no pair has these words: Esc shows every pair", "dim")
        self.query_one("#mask", Static).update(told)
        self.table.display = self.query_one("#pair").display = bool(self.rows)
        self._fill()

    def _fill(self) -> None:
        table, at = self.table, self.table.cursor_row
        each = max((self.size.width - TIMES - COSINE - BLANKS - BAR) // 2, NARROWEST)
        table.clear(columns=True)
        for name, width in (("times", TIMES), ("cosine", COSINE), ("premise", each), ("masked negative", each)):
            table.add_column(name, width=width)
        for row in self.rows:
            table.add_row(
                Text(f"{row.times:,}", justify="right"),
                Text(f"{row.cosine:.3f}", justify="right"),
                Text(cut(row.premise, each)),
                Text(cut(row.hypothesis, each)),
            )
        table.move_cursor(row=at)
        self._show_pair()

    def on_data_table_row_highlighted(self) -> None:
        self.query_one("#pair").scroll_home(animate=False)
        self._show_pair()
        self.post_message(self.Moved())

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: into the pair, to scroll it."""
        event.stop()
        self.query_one("#pair").focus()

    def _show_pair(self) -> None:
        at = self.table.cursor_row
        shown = full(self.rows[at], self.mask) if self.mask is not None and at < len(self.rows) else ""
        self.query_one("#both", Static).update(shown)


def _heading(mask: Mask, every: int) -> str:
    """The mask and what it did, in a line."""
    if not every:
        return shown_masked.nothing(mask)
    removed = f"{shown_masked.share(mask)}, {every:,} pairs stored"
    return f"masked by {mask.model} from {shown_masked.threshold(mask)} on: {removed}"


def full(row: ListedMasked, mask: Mask) -> RenderableType:
    """One pair in full: the premise, the negative with the words that are not the premise's, and the negative's premise."""
    batches = f"{row.times:,} batches" if row.times != 1 else "one batch"
    told = Text(f"masked in {batches}, cosine {row.cosine:.4f}", "bold")
    if shown_masked.repeats(mask, row):
        told.append(f"\n{shown_masked.REPEATS}", "dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    grid.add_row("premise", Text(row.premise, "bold"))
    grid.add_row(f"masked {row.role}", differences(row.premise, row.hypothesis))
    if row.role != "premise":
        grid.add_row("its premise", differences(row.premise, row.other_premise))
    return Group(told, grid)
