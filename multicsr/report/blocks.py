"""What a page is made of: headings, sentences, tables, drawings; and the look that its drawings share.

Whatever text stands in a block came from an LLM or a user: the writers (html, markdown) escape all of it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By its first lines a page of ours is known from any other file, which is never written over.
MARK = "Made by multicsr"

# Colours of a drawing in a light page, by the name that a dark page has another value for.
COLOURS = {"ink": "#1c2024", "faint": "#8b939c", "first": "#2563c9", "second": "#c2570c"}

_NUMBER = re.compile(r"-|[-+]?[\d,]+(\.\d+)?( %)?( ± [\d.]+)?")


@dataclass(frozen=True)
class Heading:
    """A section of the page, or with `level` 3 a part of one."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Verbatim:
    """Text whose lines and blanks count: a prompt, a command."""

    text: str


@dataclass(frozen=True)
class Code:
    """A cell that names something: a run, a field."""

    text: str


@dataclass(frozen=True)
class Bar:
    """A cell that shows a share, 0 to 1."""

    share: float


Cell = str | Code | Bar


@dataclass(frozen=True)
class Table:
    """Rows under columns. On a narrow screen a `stacked` table puts the cells of a row below one another; others scroll.

    Rows whose places are in `strong` are set off.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    stacked: bool = False
    strong: Sequence[int] = ()


@dataclass(frozen=True)
class Drawing:
    """A plot that `draw` makes in COLOURS. `name` is its file's beside a Markdown page; `says` is for who cannot see it."""

    name: str
    says: str
    draw: Callable[[], Figure]


Block = Heading | Paragraph | Points | Verbatim | Table | Drawing


@dataclass(frozen=True)
class Page:
    title: str
    blocks: Sequence[Block]


def shown(value: Any) -> str:
    """A setting as text. Of an absolute path its last part: a page is for others, and theirs are other folders."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(value)
    text = str(value)
    for kind in (PurePath, PureWindowsPath):
        if kind(text).is_absolute() or text.startswith("~"):
            return kind(text).name
    return text


def numeric(table: Table) -> set[int]:
    """The columns of nothing but numbers."""
    return {
        place for place in range(len(table.columns)) if table.rows and all(_is_number(row[place]) for row in table.rows)
    }


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None


def figure_of(block: Drawing) -> Figure:
    """The plot, in the page's colours and without frames."""
    from matplotlib import rc_context

    with rc_context(_look()):
        return block.draw()


def image(figure: Figure, kind: str, name: str, transparent: bool = False) -> bytes:
    """The bytes of a PNG or an SVG, the same for the same figure; `name` tells its parts from other drawings' of a page."""
    from matplotlib import rc_context

    out = io.BytesIO()
    undated = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with rc_context({**_look(), "svg.hashsalt": name}):
        figure.savefig(out, format=kind, dpi=150, metadata=undated, transparent=transparent)
    return out.getvalue()


def _look() -> Any:
    ink = COLOURS["ink"]
    coloured = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(coloured, ink),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "font.size": 9,
        "legend.frameon": False,
        "svg.fonttype": "none",  # letters stay letters: to be searched, and in the page's font
        "text.parse_math": False,  # a $ in the name of somebody's file is a $
    }
