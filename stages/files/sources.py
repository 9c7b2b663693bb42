"""Reading premises from a file. Arrow: a source of text -> premise.

Text files hold one sentence a line; CSV, TSV and JSONL files name a column. A file is read twice: once to check every
line and to name its content, then to store it, so that a bad line leaves the store as it was. Both passes stream.
"""

from __future__ import annotations

import atexit
import csv
import hashlib
import json
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from typing import IO, Any

from store.problem import Problem

# A premise is one sentence. Longer lines are paragraphs or a wrong file, and would overrun every encoder's length.
LONGEST = 2000

ROWS_AT_ONCE = 4096  # digested at once: a call for each would take longer than the digest

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
TABLES = (*_DELIMITERS, ".jsonl")  # files whose columns have names

COLUMNS = ("premise", "text", "sentence", "sentence1", "sent0")  # tried in this order where no --column is given


@dataclass(frozen=True)
class Source:
    """A checked file of premises. `name` holds a digest of its texts: other texts are another source.

    `shown` is what --premises was given, `column_given` whether --column named the column.
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
        return ((place, text) for place, text in _rows(self.path, self.column) if text)


def bundled() -> Source:
    """The premises written for this project."""
    with as_file(files("stages") / "bundled" / "premises.tsv") as path:
        return replace(source(path, "text", name="bundled"), shown="bundled", column_given=False)


def standard_input(column: str | None = None) -> Source:
    """Check what comes on standard input. It is kept in a temporary file until the process ends: it is read twice."""
    if column is not None:
        raise Problem(f"--column {column} goes with a file, and --premises is - (standard input)", "leave it out")
    kept = tempfile.NamedTemporaryFile(suffix=".txt", delete=False)  # noqa: SIM115 (closed below, removed at exit)
    atexit.register(lambda: Path(kept.name).unlink(missing_ok=True))
    with kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    try:
        return replace(source(Path(kept.name), name="stdin"), shown="-")
    except Problem as problem:
        raise Problem(problem.what.replace(kept.name, "standard input"), problem.remedy) from None


def source(path: Path, column: str | None = None, name: str | None = None) -> Source:
    """Check a file from end to end. Raises Problem, naming the line, for what is no sentence."""
    if path.is_dir():
        raise Problem(f"{path} is a folder", "give a file: .txt, .csv, .tsv or .jsonl")
    if not path.is_file():
        raise Problem(
            f"there is no premises file {path}", "give --premises bundled, the path of a file, or - for stdin"
        )
    content, rows, blank = hashlib.blake2b(digest_size=6), 0, 0
    texts = (text for _, text in _rows(path, column))
    while part := list(islice(texts, ROWS_AT_ONCE)):
        sentences = [text for text in part if text]
        rows, blank = rows + len(sentences), blank + len(part) - len(sentences)
        content.update("".join(f"{text}\n" for text in sentences).encode())
    if not rows:
        raise Problem(f"the premises file {path} holds no sentence", "give a file with one sentence a line")
    digest = content.hexdigest()
    return Source(f"{name or path.name}@{digest}", path, column, digest, rows, blank, str(path), column is not None)


# Chooses columns among those there are; the second argument says where in the file, for the message of a refusal.
Choose = Callable[[list[str], str], Sequence[str]]


def records(path: Path, choose: Choose, numbers: Sequence[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """(line number, the texts of the chosen columns) of each row of a CSV, TSV or JSONL file; stripped, checked, and all
    empty for a blank row. Of the columns `numbers` a JSON number or null is taken too, as text. Streams.

    Raises Problem, naming the line, for what is no row or no sentence."""
    suffix = path.suffix.lower()
    with path.open("rb") as raw:
        rows = (
            _jsonl(raw, path, choose, numbers) if suffix == ".jsonl" else _table(raw, path, choose, _DELIMITERS[suffix])
        )
        for number, texts in rows:
            stripped = [text.strip() for text in texts]
            for text in stripped:
                _refuse_unusable(path, number, text)
            yield number, stripped


def _rows(path: Path, column: str | None) -> Iterator[tuple[int, str]]:
    """(line or row number, stripped and checked text) of every row, blank ones as ''."""
    if path.suffix.lower() in TABLES:
        for number, (text,) in records(path, lambda there, where: [_column(path, column, there, where)]):
            yield number, text
        return
    if column is not None:
        raise Problem(f"--column {column} goes with {', '.join(TABLES)}, not {path.name}", "leave it out")
    # Line ends are only line feeds: a form feed or U+2028 inside a sentence must not cut it.
    with path.open("rb") as raw:
        for number, line in _lines(raw, path):
            text = line.strip()
            _refuse_unusable(path, number, text)
            yield number, text


def _lines(raw: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(raw, start=1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Problem(
                f"{path}, line {number} is not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1})",
                "save the file as UTF-8, for instance with `iconv -f latin1 -t utf-8`",
            ) from None


def _jsonl(raw: IO[bytes], path: Path, choose: Choose, numbers: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in _lines(raw, path):
        if not line.strip():
            yield number, [""]
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise Problem(f"{path}, line {number} is not JSON: {error.msg}", "give one object a line") from None
        if not isinstance(row, dict):
            raise Problem(f"{path}, line {number} is not a JSON object", "give one object a line")
        texts = [_number(row[name]) if name in numbers else row[name] for name in choose(list(row), f", line {number}")]
        for text in texts:
            if not isinstance(text, str):
                raise Problem(f"{path}, line {number}: the column is {text!r}, not a text", "give a column of texts")
        yield number, texts


def _number(value: Any) -> Any:
    """A JSON number or null as the text that a table would hold; anything else as it is."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _table(raw: IO[bytes], path: Path, choose: Choose, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    texts = (line for _, line in _lines(raw, path))
    # In a TSV a quote is a character like any other; in a CSV it encloses fields.
    if delimiter == ",":
        reader = csv.reader(texts, delimiter=",")
    else:
        reader = csv.reader(texts, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    try:
        header = next(reader, [])
        places = [header.index(name) for name in choose(header, "")]
        for row in reader:
            if row and len(row) <= max(places):
                raise Problem(f"{path}, line {reader.line_num}: {len(row)} fields, not {len(header)}", "mend that line")
            yield reader.line_num, [row[place] for place in places] if row else [""]
    except csv.Error as error:
        raise Problem(f"{path}, line {reader.line_num}: {error}", "mend that line") from None


def _column(path: Path, column: str | None, there: list[str], where: str) -> str:
    if column is not None:
        if column in there:
            return column
        raise Problem(f"{path}{where} has no column {column!r}", f"it has {', '.join(there) or 'none'}")
    for name in COLUMNS:
        if name in there:
            return name
    raise Problem(f"{path}{where}: which column holds the premises?", f"give --column, one of {', '.join(there)}")


def _refuse_unusable(path: Path, number: int, text: str) -> None:
    if len(text) > LONGEST:
        raise Problem(
            f"{path}, line {number} has {len(text):,} characters; a sentence has at most {LONGEST:,}",
            "split it into sentences, or leave it out",
        )
    if text.isprintable():
        return  # nearly every line; a control character is never printable
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f" or unicodedata.category(character) == "Cs":
            if character == "\t":
                continue
            raise Problem(
                f"{path}, line {number} holds the control character U+{ord(character):04X}", "remove it from the file"
            )
