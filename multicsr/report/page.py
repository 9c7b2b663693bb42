"""Pages that people read: a list of blocks, written as one HTML file or as Markdown with its images beside it.

The HTML file needs nothing else: its style is inline, its drawings are inline SVG whose colours are the page's, it has no
script, and its policy lets a browser load none. Markdown has neither style nor inline drawings, so a share is a bar of
text, and each drawing a PNG (every viewer and converter shows one) with an SVG for print beside it.

Whatever text stands in a block came from an LLM or a user: both writers escape all of it.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from store import markdown as marking
from store import whole
from store.markdown import Marked
from store.problem import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By its first lines a page of ours is known from any other file, which is never written over.
MARK = "Made by multicsr"
MARK_WITHIN = 400  # bytes

SUFFIXES = (".html", ".md")

# Colours of a drawing in a light page, by the name that a dark page has another value for.
COLOURS = {"ink": "#1c2024", "faint": "#8b939c", "first": "#2563c9", "second": "#c2570c"}

TEXT_BAR = 24  # characters of a full bar in Markdown

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


def write(page: Page, path: Path) -> list[Path]:
    """Write `page` as HTML or Markdown, by the ending of `path`; returns the files, the page last.

    Each appears whole, the page when all it shows is there. What lay there before is replaced: `refuse` looks first.
    """
    if path.suffix.lower() == ".html":
        return [whole.write(path, html_of(page))]
    drawings = [(block.name, drawn(block)) for block in page.blocks if isinstance(block, Drawing)]
    images = [
        whole.write(path.with_name(f"{name}.{kind}"), _saved(figure, kind, name))
        for name, figure in drawings
        for kind in ("png", "svg")
    ]
    return [*images, whole.write(path, markdown_of(page))]


def refuse(path: Path, flag: str = "--out") -> None:
    """Raises Problem where no page can be written to `path`, which `flag` named, or where what lies there is not ours."""
    if path.suffix.lower() not in SUFFIXES:
        raise Problem(f"{flag} {path} ends neither in {' nor in '.join(SUFFIXES)}", "give a name with one of these")
    if path.is_dir():
        raise Problem(f"{flag} {path} is a folder", f"give a file, such as {path / 'report.html'}")
    if not path.resolve().parent.is_dir():
        raise Problem(f"the folder {path.parent} does not exist", f"create it, or give another {flag}")
    if path.exists() and not _is_ours(path):
        raise Problem(f"{flag} {path} exists and was not made by multicsr", "give another name, or move that file away")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(MARK_WITHIN)


def html_of(page: Page) -> str:
    """The page as one self-contained HTML document."""
    parts = page.blocks
    contents = "".join(
        f'<a href="#{_anchor(block.text)}">{_escaped(block.text)}</a>'
        for block in parts
        if isinstance(block, Heading) and block.level == 2
    )
    return (
        f'<!DOCTYPE html>\n<!-- {MARK} -->\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_escaped(page.title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n"
        f"<h1>{_escaped(page.title)}</h1>\n<nav>{contents}</nav>\n<main>\n"
        + "\n".join(map(_html, parts))
        + "\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f'<h{level} id="{_anchor(text)}">{_escaped(text)}</h{level}>'
        case Paragraph(text):
            return f"<p>{_escaped(text)}</p>"
        case Points(texts):
            return f"<ul>{''.join(f'<li>{_escaped(text)}</li>' for text in texts)}</ul>"
        case Verbatim(text):
            return f"<pre>{_escaped(text)}</pre>"
        case Table():
            return _html_table(block)
        case Drawing(name, says):
            return f'<figure role="img" aria-label="{_escaped(says)}">{_inline(drawn(block), name)}</figure>'


def _html_table(table: Table) -> str:
    right = numeric(table)
    head = "".join(
        f'<th scope="col"{_right(place in right)}>{_escaped(name)}</th>' for place, name in enumerate(table.columns)
    )
    body = []
    for number, row in enumerate(table.rows):
        cells = "".join(
            f'<td data-column="{_escaped(table.columns[place])}"{_right(place in right)}>{_html_cell(cell)}</td>'
            for place, cell in enumerate(row)
        )
        body.append(f"<tr{' class=strong' if number in table.strong else ''}>{cells}</tr>")
    caption = f"<caption>{_escaped(table.caption)}</caption>" if table.caption else ""
    kind = " class=stacked" if table.stacked else ""
    return (
        f'<div class="wide"><table{kind}>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def _right(is_right: bool) -> str:
    return " class=number" if is_right else ""


def _html_cell(cell: Cell) -> str:
    match cell:
        case Bar(share):
            return f'<span class="bar"><span style="width:{100 * min(max(share, 0), 1):.2f}%"></span></span>'
        case Code(text):
            return f"<code>{_escaped(text)}</code>"
        case str(text):
            return _escaped(text)


def _escaped(text: str) -> str:
    """Text that is only text, in an element as in an attribute."""
    return html.escape(marking.printable(text))


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.casefold()).strip("-")


def _inline(figure: Figure, name: str) -> str:
    """The drawing as an SVG element that takes its colours from the page."""
    svg = _saved(figure, "svg", name, transparent=True).decode()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # of groups, and the same in every drawing: a page has each id once
    for colour, value in COLOURS.items():
        svg = svg.replace(value, f"var(--{colour})")
    # As wide as it was drawn, and no wider than the page.
    return svg.replace("<svg ", f'<svg style="max-width:{figure.get_figwidth():g}in" ', 1)


def markdown_of(page: Page) -> str:
    """The page as Markdown (with tables, as GitHub and most converters read them)."""
    return f"<!-- {MARK} -->\n\n# {marking.escape(page.title)}\n\n{markdown(page.blocks)}"


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks as Markdown, an empty line between two."""
    return "\n".join(line for block in blocks for line in [*_markdown(block), ""]).rstrip() + "\n"


def _markdown(block: Block) -> list[str]:
    match block:
        case Heading(text, level):
            return [f"{'#' * level} {marking.escape(text)}"]
        case Paragraph(text):
            return [marking.escape(text)]
        case Points(texts):
            return [f"- {marking.escape(text)}" for text in texts]
        case Verbatim(text):
            return marking.block(text)
        case Drawing(name, says):
            return [f"![{marking.escape(says)}]({quote(name)}.png)"]
        case Table():
            rows = [[_markdown_cell(cell) for cell in row] for row in block.rows]
            for number in block.strong:
                rows[number] = [Marked(f"**{cell}**") if cell else cell for cell in rows[number]]
            caption = ["", marking.escape(block.caption)] if block.caption else []
            return [*marking.table(block.columns, rows, numeric(block)), *caption]


def _markdown_cell(cell: Cell) -> Marked:
    match cell:
        case Bar(share):
            return Marked("█" * round(TEXT_BAR * min(max(share, 0), 1)))
        case Code(text):
            return marking.code(text)
        case str(text):
            return marking.escape(text)


def numeric(table: Table) -> set[int]:
    """The columns of nothing but numbers."""
    return {
        place for place in range(len(table.columns)) if table.rows and all(_is_number(row[place]) for row in table.rows)
    }


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None


def drawn(block: Drawing) -> Figure:
    """The plot, in the page's colours and without frames."""
    from matplotlib import rc_context

    with rc_context(_look()):
        return block.draw()


def _saved(figure: Figure, kind: str, name: str, transparent: bool = False) -> bytes:
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


def _style() -> str:
    return (files("multicsr.report") / "page.css").read_text(encoding="utf-8")
