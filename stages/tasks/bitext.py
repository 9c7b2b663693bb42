"""Bitext: is the nearest sentence in the other language the translation? (The paper's table 5; LASER's Tatoeba test.)

Two aligned text files, line by line. Each sentence of one is looked for among all of the other, by cosine (a tie goes to
the earlier line), and the share found is the accuracy. A sentence equal to the right translation is the right one, on
whichever line it stands. The headline is the mean of both directions, as Artetxe and Schwenk (2019) give it; each
direction is a subset: `swh-eng` looks for the English translation of each Swahili sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stages.tasks import neighbours
from stages.tasks.compare import Mean
from stages.tasks.files import Absent, lines
from stages.tasks.task import Encode, Figure
from store.problem import Problem

PROTOCOL = "bitext 1: nearest by cosine, ties to the earlier line, equal sentences are equally right"


@dataclass(frozen=True)
class BitextTask:
    """Sentences and their translations, line by line, and the names of the two sides."""

    name: str
    sides: tuple[str, str]
    first: list[str]
    second: list[str]

    @cached_property
    def digest(self) -> str:
        """Names the protocol, the sides and the sentences."""
        content = repr((PROTOCOL, self.sides, self.first, self.second))
        return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every sentence once, in order of appearance."""
        return list(dict.fromkeys(self.first + self.second))

    def correct(self, encode: Encode) -> np.ndarray:
        """Whether each sentence's nearest is its translation, 1.0 or 0.0: (n, 2), there and back."""
        place = {text: row for row, text in enumerate(self.texts)}
        vectors = encode(self.texts)
        first, second = ([place[text] for text in side] for side in (self.first, self.second))
        return np.stack([_right(vectors, first, second), _right(vectors, second, first)], axis=1)

    def items(self, encode: Encode) -> np.ndarray:
        """The share of directions in which each pair is found, (n,): what the headline is the mean of."""
        both: np.ndarray = self.correct(encode).mean(1)
        return both

    def outcome(self, encode: Encode) -> Mean:
        """`items` again, for comparing two models."""
        return Mean("accuracy", self.items(encode))

    def evaluate(self, encode: Encode) -> list[Figure]:
        """The accuracy of both directions together, then of each, with binomial standard errors."""
        right = self.correct(encode)
        n, both = len(right), right.mean(1)  # the directions of a pair are not independent: its mean is one observation
        first, second = self.sides
        return [
            Figure("", "accuracy", 100 * float(both.mean()), n, 100 * float(both.std() / np.sqrt(n))),
            *(
                Figure(subset, "accuracy", 100 * share, n, 100 * float(np.sqrt(share * (1 - share) / n)))
                for subset, share in zip(
                    (f"{first}-{second}", f"{second}-{first}"), map(float, right.mean(0)), strict=True
                )
            ),
        ]


def by_spelling(texts: Sequence[str]) -> np.ndarray:
    """Vectors without a model: how often each three characters occur in a text, (len(texts), distinct threes).

    Nearest by them are texts that share names, numbers and loanwords. An encoder that finds fewer translations than these
    cannot read one of the two languages.
    """
    threes = [
        Counter(map("".join, zip(*(f" {text.casefold()} "[place:] for place in range(3)), strict=False)))
        for text in texts
    ]
    column = {three: place for place, three in enumerate(dict.fromkeys(three for counts in threes for three in counts))}
    vectors = np.zeros((len(texts), len(column)), np.float32)
    for row, counts in enumerate(threes):
        for three, count in counts.items():
            vectors[row, column[three]] = count
    return vectors


def names_in(data: Path) -> tuple[str, ...]:
    """The names of the aligned files in `data` or its `tatoeba`: `tatoeba.swh-eng` for `tatoeba.swh-eng.swh` and `.eng`."""
    return tuple(sorted(_pairs(data)))


def load(name: str, data: Path | None, split: str = "test") -> BitextTask:
    """The task called `name`. Raises Absent where neither of its files is in `data`, Problem where they do not match."""
    if data is None:
        raise Absent(f"the task {name} needs data", "give data=DIR, a folder with two aligned text files")
    if split != "test":
        raise Absent(f"{name} has no {split} split", "use it as a test")
    files = _pairs(data).get(name)
    if files is None:
        raise Absent(f"there are no aligned files {name} in {data}", "give data=DIR, the folder that holds them")
    return pair(*files)


def pair(first: Path, second: Path) -> BitextTask:
    """Two aligned text files. Raises Problem for empty lines, and where one has more lines than the other."""
    sentences, translations = _sentences(first), _sentences(second)
    if len(sentences) != len(translations):
        raise Problem(
            f"{first} has {len(sentences)} lines and {second} {len(translations)}", "give two files that are aligned"
        )
    return BitextTask(called(first, second), _sides(first, second), sentences, translations)


def called(first: Path, second: Path) -> str:
    """The name of the task that two files make: what they have in common, else both their names."""
    common = _in_common(first, second)
    return common[0].lower() if common else f"{first.name}+{second.name}".lower()


def _sides(first: Path, second: Path) -> tuple[str, str]:
    if common := _in_common(first, second):
        return common[1:]
    return (first.name, second.name) if first.name != second.name else ("first", "second")


def _in_common(first: Path, second: Path) -> tuple[str, str, str] | None:
    """The stem that two files share, and how each one's name ends behind it; None where they share none."""
    (stem, side), (other_stem, other_side) = (_split(path) or ("", "") for path in (first, second))
    return (stem, side, other_side) if stem and stem == other_stem and side != other_side else None


def _sentences(path: Path) -> list[str]:
    if not path.exists():
        raise Problem(f"there is no {path}", "give both files, aligned line by line")
    sentences = lines(path)
    if not sentences:
        raise Problem(f"{path} is empty", "give a file with one sentence a line")
    for line, text in enumerate(sentences, start=1):
        if not text.strip():
            raise Problem(f"{path}, line {line}: the line is empty", "remove it from both files, or fill it")
    return sentences


def _pairs(data: Path) -> dict[str, tuple[Path, Path]]:
    """The two files of each name. Where one is not there it is named too, so that reading it is refused."""
    if not data.is_dir():
        raise Problem(f"the data folder {data} does not exist", "give data=DIR, a folder with two aligned text files")
    pairs: dict[str, tuple[Path, Path]] = {}
    for folder in (data, data / "tatoeba"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            parts = _split(path)
            if parts is None or not path.is_file():
                continue
            stem, _ = parts
            left, right = stem.rsplit(".", 1)[-1].split("-")
            files = (folder / f"{stem}.{left}", folder / f"{stem}.{right}")
            if pairs.setdefault(stem.lower(), files) != files:
                raise Problem(f"{pairs[stem.lower()][0]} and {files[0]} have the same name", "rename one of them")
    return pairs


def _split(path: Path) -> tuple[str, str] | None:
    """`tatoeba.swh-eng.swh` -> (`tatoeba.swh-eng`, `swh`); None for a file that is not named like that."""
    match = re.fullmatch(r"(.+\.(\w+)-(\w+))\.(\w+)", path.name)
    return (match[1], match[4]) if match and match[4] in (match[2], match[3]) else None


def _right(vectors: np.ndarray, asked: list[int], answers: list[int]) -> np.ndarray:
    """Whether the nearest of `answers` to each of `asked` is its own; both name rows of `vectors`, one for each text."""
    rows = np.array(answers)
    _, nearest = neighbours.nearest(vectors[asked], [(np.arange(len(rows)), vectors[rows])], 1)
    right: np.ndarray = rows[nearest[:, 0]] == rows
    return right.astype(float)
