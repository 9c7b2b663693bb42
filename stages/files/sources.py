"""Reading premises from a file. Arrow: a source of text -> premise.

Text files hold one sentence a line; the files of `stages/files/tables.py` name a column. A file is read twice: once to check
every line and to name its content, then to store it, so that a bad line leaves the store as it was. Both passes stream.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

from stages.files import tables
from stages.files.tables import Choose
from store.problem import Problem

# A premise is one sentence. Longer lines are paragraphs or a wrong file, and would overrun every encoder's length.
LONGEST = 2000

ROWS_AT_ONCE = 4096  # digested at once: a call for each would take longer than the digest

COLUMNS = ("premise", "text", "sentence", "sentence1", "sent0")  # tried in this order where no column is given


@dataclass(frozen=True)
class AskedBy:
    """By which settings a file of sentences was given and its column, and what it is called: so a refusal speaks of what
    its reader typed."""

    file: str = "premises"
    column: str = "column"
    called: str = "premises file"


PREMISES = AskedBy()


@dataclass(frozen=True)
class Source:
    """A checked file of premises. `name` holds a digest of its texts: other texts are another source.

    `shown` is what the user called it: a path, `bundled` or `-`; `column_given`, whether the user named the column.
    """

    name: str
    path: Path
    column: str | None
    digest: str
    rows: int
    blank: int
    shown: str
    column_given: bool = False

    def texts(self) -> Iterator[tuple[int, str]]:
        """(position, text) of each premise; a position is the line or row number, from 1."""
        return ((place, text) for place, text in _rows(self.path, self.column, PREMISES, str(self.path)) if text)


def bundled() -> Source:
    """The premises written for this project."""
    with as_file(files("stages") / "bundled" / "premises.tsv") as path:
        return replace(source(path, "text", name="bundled"), shown="bundled", column_given=False)


def standard_input(column: str | None = None, asked: AskedBy = PREMISES) -> Source:
    """Check what comes on standard input. It is kept in a temporary file until the process ends: it is read twice.

    Raises Problem as `source` does, and for a `column`.
    """
    if column is not None:
        raise Problem(
            f"{asked.column} {column} goes with a file, and {asked.file}=- is standard input",
            "leave it out",
            setting=asked.column,
        )
    kept = tempfile.NamedTemporaryFile(suffix=".txt", delete=False)  # noqa: SIM115 (closed below, removed at exit)
    atexit.register(lambda: Path(kept.name).unlink(missing_ok=True))
    with kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    return replace(source(Path(kept.name), name="stdin", asked=asked, shown="standard input"), shown="-")


def source(
    path: Path, column: str | None = None, name: str | None = None, asked: AskedBy = PREMISES, shown: str | None = None
) -> Source:
    """Check a file from end to end; a refusal calls it `shown`, or else by its path.

    Raises Problem, naming the line, for what is no sentence.
    """
    shown = shown or str(path)
    if path.is_dir():
        raise Problem(f"{path} is a folder", f"give a file: .txt, {', '.join(tables.SUFFIXES)}")
    if not path.is_file():
        raise Problem(
            f"there is no {asked.called} {path}",
            f"give {asked.file}=bundled, the path of a file, or - for stdin",
        )
    content, rows, blank = hashlib.blake2b(digest_size=6), 0, 0
    texts = (text for _, text in _rows(path, column, asked, shown))
    while part := list(islice(texts, ROWS_AT_ONCE)):
        sentences = [text for text in part if text]
        rows, blank = rows + len(sentences), blank + len(part) - len(sentences)
        content.update("".join(f"{text}\n" for text in sentences).encode())
    if not rows:
        raise Problem(f"the {asked.called} {shown} holds no sentence", "give a file with one sentence a line")
    digest = content.hexdigest()
    return Source(f"{name or path.name}@{digest}", path, column, digest, rows, blank, str(path), column is not None)


def records(path: Path, choose: Choose, numbers: Sequence[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """As `tables.records`, each text stripped and checked. Raises Problem, naming the line, for what is no sentence."""
    for line, texts in tables.records(path, choose, numbers):
        stripped = [text.strip() for text in texts]
        for text in stripped:
            refuse_unusable(tables.at(path, line), text)
        yield line, stripped


def _rows(path: Path, column: str | None, asked: AskedBy, shown: str) -> Iterator[tuple[int, str]]:
    """(line or row number, stripped and checked text) of every row, blank ones as ''."""
    if path.suffix.lower() in tables.SUFFIXES:
        for line, (text,) in records(path, lambda there, where: [_column(f"{path}{where}", column, there, asked)]):
            yield line, text
        return
    if column is not None:
        raise Problem(
            f"{asked.column} {column} goes with {', '.join(tables.SUFFIXES)}, not {path.name}",
            "leave it out",
            setting=asked.column,
        )
    for line, written in tables.lines(path, shown=shown):
        text = written.strip()
        refuse_unusable(f"{shown}, line {line}", text)
        yield line, text


def _column(where: str, column: str | None, there: list[str], asked: AskedBy) -> str:
    """The column of sentences: the one that is asked for, or one of COLUMNS. Raises Problem where there is none."""
    if column is not None:
        if tables.column(column, there) is not None:
            return column
        raise Problem(f"{where} has no column {column!r}", f"it has {', '.join(there) or 'none'}")
    for name in COLUMNS:
        if tables.column(name, there) is not None:
            return name
    raise Problem(f"{where}: which column holds the premises?", f"give {asked.column}=NAME, one of {', '.join(there)}")


def refuse_unusable(where: str, text: str) -> None:
    """Raises Problem for a text that is too long for a sentence, or holds a control character."""
    if len(text) > LONGEST:
        raise Problem(
            f"{where} has {len(text):,} characters; a sentence has at most {LONGEST:,}",
            "split it into sentences, or leave it out",
        )
    if text.isprintable():
        return  # nearly every line; a control character is never printable
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f" or unicodedata.category(character) == "Cs":
            if character == "\t":
                continue
            raise Problem(f"{where} holds the control character U+{ord(character):04X}", "remove it from the file")
