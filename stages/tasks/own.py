"""Pairs of one's own, for a domain or a language without a benchmark. Arrow: checkpoint -> metric ± error.

Two sentences and a score a row, judged like any other pairs (`stages/tasks/sts.py`). What the file is follows from its
name: `.csv` (quoted where need be), `.jsonl` (an object a line), else tab-separated, where a quote is an ordinary character.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.tasks import sts
from stages.tasks.files import lines, number, whole_lines
from store.problem import Problem

# What the three columns (or keys) may be called, in any case of letters.
COLUMNS = {
    "first sentence": ("sentence1", "sentence_1", "sentence_a", "text1"),
    "second sentence": ("sentence2", "sentence_2", "sentence_b", "text2"),
    "score": ("score", "similarity", "relatedness_score", "gold"),
}
NAMED = "name them sentence1, sentence2 and score"

Row = tuple[int, list[str]]  # the line a row begins at, and its fields


def load(path: Path) -> sts.Task:
    """The pairs of a file, under the file's name. Raises Problem, naming file and line, for all that is wrong in it."""
    if not path.exists():
        raise Problem(f"there is no {path}", "give the path of a CSV, TSV or JSONL file")
    read = {".csv": _csv, ".jsonl": _jsonl}.get(path.suffix.lower(), _tsv)
    first, second, gold = [], [], []
    for line, (one, two, score) in read(path):
        if not one.strip() or not two.strip():
            raise Problem(f"{path}, line {line}: a sentence is empty", "fill it, or leave the line out")
        first.append(one)
        second.append(two)
        gold.append(number(score, path, line))
    return sts.judged(sts.Task(path.name, [sts.Subset("", first, second, gold)]))


def _csv(path: Path) -> Iterator[Row]:
    return _columns(path, _csv_rows(path))


def _csv_rows(path: Path) -> Iterator[Row]:
    reader = csv.reader(whole_lines(path), strict=True)
    while True:
        line = reader.line_num + 1  # a quoted field may go over several lines
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Problem(
                f"{path}, line {line}: {error}",
                'quote a field that holds a comma or a quote, and write "" for a quote in it',
            ) from None
        yield line, row


def _tsv(path: Path) -> Iterator[Row]:
    return _columns(path, ((place, line.split("\t")) for place, line in enumerate(lines(path), start=1)))


def _columns(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """The three wanted fields of each row: by the names in the first row if it has them, else the row is these three."""
    places: Sequence[int] | None = None
    width = 3
    for line, row in rows:
        if places is None:
            places = _header(row)
            if places is not None:
                width = len(row)
                continue
            places = (0, 1, 2)
        if len(row) != width:
            raise Problem(
                f"{path}, line {line}: {len(row)} fields, not {width}",
                f"restore the line; for other columns {NAMED} in a first line",
            )
        yield line, [row[place] for place in places]


def _header(row: Sequence[str]) -> tuple[int, ...] | None:
    """The places of the three columns where a row names them, else None: it is a pair already."""
    called = [field.strip().lower() for field in row]
    places = [[place for place, name in enumerate(called) if name in known] for known in COLUMNS.values()]
    return tuple(place[0] for place in places) if all(len(place) == 1 for place in places) else None


def _jsonl(path: Path) -> Iterator[Row]:
    for line, content in enumerate(lines(path), start=1):
        try:
            found = json.loads(content)
        except json.JSONDecodeError as error:
            raise Problem(f"{path}, line {line} is not JSON: {error.msg}", "give one object a line") from None
        if not isinstance(found, dict):
            raise Problem(f"{path}, line {line} is not a JSON object", f"give an object a line; {NAMED}")
        yield line, _values(found, path, line)


def _values(found: dict[str, object], path: Path, line: int) -> list[str]:
    """The two sentences and the score of an object, as they would stand in a table."""
    by_name = {key.lower(): value for key, value in found.items()}
    values: list[str] = []
    for what, known in COLUMNS.items():
        name = next((name for name in known if name in by_name), None)
        if name is None:
            raise Problem(f"{path}, line {line}: no {what} ({', '.join(known)})", NAMED)
        value = by_name[name]
        if what != "score" and not isinstance(value, str):
            raise Problem(f"{path}, line {line}: {name} is {json.dumps(value)}, not a text", "put it in quotes")
        values.append(value if isinstance(value, str) else json.dumps(value))
    return values
