"""What a training takes where it is not told: how much at once, how fast, how long, under which temperature and mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from stages.config.train import (
    CLHAIF,
    CONTRASTIVE,
    DEV,
    LONGEST_INTERVAL,
    MASK_MODEL,
    MASKED,
    MAX_LENGTH,
    NO_MASK,
    OWN,
    RELEASED_INTERVAL,
    RELEASED_SIGMA,
    SIGMA,
    TAU,
    THRESHOLDS,
)
from store.problem import Problem


class Schedule(NamedTuple):
    """How much of what is learned from at once, how fast, how often."""

    train_batch: int
    lr: float
    epochs: int


# The embedded base learns from hundreds of triplets, the papers' bases from a hundred thousand and more.
EMBEDDED_BASES = ("minilm", "minilm-l4")
EMBEDDED_SCHEDULE = Schedule(32, 1e-4, 3)
# The papers', for BERT-base; of `multicsr-released` the released code's example. 16 triplets are CLAIF's 32 pairs.
SCHEDULES = {
    "multicsr": Schedule(256, 5e-5, 3),
    "multicsr-released": Schedule(128, 5e-5, 3),
    "simcse": Schedule(512, 5e-5, 3),
    "simcse-unsup": Schedule(64, 3e-5, 1),
    "clhaif": Schedule(512, 5e-5, 3),
    "claif": Schedule(16, 2e-5, 3),
}
PAIRS_AT_ONCE = 32  # CLAIF's pairs as they are

MEASUREMENTS = 4  # on the dev task, in a short training


def usual(
    told: Mapping[str, Any], examples: int, pairs: bool = False, guide: str = MASK_MODEL, dev: str = DEV
) -> dict[str, Any]:
    """The settings of a training on so many `examples` that follow from those that are told: how much at once, how fast, how
    often, under which temperature and mask. `pairs`: the examples are CLAIF's pairs. `guide` is the frozen encoder that goes
    with the base, and `dev` the task."""
    schedule = EMBEDDED_SCHEDULE if told["base"] in EMBEDDED_BASES else SCHEDULES[told["objective"]]
    found = {**schedule._asdict(), **({"train_batch": PAIRS_AT_ONCE} if pairs else {}), **_usual_mask(told, guide)}
    found |= {"dev": dev, "max_length": None if told["objective"] == "claif" else MAX_LENGTH}
    if told["objective"] == "multicsr-released":
        found["eval_every"] = RELEASED_INTERVAL
    if told["objective"] in CONTRASTIVE:
        found["tau"] = TAU
    if told["objective"] == "clhaif":
        found["clhaif"] = CLHAIF[0]
    found |= {name: value for name, value in told.items() if value is not None}
    found.setdefault("teacher", guide if found["mask_model"] == NO_MASK else found["mask_model"])
    if told["rank"] is None:
        del found["teacher"]
    if told["steps"] is not None:
        if told.get("epochs") is not None:
            what = f"steps {told['steps']} and epochs={told['epochs']} each say how long a training is"
            raise Problem(what, "give one of them", "steps")
        found["epochs"] = None
    steps = told["steps"] or math.ceil(examples / found["train_batch"]) * found["epochs"]
    found.setdefault("eval_every", min(LONGEST_INTERVAL, max(1, math.ceil(steps / MEASUREMENTS))))
    return found


def _usual_mask(told: Mapping[str, Any], guide: str) -> dict[str, Any]:
    """The settings of a mask, by `guide` if by no other, that follow from those that are told.

    Raises Problem for settings that go ill together.
    """
    thresholds = [name for name in THRESHOLDS if told.get(name) is not None]
    given = [*thresholds, *(["own"] if told.get("own") is not None else [])]
    model = told.get("mask_model") or (guide if told["objective"] in MASKED or given else NO_MASK)
    if model == NO_MASK:
        if given:
            what = f"{given[0]} {told[given[0]]} has no use with mask_model={NO_MASK}, which masks nothing"
            raise Problem(what, "leave one of them out", given[0])
        return {"mask_model": NO_MASK}
    if len(thresholds) > 1:
        first, second = thresholds[:2]
        what = f"{second} {told[second]:g} and {first}={told[first]:g} are two thresholds of one mask"
        raise Problem(what, "give one of them", second)
    if told["objective"] == "multicsr-released" and "sigma_margin" in thresholds:
        margin = told["sigma_margin"]
        what = f"sigma_margin {margin:g} has no use with objective=multicsr-released, whose code has a sigma alone"
        raise Problem(what, "leave it out, or train by objective=multicsr", "sigma_margin")
    sigma = RELEASED_SIGMA if told["objective"] == "multicsr-released" else SIGMA
    return {"mask_model": model, "own": OWN[0], **({} if thresholds else {"sigma": sigma})}
