"""Pairs of one's own, for a domain or a language without a benchmark. Arrow: checkpoint -> metric ± error.

Two sentences and a score a row, judged like any other pairs (`stages/tasks/sts.py`). How the file is read follows from its
ending (`stages/files/tables.py`): `.csv`, `.jsonl`, `.parquet`, and any other as tab-separated lines. A first row that names
the three columns says where they are, in any order and among others; without one a row is these three.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.files import tables
from stages.tasks import sts
from stages.tasks.files import number
from store.problem import Problem

# What the three columns may be called, as `tables.column` finds them.
COLUMNS = {
    "first sentence": ("sentence1", "sentence_1", "sentence_a", "text1"),
    "second sentence": ("sentence2", "sentence_2", "sentence_b", "text2"),
    "score": ("score", "similarity", "relatedness_score", "gold"),
}
NAMED = "name them sentence1, sentence2 and score"


def load(path: Path) -> sts.StsTask:
    """The pairs of a file, under the file's name. Raises Problem, naming file and line, for all that is wrong in it."""
    if not path.exists():
        raise Problem(f"there is no {path}", f"give the path of a file: {', '.join(tables.SUFFIXES)}")
    if path.is_dir():
        raise Problem(f"{path} is a folder, not a file", "give the file")
    first, second, gold = [], [], []
    has_names = path.suffix.lower() in (".jsonl", ".parquet")
    for line, (sentence, other, score) in _of_objects(path) if has_names else _of_cells(path):
        if not sentence.strip() or not other.strip():
            raise Problem(f"{tables.at(path, line)}: a sentence is empty", "fill it, or leave the line out")
        first.append(sentence)
        second.append(other)
        gold.append(number(score, path, line))
    return sts.judged(sts.StsTask(path.name, [sts.Subset("", first, second, gold)]))


def _of_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The three wanted fields of each row: by the names in the first row if it has them, else the row is these three."""
    places: Sequence[int] | None = None
    needed = width = 3
    for line, row in tables.cells(path):
        if places is None:
            places = _header(row)
            if places is not None:
                needed, width = max(places) + 1, len(row)
                continue
            places = (0, 1, 2)
        remedy = f"restore the line; for other columns {NAMED} in a first line"
        tables.refuse_shape(path, line, row, needed, width, remedy)
        yield line, [row[place] for place in places]


def _header(row: Sequence[str]) -> tuple[int, ...] | None:
    """The places of the three columns where a row names them, else None: it is a pair already."""
    called = [_named(known, row) for known in COLUMNS.values()]
    return tuple(row.index(name) for name in called if name is not None) if None not in called else None


def _named(known: Sequence[str], there: Sequence[str]) -> str | None:
    """The column that has the first of the `known` names which is there; None for none."""
    return next((column for name in known if (column := tables.column(name, there)) is not None), None)


def _of_objects(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The two sentences and the score of each object, as they would stand in a table."""
    for line, row in tables.objects(path):
        if row is None:
            raise Problem(f"{tables.at(path, line)} is not JSON: it is empty", "leave the line out")
        yield line, [_value(row, what, known, tables.at(path, line)) for what, known in COLUMNS.items()]


def _value(row: dict[str, Any], what: str, known: Sequence[str], where: str) -> str:
    name = _named(known, list(row))
    if name is None:
        raise Problem(f"{where}: no {what} ({', '.join(known)})", NAMED)
    value = row[name]
    if what != "score" and not isinstance(value, str):
        raise Problem(f"{where}: {name} is {json.dumps(value, default=str)}, not a text", "put it in quotes")
    return value if isinstance(value, str) else json.dumps(value, default=str)
