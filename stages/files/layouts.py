"""What the columns of a file of triplets or pairs mean, by their names. Arrow: a header -> what a row is.

Known are triplets of sentence-transformers, SimCSE, SynCSE and our own; CLAIF's pairs with a score, and what STS sets are
called by most; the labelled pairs of SNLI and MNLI, as they are distributed and as their sets on the hub have them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from stages.files import tables
from store.problem import Problem

SCALE = 5.0  # the top of the similarity scale
DIGITS = 6  # of a stored score, after a scale of another length

# The columns of a triplet, tried in this order.
SHAPES = {
    "multicsr": ("premise", "entailment", "contradiction"),
    "sentence-transformers": ("anchor", "positive", "negative"),
    "simcse": ("sent0", "sent1", "hard_neg"),
}

# Our own names of the two scores (an export with scores); they may stand beside any triplet.
SCORES = ("a", "b")


class Layout(NamedTuple):
    """What the columns of a file are: premise, entailment and, save in a file of pairs, contradiction; scores of the
    entailment and the contradiction where there are any, of which `top` is the highest. With a `label` column a row is a
    labelled pair, half a triplet."""

    texts: tuple[str, ...]
    scores: tuple[str, ...] = ()
    top: float = SCALE
    label: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, texts first, then scores, then the label."""
        return (*self.texts, *self.scores, *self.label)


# Pairs with a score.
PAIRS = (Layout(("text_a", "text_b"), ("label",), 1.0), Layout(("sentence1", "sentence2"), ("score",)))

LABELLED = tuple(
    Layout(texts, label=(label,))
    for label in ("gold_label", "label")
    for texts in (("sentence1", "sentence2"), ("premise", "hypothesis"))
)

# The columns that may hold a number where the file's format knows numbers.
NUMBERS = (*SCORES, *(name for known in (*PAIRS, *LABELLED) for name in (*known.scores, *known.label)))


def layout(columns: tuple[str, str, str] | None, there: Sequence[str], where: str) -> Layout:
    """What the columns that are `there` make, `columns` those of the triplet where they are named. Raises Problem, of the
    file and line `where`, if they make nothing."""
    shapes = [columns] if columns else list(SHAPES.values())
    scores = SCORES if all(tables.column(name, there) for name in SCORES) else ()
    known = [Layout(names, scores) for names in shapes]
    known += () if columns else (*PAIRS, *LABELLED)
    for candidate in known:
        if all(tables.column(name, there) for name in candidate.columns):
            return candidate
    wanted = " or ".join(", ".join(candidate.columns) for candidate in known)
    raise Problem(
        f"{where} has no columns {wanted}",
        f"name premise, entailment and contradiction with columns=A,B,C, among {', '.join(there) or 'none'}",
    )


def score(text: str, top: float, where: str) -> float | None:
    """A score of the file in [0, 5], from its scale [0, top]; None for an empty field. Raises Problem for another text."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= top:
        raise Problem(f"{where}: the score {text!r} is not a number from 0 to {top:g}", "mend that line")
    return round(value * SCALE / top, DIGITS)
