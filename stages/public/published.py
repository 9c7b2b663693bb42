"""What papers print: figures of the field, for the page on which ours stand. Read from `bundled/published_GROUP.tsv`.

A figure that is not known is not there. STS: Spearman x 100 over a year's concatenated subsets ("all"); transfer: accuracy
x 100 of a logistic regression on frozen vectors; both under SentEval's protocol, which is ours.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple

GROUPS = ("sts", "transfer")
AVERAGE = "average"
UNKNOWN = "-"

# Pairs of the test sets behind the published STS figures; a figure over other pairs is another number.
PAIRS = {"sts12": 3108, "sts13": 1500, "sts14": 3750, "sts15": 3000, "sts16": 1186, "stsb": 1379, "sickr": 4927}


class Published(NamedTuple):
    """One row of a paper's table: figures by task, `average` among them, as far as they are known."""

    backbone: str
    method: str
    figures: dict[str, float]


def tasks(group: str) -> tuple[str, ...]:
    """The seven tasks of `sts` or `transfer`, in the order in which papers print them."""
    return tuple(name for name in _rows(group)[0] if name not in ("backbone", "method", AVERAGE))


def table(group: str) -> list[Published]:
    """The published rows of `sts` or `transfer`."""
    return [
        Published(
            row["backbone"],
            row["method"],
            {name: float(row[name]) for name in (*tasks(group), AVERAGE) if row[name] != UNKNOWN},
        )
        for row in _rows(group)
    ]


def _rows(group: str) -> list[dict[str, str]]:
    text = (files("stages") / "bundled" / f"published_{group}.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))
