"""A page as Markdown, with its images beside it.

Markdown has neither style nor inline drawings, so a share is a bar of text, and each drawing a PNG (every viewer and
converter shows one) with an SVG for print beside it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from urllib.parse import quote

from multicsr.report.blocks import (
    MARK,
    UNPRINTABLE,
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

TEXT_BAR = 24  # characters of a full bar

_MARKDOWN = re.compile(r"[\\`*_{}\[\]#|~$]|^[-+](?=\s)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")  # at the start of a line, an item of a list


def markdown_of(page: Page) -> str:
    """The page as Markdown (with tables, as GitHub and most converters read them)."""
    return f"<!-- {MARK} -->\n\n# {_marked(page.title)}\n\n{markdown(page.blocks)}"


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks as Markdown, an empty line between two."""
    return "\n".join(line for block in blocks for line in [*_markdown(block), ""]).rstrip() + "\n"


def _markdown(block: Block) -> list[str]:
    match block:
        case Heading(text, level):
            return [f"{'#' * level} {_marked(text)}"]
        case Paragraph(text):
            return [_marked(text)]
        case Points(texts):
            return [f"- {_marked(text)}" for text in texts]
        case Verbatim(text):
            return [f"    {line}" for line in UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text).splitlines()]
        case Drawing(name, says):
            return [f"![{_marked(says)}]({quote(name)}.png)"]
        case Table():
            right = numeric(block)
            rule = ["---:" if place in right else "---" for place in range(len(block.columns))]
            rows = [[_markdown_cell(cell) for cell in row] for row in block.rows]
            for number in block.strong:
                rows[number] = [f"**{cell}**" if cell else cell for cell in rows[number]]
            lines = [[_marked(name) for name in block.columns], rule, *rows]
            caption = ["", _marked(block.caption)] if block.caption else []
            return [*(f"| {' | '.join(cells)} |" for cells in lines), *caption]


def _markdown_cell(cell: Cell) -> str:
    match cell:
        case Bar(share):
            return "█" * round(TEXT_BAR * min(max(share, 0), 1))
        case Code(text):
            return _code_span(text)
        case str(text):
            return _marked(text)


def _marked(text: str) -> str:
    """Text that is only text: one line, nothing in it HTML or Markdown."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", html.escape(_one_line(text), quote=False))
    return _NUMBERED.sub(r"\1\\\2", escaped)


def _one_line(text: str) -> str:
    return " ".join(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text).split())


def _code_span(text: str) -> str:
    line = _one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    padded = f" {line} " if line.startswith("`") or line.endswith("`") else line
    return f"{fence}{padded}{fence}".replace("|", "\\|")
