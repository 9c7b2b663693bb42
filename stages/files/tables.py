"""The one reader of what others wrote: lines of text, CSV, TSV, JSON lines, Parquet. Arrow: a file -> (line, its fields).

Text is UTF-8, with or without a byte order mark. Only a line feed ends a line, with the carriage return of Windows before
it, so that a form feed or U+2028 within a sentence cuts nothing. In a CSV quotes enclose a field, which may go over several
lines; in a TSV they are characters like any other. A row is named by the line that it begins on, a row of a Parquet file by
its number, both from 1. A column is known by its name as it is written, or where none is, in any case of letters and without
blanks around it. Everything streams.

A leaf that tasks may import too: standard library, and pyarrow where a Parquet file is read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from store.problem import Problem

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")  # files whose columns have names

ROWS_AT_ONCE = 4096  # of a Parquet file, in memory

# Chooses columns among those there are. The second argument is what a refusal adds to the file's name: "" where all rows
# have the same columns, else the line.
Choose = Callable[[list[str], str], Sequence[str]]


def records(path: Path, choose: Choose, numbers: Sequence[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """(line, texts of the chosen columns) of each row; of a blank one a single empty text.

    The columns of a CSV or TSV are named by its first row; of JSON lines `choose` is asked again where an object has other
    keys than the one before. Of the columns `numbers` a number or null of JSON or Parquet is taken too, as the text that a
    CSV would hold. Raises Problem, with file and line, for what is no row.
    """
    if path.suffix.lower() in (".jsonl", ".parquet"):
        yield from _of_objects(path, choose, numbers)
        return
    rows = cells(path)
    _, header = next(rows, (1, []))
    places = [header.index(name) for name in _resolved(choose(header, ""), header)]
    for line, row in rows:
        if row == [""]:
            yield line, row
        else:
            refuse_shape(path, line, row, max(places) + 1, len(header))
            yield line, [row[place] for place in places]


def column(name: str, there: Sequence[str]) -> str | None:
    """The column that `name` means among those that are `there`, as it is written there; None for none, or for several."""
    if name in there:
        return name
    alike = [other for other in there if other.strip().casefold() == name.strip().casefold()]
    return alike[0] if len(alike) == 1 else None


def at(path: Path, line: int) -> str:
    """What a refusal calls a row."""
    return f"{path}, {'row' if path.suffix.lower() == '.parquet' else 'line'} {line}"


def lines(path: Path, encoding: str = "utf-8", shown: str = "") -> Iterator[tuple[int, str]]:
    """(number, line with its end) of a text file, which a refusal calls `shown`, or else by its path.

    Raises OSError where it cannot be opened, Problem for bytes that are not in its encoding.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 and encoding == "utf-8" else encoding)
            except UnicodeDecodeError as error:
                raise Problem(
                    f"{shown or path}, line {number} is not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1})",
                    "save the file as UTF-8, for instance with `iconv -f latin1 -t utf-8`",
                ) from None


def bare(line: str) -> str:
    """A line without its end."""
    return line.removesuffix("\n").removesuffix("\r")


def cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row of a CSV, by the file's ending, or else of tab-separated lines; [""] of a blank one."""
    if path.suffix.lower() == ".csv":
        yield from _quoted(path)
    else:
        yield from ((line, bare(text).split("\t")) for line, text in lines(path))


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(line, object) of each line of a JSONL file, None of a blank one; or of each row of a Parquet file."""
    if path.suffix.lower() == ".parquet":
        yield from _parquet(path, lambda there, _: there)
        return
    for line, text in lines(path):
        if not text.strip():
            yield line, None
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise Problem(f"{at(path, line)} is not JSON: {error.msg}", "give one object a line") from None
        if not isinstance(row, dict):
            raise Problem(f"{at(path, line)} is not a JSON object", "give one object a line")
        yield line, row


def refuse_shape(path: Path, line: int, row: Sequence[str], needed: int, width: int, remedy: str = "") -> None:
    """Raises Problem for a row without the `needed` first fields, or with more than the `width` that its table has: there a
    separator stands within a text, and what follows it would be read as another column."""
    if not needed <= len(row) <= width:
        raise Problem(f"{at(path, line)}: {len(row)} fields, not {width}", remedy or "mend that line")


def _of_objects(path: Path, choose: Choose, numbers: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """As `records`, of JSON lines and Parquet."""
    parquet = path.suffix.lower() == ".parquet"
    keys: list[str] | None = None
    chosen: list[tuple[str, bool]] = []  # and whether it may hold a number
    for line, row in _parquet(path, choose) if parquet else objects(path):
        if row is None:
            yield line, [""]
            continue
        if list(row) != keys:
            keys = list(row)
            names = _resolved(choose(keys, "" if parquet else f", line {line}"), keys)
            chosen = [(name, column(name, numbers) is not None) for name in names]
        texts = []
        for name, may_be_number in chosen:
            value = _number(row[name]) if may_be_number else row[name]
            if not isinstance(value, str):
                raise Problem(f"{at(path, line)}: {name} is {value!r}, not a text", "give a column of texts")
            texts.append(value)
        yield line, texts


def _resolved(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """The chosen columns as they are written in the file."""
    resolved = [column(name, there) for name in names]
    assert None not in resolved, f"{names} were chosen among {there}"
    return [name for name in resolved if name is not None]


def _number(value: Any) -> Any:
    """A number or null as the text that a CSV would hold; anything else as it is."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _quoted(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((text for _, text in lines(path)), strict=True)
    while True:
        line = reader.line_num + 1  # a quoted field may go over several lines
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Problem(
                f"{at(path, line)}: {error}",
                'quote a field that holds a comma or a quote, and write "" for a quote in it',
            ) from None
        yield line, row or [""]


def _parquet(path: Path, choose: Choose) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, values of the chosen columns) of each row."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Problem(
            "Parquet files need pyarrow, which is not installed", "pip install 'multicsr[parquet]', or give JSON lines"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            there = list(file.schema_arrow.names)
            wanted = set(_resolved(choose(there, ""), there))
            number = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[name for name in there if name in wanted]):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pyarrow.ArrowInvalid as error:
        raise Problem(f"{path} is no Parquet file: {str(error).splitlines()[0]}", "restore the file") from None
