"""The rows that are shown, as a file: CSV or JSON lines, page by page, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from multicsr_cli.browse import detail
from multicsr_cli.browse.numbers import Places
from multicsr_cli.browse.state import State
from store import whole
from store.database import Store
from store.problem import Problem
from store.read import texts as shown

# Rows whose texts are read at once.
PAGE = 2000

COLUMNS = ("premise", "entailment", "contradiction", "a", "b", "verdict", "reason", "review")


def write(path: Path, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows of COLUMNS to a new file and return their number; the suffix says how. Raises Problem where it cannot."""
    form = {".csv": _csv, ".jsonl": _jsonl}.get(path.suffix)
    if form is None:
        raise Problem(f"{path.name} is neither a .csv nor a .jsonl file", "give a name with one of these endings")
    if path.exists():
        raise Problem(f"{path} exists already", "give another name")
    if not path.resolve().parent.is_dir():
        raise Problem(f"the folder {path.resolve().parent} does not exist", "create it, or give another name")
    try:
        with whole.file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            count = form(file, rows)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", "give a file in a folder that can be written to") from error
    return count


def rows(store: Store, state: State, places: Places) -> Iterator[tuple[Any, ...]]:
    """The rows at these places, page by page, as they are shown: with the roles as the rule reads them."""
    assert state.numbers is not None
    assert state.judged is not None
    assert state.view is not None
    numbers, judged = state.numbers, state.judged
    a, b = numbers.read(state.swap)
    for start in range(0, len(places), PAGE):
        page = places[start : start + PAGE]
        found = shown.texts(store, state.view.gen, numbers.ids[page].tolist())
        for place in page.tolist():
            texts = found[int(numbers.ids[place])]
            code = numbers.names[int(judged.code[place])]
            sides = [texts.entailment, texts.contradiction]
            if state.swap and numbers.swapped[place]:
                sides.reverse()
            scores = [None if np.isnan(column[place]) else float(column[place]) for column in (a, b)]
            said = {"keep": "keep", "drop": "drop"}.get(detail.verdict(code))
            word = (None, "keep", "drop")[int(numbers.word[place])]
            yield (texts.premise, *sides, *scores, said, code if said == "drop" else None, word)


def _csv(file: TextIO, rows: Iterable[tuple[Any, ...]]) -> int:
    table = csv.writer(file)
    table.writerow(COLUMNS)
    return _each(rows, table.writerow)


def _jsonl(file: TextIO, rows: Iterable[tuple[Any, ...]]) -> int:
    def line(row: tuple[Any, ...]) -> None:
        file.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")

    return _each(rows, line)


def _each(rows: Iterable[tuple[Any, ...]], write: Callable[[tuple[Any, ...]], object]) -> int:
    count = 0
    for row in rows:
        write(row)
        count += 1
    return count
