"""GPU hours and disk of runs before they are made: the arithmetic of docs/scale.md. Nothing here has been measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from multicsr.paper.node import Node

# Premises of a scale that has no limit: nli_for_simcse.csv.
PREMISES = 275_601
WIKIPEDIA = 1_000_000  # wiki1m_for_simcse.txt
KEPT = 0.68  # of the triplets, by the paper: 0.19 of 0.28 million

# TFLOP a premise, Flan-T5-XL (docs/scale.md): two prompts are read and four streams written; then two questions are asked.
GEN, SCORE, ASKED = 0.34, 0.39, 0.195

PEAK, UTILISED = 989.0, 0.10  # TFLOP/s of an H200 in bfloat16, and the assumed share of it

# A base of BERT's size: weights that are multiplied, tokens of a sentence; a training step is three forward passes, the
# mask model's one more.
WEIGHTS, TOKENS, FORWARD = 86e6, 20, 2
TRAINED_TEXTS, PASSES = 3, 4

STORED = 459 + 339 + 299  # bytes a premise with its drafts and scores
MASK_VECTORS = 3 * 768 * 4  # bytes a triplet
CHECKPOINT = 0.5e9  # bytes of a trained model
LLM, ENCODERS = 11.4e9, 2.0e9  # bytes fetched from the hub

EVALUATED_TEXTS = 40_000  # sentences of the seven STS tasks
JUDGED_PAIRS = 19_000


@dataclass(frozen=True)
class Estimate:
    """What runs would take."""

    gpu_hours: float
    disk: float  # bytes

    @property
    def shown(self) -> str:
        return (
            f"estimate: {self.gpu_hours:.1f} GPU hours, {self.disk / 1e9:.0f} GB of disk. It is arithmetic (docs/scale.md):"
            f" Flan-T5-XL at {UTILISED:.0%} of {PEAK:g} TFLOP/s, {PREMISES:,} premises, {KEPT:.0%} of them kept, encoders of"
            " 86 M weights; no such run was made, so a measured rate should replace it."
        )


def estimate(nodes: Sequence[Node]) -> Estimate:
    """Of `nodes`, each of which is made once."""
    work = sum(_work(one) for one in nodes)
    corpora = {one.ancestor("gen") for one in nodes} - {None}
    disk = LLM + ENCODERS + sum(_premises(one) * STORED for one in corpora if one is not None)
    disk += sum(CHECKPOINT for one in nodes if one.stage == "train")
    masked = {one.parent for one in nodes if one.stage == "train" and one["mask_model"] not in (None, "none")}
    disk += sum(_triplets(one) * MASK_VECTORS for one in masked if one is not None)
    return Estimate(work / (PEAK * UTILISED) / 3600, disk)


def _work(one: Node) -> float:
    """TFLOP of one node."""
    if one.stage == "gen":
        return _premises(one) * GEN
    if one.stage == "score":
        return _premises(one) * SCORE
    if one.stage == "judge":
        return JUDGED_PAIRS * ASKED
    forward = FORWARD * WEIGHTS * TOKENS / 1e12
    if one.stage == "train" and one.parent is not None:
        return _triplets(one.parent) * int(one["epochs"] or 1) * TRAINED_TEXTS * PASSES * forward
    return EVALUATED_TEXTS * forward if one.stage == "eval" else 0.0


def _premises(one: Node) -> int:
    gen = one.ancestor("gen")
    if gen is None:
        return PREMISES
    return int(gen["limit"] or (WIKIPEDIA if "wiki1m" in gen["premises"] else PREMISES))


def _triplets(parent: Node) -> int:
    return math.ceil(_premises(parent) * (KEPT if parent.stage == "curate" else 1))
