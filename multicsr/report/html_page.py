"""A page as one HTML file that needs nothing else.

Its style is inline, its drawings are inline SVG whose colours are the page's, it has no script, and its policy lets a
browser load none.
"""

from __future__ import annotations

import html
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from multicsr.report.blocks import (
    COLOURS,
    MARK,
    Bar,
    Block,
    Cell,
    Code,
    Drawing,
    Heading,
    Page,
    Paragraph,
    Points,
    Table,
    Verbatim,
    figure_of,
    image,
    numeric,
)
from store.markdown import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
            return f'<figure role="img" aria-label="{_escaped(says)}">{_inline(figure_of(block), name)}</figure>'


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
    return html.escape(printable(text))


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.casefold()).strip("-")


def _inline(figure: Figure, name: str) -> str:
    """The drawing as an SVG element that takes its colours from the page."""
    svg = image(figure, "svg", name, transparent=True).decode()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # of groups, and the same in every drawing: a page has each id once
    for colour, value in COLOURS.items():
        svg = svg.replace(value, f"var(--{colour})")
    # As wide as it was figure_of, and no wider than the page.
    return svg.replace("<svg ", f'<svg style="max-width:{figure.get_figwidth():g}in" ', 1)


def _style() -> str:
    return (files("multicsr.report") / "page.css").read_text(encoding="utf-8")
