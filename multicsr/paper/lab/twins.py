"""Trainings that would repeat another step by step. Arrow: a training that is wanted -> one that was made.

Two trainings are the same where their triplets are, in their order, and all settings: their ids differ where the triplets
came by other ways, from another rule of curation, say. A mask that removed no negative is no mask at all, nor is any
stricter one by the same model: a higher σ, with the same premises' hypotheses as their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.config.train import NO_MASK, SCORED
from stages.course.examples import kept_by
from store.read import runs
from store.records import Run, canonical

if TYPE_CHECKING:
    from multicsr.job import Job
    from store.database import Store

# What a mask is told; one that masks nothing may be told anything.
MASK = ("mask_model", "mask_model_fingerprint", "own", "sigma", "sigma_quantile", "sigma_margin")


class Content(NamedTuple):
    """What a training is, by any other name: its settings and triplets, and its mask, "" for one that removed nothing."""

    learned: str
    mask: str = ""


class Twins:
    """The complete trainings of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._digests: dict[str, str] = {}  # of the triplets of a run, by its id

    def of(self, wanted: Job) -> Run | None:
        """The training that `wanted` would repeat, the first that was finished; None where there is none."""
        assert wanted.parent is not None
        for run in self._complete.get(_without_mask(wanted.config), {}).values():
            assert run.parent is not None
            if _does_for(run, wanted.config) and self._equal(run.parent, wanted.parent, run.config["objective"]):
                return run
        return None

    def content(self, run: Run) -> Content:
        """What a training is: two with equal content are one, whichever of them was made first."""
        assert run.parent is not None
        triplets = run.parent if run.config["objective"] in SCORED else self._digest(run.parent)
        mask = canonical({name: run.config.get(name) for name in MASK}) if masked(run) else ""
        return Content(f"{_without_mask(run.config)} {triplets}", mask)

    def add(self, run: Run) -> None:
        """Know a training that was made just now."""
        self._complete.setdefault(_without_mask(run.config), {})[run.id] = run

    @cached_property
    def _complete(self) -> dict[str, dict[str, Run]]:
        """The complete trainings by their settings without a mask's, then by their ids, in the order of their ends."""
        complete: dict[str, dict[str, Run]] = {}
        trained = [row.run for row in runs.listed(self.store) if row.run.stage == "train" and row.run.finished]
        for run in sorted(trained, key=lambda run: str(run.finished)):
            complete.setdefault(_without_mask(run.config), {})[run.id] = run
        return complete

    def _equal(self, first: str, second: str, objective: str) -> bool:
        """Whether two runs hold the same triplets; an objective that reads their scores has to find those of one run."""
        return first == second or (objective not in SCORED and self._digest(first) == self._digest(second))

    def _digest(self, run: str) -> str:
        if run not in self._digests:
            corpus, digest = self.store.run(run), blake2b(digest_size=16)
            for texts in kept_by(corpus).texts(self.store, corpus):
                digest.update(repr(tuple(texts)).encode())
            self._digests[run] = digest.hexdigest()
        return self._digests[run]


def _without_mask(config: Mapping[str, Any]) -> str:
    """The settings of a training but for its mask's. The losses of MultiCSR and SimCSE are one but for it."""
    told = {name: value for name, value in config.items() if name not in MASK}
    return canonical(told | ({"objective": "simcse"} if config["objective"] == "multicsr" else {}))


def masked(run: Run) -> bool:
    """Whether a training's mask removed anything."""
    return run.config["mask_model"] != NO_MASK and bool(run.counts["masked_share"] > 0)


def _does_for(run: Run, wanted: Mapping[str, Any]) -> bool:
    """Whether a training's mask removed there what the wanted one would."""
    if all(run.config.get(name) == wanted.get(name) for name in MASK):
        return True
    if run.config["mask_model"] == NO_MASK or masked(run):
        return False
    return wanted["mask_model"] == NO_MASK or _is_stricter(wanted, run.config)


def _is_stricter(mask: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a mask removes no more than another: the same but for a higher σ. Where a σ is not what both are told, as with
    a share to mask, nothing is known before they have run."""
    alike = all(mask.get(name) == other.get(name) for name in MASK if name != "sigma")
    given = mask["sigma"] is not None and other["sigma"] is not None
    return alike and given and bool(mask["sigma"] >= other["sigma"])
