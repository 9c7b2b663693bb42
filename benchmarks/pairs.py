"""Sentence pairs to score, as `gen` leaves them to `score`: two hypotheses a premise."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness import Settings
from stages.tasks import files, sts

Pair = tuple[str, str]  # premise, hypothesis


def read(settings: Settings, count: int) -> list[Pair]:
    """`count` pairs from SNLI dev under `--data`; without it the bundled graded pairs (one hypothesis a premise).

    Raises ValueError if there are not enough.
    """
    found = _snli(settings.data / "snli") if settings.data else _bundled()
    if len(found) < count:
        raise ValueError(f"{count} pairs are asked for, the data has {len(found)}")
    return found[:count]


def _snli(folder: Path) -> list[Pair]:
    """The entailment and the contradiction that people wrote for each premise, in the order of the files."""
    columns = [[line.strip() for line in files.lines(folder / f"{name}.dev")] for name in ("s1", "s2", "labels")]
    written: dict[str, dict[str, str]] = {}
    for premise, hypothesis, label in zip(*columns, strict=True):
        written.setdefault(premise, {}).setdefault(label, hypothesis)
    roles = ("entailment", "contradiction")
    return [(premise, by[role]) for premise, by in written.items() if by.keys() >= set(roles) for role in roles]


def _bundled() -> list[Pair]:
    (dev,) = sts.load("mini", None, "dev").subsets
    return list(zip(dev.first, dev.second, strict=True))
