"""Labelled NLI pairs (SNLI, MNLI) on their way to triplets. Arrow: premise, hypothesis, label -> triplet.

The k-th entailment of a premise goes with its k-th contradiction, in the order of the file, wherever in it they stand. What
makes no triplet is counted by why.
"""

from __future__ import annotations

from collections import Counter, deque

from store.records import Role, Triplet

# What corpora write in the column of the label: words, or the numbers of the sets on the hub. SNLI writes - where the
# annotators did not agree, the hub -1.
ROLE_OF: dict[str, Role] = {
    "entailment": "entailment",
    "0": "entailment",
    "contradiction": "contradiction",
    "2": "contradiction",
}
OTHERS = {"neutral": "neutral", "1": "neutral", "-": "unlabelled", "-1": "unlabelled", "": "unlabelled"}
UNPAIRED = "unpaired"
LABELS = sorted({*ROLE_OF, *OTHERS} - {""})


class Pairs:
    """Pairs that wait for their other half. `left_out` counts what has made no triplet so far."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, Role], deque[str]] = {}
        self.left_out: Counter[str] = Counter()

    def add(self, premise: str, hypothesis: str, label: str) -> Triplet | None:
        """The triplet that this pair completes, if it does. Raises KeyError for a label that is not known."""
        role = ROLE_OF.get(label.lower())
        if role is None:
            self.left_out[OTHERS[label.lower()]] += 1
            return None
        other: Role = "contradiction" if role == "entailment" else "entailment"
        if not (others := self._waiting.get((premise, other))):
            self._waiting.setdefault((premise, role), deque()).append(hypothesis)
            self.left_out[UNPAIRED] += 1
            return None
        self.left_out[UNPAIRED] -= 1
        halves = {role: hypothesis, other: others.popleft()}
        return Triplet(premise, halves["entailment"], halves["contradiction"])
