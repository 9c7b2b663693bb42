"""A page as Markdown, with its images beside it.

Markdown has neither style nor inline drawings, so a share is a bar of text, and each drawing a PNG (every viewer and
converter shows one) with an SVG for print beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from multicsr.report.blocks import (
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
    numeric,
)
from store import markdown as marking
from store.markdown import Marked

TEXT_BAR = 24  # characters of a full bar


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
