"""What a training takes where it is not told: the frozen encoder and the dev task that go with its base.

Arrow: base, corpora and data -> two names, and a line that says so. MultiCSR masks with the SimCSE of the base's own kind,
unsupervised, or supervised where a labelled corpus joins (appendix G), and chooses the step on STS-B dev.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.config import ImportConfig
from stages.config.recipes import EMBEDDED_BASES
from stages.config.train import DEV, MASK_MODEL

if TYPE_CHECKING:
    from store.database import Store
    from store.records import Run


@dataclass(frozen=True)
class Chosen:
    """`guide` is the mask model, or the teacher of a training that masks nothing; `why` it and `dev` are the ones."""

    guide: str
    dev: str
    why: tuple[str, str]

    def said(self, told: Mapping[str, Any], full: Mapping[str, Any]) -> str:
        """Which of the settings `full` were not told, and are these; nothing of an embedded base, where they never differ."""
        if full["base"] in EMBEDDED_BASES:
            return ""
        guides = [name for name in ("mask_model", "teacher") if full.get(name) == self.guide and told.get(name) is None]
        words = [f"{name.replace('_', ' ')} {self.guide} ({self.why[0]})" for name in guides]
        if told.get("dev") is None:
            words.append(f"dev task {self.dev} ({self.why[1]})")
        return f"base {full['base']} goes with {', '.join(words)}" if words else ""


def choose(base: str, labelled: bool, data: Path | None) -> Chosen:
    """What goes with the base of that name, where the training is supervised and where it is not.

    A local folder does not say which SimCSE it became, so it is masked by the embedded encoder, as any other model is.
    Raises Problem where the STS-B in `data` is damaged.
    """
    from stages.models.aliases import guides_of

    guides = guides_of(base)
    if guides is None:
        guide, why = MASK_MODEL, "no SimCSE of its kind is known"
    elif labelled:
        guide, why = guides.supervised, "the supervised SimCSE of its kind, as a labelled corpus joins"
    else:
        guide, why = guides.unsupervised, "the unsupervised SimCSE of its kind"
    if base in EMBEDDED_BASES:
        return Chosen(guide, DEV, (why, "bundled"))
    if not _has_stsb(data):
        return Chosen(guide, DEV, (why, "no STS-B dev in data" if data else "no data was given to find STS-B dev in"))
    return Chosen(guide, "stsb", (why, "its dev split is in data"))


def any_labelled(store: Store, joined: Sequence[Run]) -> bool:
    """Whether a labelled corpus is among the runs that join a training: triplets that were imported, and not written here."""
    return any(_written(store, run).config.get("method") == ImportConfig.method for run in joined)


def _written(store: Store, run: Run) -> Run:
    """The gen run that a curate run selects from; a gen run itself."""
    while run.parent is not None:
        run = store.parent(run)
    return run


def _has_stsb(data: Path | None) -> bool:
    from stages.tasks import sts
    from stages.tasks.files import Absent

    if data is None:
        return False
    try:
        sts.load("stsb", data, "dev")
    except Absent:
        return False
    return True
