"""The classified sentences of SentEval's transfer tasks, read. Arrow: a file -> items.

Items stand in SentEval's order, by their number of words and then their class: folds and batches are drawn by place. Texts
are words joined by single spaces, and a text without a word is read as ".", as SentEval's examples do. Whatever is wrong is
a Problem that names file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stages.tasks.files import fields, lines
from store.problem import Problem

# The files of class 0 and class 1.
BINARY = {
    "mr": ("MR/rt-polarity.neg", "MR/rt-polarity.pos"),
    "cr": ("CR/custrev.neg", "CR/custrev.pos"),
    "subj": ("SUBJ/subj.subjective", "SUBJ/subj.objective"),
    "mpqa": ("MPQA/mpqa.neg", "MPQA/mpqa.pos"),
}
COARSE = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")

RESTORE = "restore the file"


class Item(NamedTuple):
    """One text, or the two of a pair, and its class."""

    texts: tuple[str, ...]
    label: int


def binary(paths: Sequence[Path]) -> list[Item]:
    """A file for each class, a text a line."""
    items = [Item((line,), label) for label, path in enumerate(paths) for line in lines(path, "latin-1")]
    return _ordered(items)


def sst(path: Path) -> list[Item]:
    """Lines of text, tab, label. The label stands behind the last tab."""
    rows = [line.rpartition("\t") for line in lines(path)]
    items = []
    for number, (text, tab, label) in enumerate(rows, start=1):
        if not tab:
            raise Problem(f"{path}, line {number}: 1 field, not 2", RESTORE)
        items.append(Item((text,), _binary_label(label, path, number)))
    return _not_empty(_ordered(items), path)


def trec(path: Path) -> list[Item]:
    """Lines of COARSE:fine text."""
    items = []
    for number, line in enumerate(lines(path, "latin-1"), start=1):
        labels, space, text = line.partition(" ")
        coarse, colon, _ = labels.partition(":")
        if not space or not colon:
            raise Problem(f"{path}, line {number}: {line[:40]!r} is not COARSE:fine and a text", RESTORE)
        if coarse not in COARSE:
            raise Problem(f"{path}, line {number}: {coarse!r} is none of {', '.join(COARSE)}", RESTORE)
        items.append(Item((text,), COARSE.index(coarse)))
    return _not_empty(_ordered(items), path)


def mrpc(path: Path) -> list[Item]:
    """A header, then lines of label, two ids and two texts, between tabs and never quoted."""
    rows = fields(path, 5)
    if rows and rows[0][0] != "Quality":
        raise Problem(f"{path}, line 1: {rows[0][0]!r} is not the header, which begins with Quality", RESTORE)
    items = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 5:
            raise Problem(f"{path}, line {number}: {len(row)} fields, not 5", "leave no tab within a text")
        items.append(Item((row[3], row[4]), _binary_label(row[0], path, number)))
    return _not_empty(_ordered(items), path)


def _binary_label(written: str, path: Path, line: int) -> int:
    if written.strip() not in ("0", "1"):
        raise Problem(f"{path}, line {line}: the label {written!r} is neither 0 nor 1", RESTORE)
    return int(written)


def _ordered(items: Sequence[Item]) -> list[Item]:
    """In SentEval's order, their words joined by single spaces."""
    words = [([text.split() for text in item.texts], item.label) for item in items]
    words.sort(key=lambda item: ([len(text) for text in item[0]], item[1]))
    return [Item(tuple(" ".join(text or ["."]) for text in texts), label) for texts, label in words]


def _not_empty(items: list[Item], path: Path) -> list[Item]:
    if not items:
        raise Problem(f"{path} holds no items", RESTORE)
    return items
