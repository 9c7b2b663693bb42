"""Reading evaluation data. What cannot be read is refused with the file and the line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from stages.files import tables
from store.problem import Problem

# The parts of a benchmark that are measured on; what a model learns from is none of them.
SPLITS = ("test", "dev")


class Absent(Problem):
    """A task whose files are not in the data folder, or that has no such split."""


def senteval_root(data: Path) -> Path:
    """The folder with the tasks in it: `data` itself, or its `downstream`, or its `data/downstream`."""
    if not data.is_dir():
        raise Problem(f"the data folder {data} does not exist", "give data=DIR, the folder of the SentEval layout")
    for levels in ("data/downstream", "downstream", "senteval/downstream"):
        if (data / levels).is_dir():
            return data / levels
    return data


def lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a file without their ends (Windows ones too); only a line feed ends a line."""
    return list(stream(path, encoding))


def stream(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    """As `lines`, one after the other: for files larger than memory. Raises Absent where there is no such file."""
    try:
        yield from (tables.bare(line) for _, line in tables.lines(path, encoding))
    except IsADirectoryError:
        raise Problem(f"{path} is a folder, not a file", "give the file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise Absent(f"there is no {path}", "give data=DIR, a folder that holds this task") from None


def fields(path: Path, needed: int, header: bool = False) -> list[list[str]]:
    """The tab-separated fields of each line, at least `needed`; quotes are ordinary characters."""
    rows = []
    for number, line in enumerate(lines(path), start=1):
        if header and number == 1:
            continue
        row = line.split("\t")
        if len(row) < needed:
            raise Problem(f"{path}, line {number}: {len(row)} fields, not {needed}", "restore the file")
        rows.append(row)
    return rows


def number(written: str, path: Path, line: int) -> float:
    """A gold score as a float."""
    try:
        value = float(written) if "_" not in written else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Problem(f"{path}, line {line}: {written!r} is not a number", "restore the file")
    return value
