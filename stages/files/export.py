"""Triplets in the files that other programs read. Arrow: triplet -> a file; pure: rows in, a file out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from stages.files.layouts import SHAPES
from store import whole
from store.problem import Problem
from store.read.triplets import ExportedTriplet

FORMATS = ("csv", "jsonl", "parquet", "hf")

# Rows of one row group of a Parquet file.
ROWS_AT_ONCE = 10_000

SCORES, DECISION = ("a", "b"), ("verdict", "reason")


def columns(shape: str, scores: bool, decision: bool) -> dict[str, str]:
    """The columns of an export: field of a row -> its name in the file."""
    fields = ("premise", "entailment", "contradiction")
    more = (*(SCORES if scores else ()), *(DECISION if decision else ()))
    return {**dict(zip(fields, SHAPES[shape], strict=True)), **{name: name for name in more}}


def write(rows: Iterable[ExportedTriplet], names: dict[str, str], format: str, path: Path, card: str = "") -> int:
    """Write `rows` to `path` in one of FORMATS (hf: a folder with the rows and `card`); returns their number. Streams.

    `names` are the fields that are written and what they are called there. The file or folder appears whole. Raises Problem
    where Parquet is asked for without pyarrow, OSError where a folder of that name has something in it.
    """
    if format == "hf":
        with whole.folder(path) as folder:
            written = write(rows, names, "jsonl", folder / "train.jsonl")
            (folder / "README.md").write_text(card, encoding="utf-8")
            return written
    with whole.file(path) as temporary:
        return _WRITERS[format](rows, names, temporary)


def csv_rows(rows: Iterable[ExportedTriplet], names: dict[str, str], file: IO[str]) -> int:
    """CSV with a header; an empty field is a missing figure."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names.values())
    written = 0
    for written, row in enumerate(rows, start=1):  # noqa: B007 (the last number is the result)
        writer.writerow(getattr(row, field) for field in names)
    return written


def jsonl_rows(rows: Iterable[ExportedTriplet], names: dict[str, str], file: IO[str]) -> int:
    """One JSON object a line."""
    written = 0
    for written, row in enumerate(rows, start=1):  # noqa: B007 (the last number is the result)
        line = {name: getattr(row, field) for field, name in names.items()}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return written


def _csv(rows: Iterable[ExportedTriplet], names: dict[str, str], path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return csv_rows(rows, names, file)


def _jsonl(rows: Iterable[ExportedTriplet], names: dict[str, str], path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return jsonl_rows(rows, names, file)


def _parquet(rows: Iterable[ExportedTriplet], names: dict[str, str], path: Path) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Problem(
            "Parquet files need pyarrow, which is not installed",
            "pip install 'multicsr[parquet]', or give format=jsonl",
        ) from None
    kinds = {"a": pyarrow.float64(), "b": pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds.get(field, pyarrow.string())) for field, name in names.items()])
    written, stream = 0, iter(rows)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while part := list(islice(stream, ROWS_AT_ONCE)):
            lines: Sequence[dict[str, Any]] = [
                {name: getattr(row, field) for field, name in names.items()} for row in part
            ]
            writer.write_table(pyarrow.Table.from_pylist(lines, schema=schema))
            written += len(part)
    return written


_WRITERS: dict[str, Callable[[Iterable[ExportedTriplet], dict[str, str], Path], int]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
