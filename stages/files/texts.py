"""Premises that are no file: texts at hand, and sources that the store has already. Arrow: texts -> premise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.files.sources import Source, refuse_unusable
from store.database import Store
from store.problem import Problem
from store.rows import premises

NAME = "texts"  # as a file would be called: one of this name with these lines is the same source


@dataclass(frozen=True)
class HeldTexts(Source):
    """Premises held in memory. The same texts have the same name in every process, so that the same call goes on."""

    held: tuple[str, ...] = ()

    def texts(self) -> Iterator[tuple[int, str]]:
        """(position, text) of each premise; a position is its place, from 1."""
        return ((place, text) for place, text in enumerate(self.held, start=1) if text)


def source(rows: Iterable[Any], column: str | None = None) -> HeldTexts:
    """Check texts as lines of a file are checked; with a `column`, that of each of the `rows`.

    Raises Problem, naming the place from 1, for what is no sentence.
    """
    held = []
    for place, row in enumerate(rows, start=1):
        text = row if column is None else _cell(row, column, place)
        if not isinstance(text, str):
            raise Problem(
                f"premises: number {place} is {text!r}, not a text", "give texts, or column=NAME with rows", "premises"
            )
        held.append(text.strip())
        refuse_unusable(f"premises: number {place}", held[-1])
    sentences = [text for text in held if text]
    if not sentences:
        raise Problem("premises hold no sentence", "give one text or more", "premises")
    digest = hashlib.blake2b("".join(f"{text}\n" for text in sentences).encode(), digest_size=6).hexdigest()
    name = f"{NAME}@{digest}"
    return HeldTexts(name, Path(NAME), None, digest, len(sentences), len(held) - len(sentences), name, held=tuple(held))


def stored(store: Store, name: str) -> HeldTexts | None:
    """The source called `name` (its content is in it) where the store holds the whole of it: no file is needed again."""
    known = premises.source(store, name)
    return known and HeldTexts(name, Path(known[0]), None, known[1], known[2], 0, name)


def _cell(row: Any, column: str, place: int) -> Any:
    try:
        return row[column]
    except (KeyError, TypeError, IndexError):
        raise Problem(
            f"column {column!r} is not in row {place} of the premises", "give a column of texts", "column"
        ) from None
