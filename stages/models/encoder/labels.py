"""Which output of an NLI classifier means what, read from its config alone: nothing here loads torch."""

from __future__ import annotations

import json

from stages.models.catalog import Located
from store.problem import Problem

LABELS = ("entailment", "neutral", "contradiction")


def columns(located: Located) -> tuple[int, ...]:
    """The columns of a classifier's output that hold LABELS, in that order; its config may spell them in any case.

    Raises Problem where the config does not name exactly these three (LABEL_0 says nothing of what it means).
    """
    recorded = json.loads((located.folder / "config.json").read_text(encoding="utf-8")).get("id2label") or {}
    named = {str(label).strip().lower(): str(column) for column, label in recorded.items()}
    if set(named) != set(LABELS) or set(recorded) != {str(column) for column in range(len(LABELS))}:
        labels = ", ".join(map(str, recorded.values())) or "none"
        raise Problem(
            f"{located.name} does not say which of its outputs are {', '.join(LABELS)}: its labels are {labels}",
            "give an NLI classifier, or name its three labels under id2label in its config.json",
        )
    return tuple(int(named[label]) for label in LABELS)
