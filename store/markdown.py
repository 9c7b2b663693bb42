"""Markdown in which text is only text: whatever a user or an LLM wrote, no reader takes it for markup. Standard library only.

Tables are GitHub's, as most converters read them. One of the leaves that every storey may import.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# What is markup wherever it stands, and what is at the start of a line: a list, a rule, a line under a heading.
_MARKUP = re.compile(r"[\\`*_{}\[\]#|~$]|^[-+](?=\s)|^-(?=(\s*-){2,}\s*$)|^=(?==*$)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_ADDRESS = re.compile(r"\b(https?|ftp):(?=//)|\b(www)\.", re.IGNORECASE)  # GitHub makes links of bare addresses


class Marked(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(text: str) -> Marked:
    """Text that is only text: one line, nothing in it HTML or Markdown."""
    escaped = _MARKUP.sub(r"\\\g<0>", html.escape(one_line(text), quote=False))
    escaped = _NUMBERED.sub(r"\1\\\2", escaped)
    return Marked(_ADDRESS.sub(lambda found: f"{found[1]}\\:" if found[1] else f"{found[2]}\\.", escaped))


def code(text: str) -> Marked:
    """A code span of one line that shows `text` as it is, also within a table."""
    line = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    padded = f" {line} " if line.startswith("`") or line.endswith("`") else line
    return Marked(f"{fence}{padded}{fence}".replace("|", "\\|"))


def block(text: str) -> list[str]:
    """The lines of a code block that shows `text` with its lines and blanks."""
    return [f"    {line}" for line in printable(text).splitlines()]


def cell(text: str) -> Marked:
    """A cell of a table: Markdown as it is, other text escaped."""
    return text if isinstance(text, Marked) else escape(text)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = (), tight: bool = False
) -> list[str]:
    """The lines of a table. The columns whose places are in `right` are set to the right; the rule under the header has no
    blanks if it is `tight`."""
    rule = ["---:" if place in right else "---" for place in range(len(columns))]
    header, *body = (f"| {' | '.join(map(cell, row))} |" for row in (columns, *rows))
    return [header, f"|{'|'.join(rule)}|" if tight else f"| {' | '.join(rule)} |", *body]


def one_line(text: str) -> str:
    """Text without line ends and control characters, its blanks single."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Text whose control characters, save tabs and line feeds, are replaced by a sign that stands for none."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
