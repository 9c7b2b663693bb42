"""What a description is, and the words that columns of several tables and views share."""

from __future__ import annotations

from typing import NamedTuple


class DescribedObject(NamedTuple):
    """A table or view: what a row of it is, and what its columns hold."""

    about: str
    columns: dict[str, str]


RUN = "the run"
PREMISE = "the premise's id"
ROLE = "entailment or contradiction; rewrite-K in a run of pairs, K ten times the mask rate, or counted in a file"
PARTNER_ROLE = "rewrite-K as in `drafts`, or random-K for a rewrite of another premise, drawn at random"
LABEL = "what cos(premise, partner) is trained towards, 0 to 1: 0.1 + 0.8 · score / 5, and 0 for a random partner"
PLACE = "the premise's place among the training's examples, from 0 in the order in which they are read"
OTHER_PLACE = "the place of the example that the negative belongs to"
MASKED_ROLE = (
    "the negative's role as it was trained on: entailment or contradiction; premise in a training on premises alone"
)
DRAFT = "the id of the negative's row in `drafts`; null where it is a premise"
COSINE = "of premise and negative, by the mask model"
TIMES = "in how many batches it was masked"
