"""GPU hours and disk of runs before they are made: the arithmetic of docs/scale.md. Nothing here has been measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from multicsr.paper.node import Node
from stages.config.words import READINGS

# Premises of a scale that has no limit: nli_for_simcse.csv.
PREMISES = 275_601
WIKIPEDIA = 1_000_000  # wiki1m_for_simcse.txt
# Of the triplets, what curation keeps: the paper's 0.19 million of a million Wikipedia sentences (appendix H). What it keeps
# of NLI's premises is not published; the same share is assumed.
KEPT = 0.19

# TFLOP a premise, Flan-T5-XL (docs/scale.md): two prompts are read and four streams written; then two questions are asked,
# each behind five shots.
GEN, SCORE, ASKED = 0.34, 1.11, 0.555

PEAK, UTILISED = 989.0, 0.10  # TFLOP/s of an H200 in bfloat16, and the assumed share of it

# A base of BERT's size: weights that are multiplied, tokens of a sentence. A training step is three forward passes of the
# texts of a triplet, or of a premise twice; the mask model's is one more.
WEIGHTS, TOKENS, FORWARD = 86e6, 20, 2
TRAINED_TEXTS, TRAINED_PREMISES, PASSES = 3, 2, 3

STORED = 459 + 339 + 299  # bytes a premise with its drafts and scores
MASK_VECTORS = 3 * 768 * 4  # bytes a triplet
CHECKPOINT = 0.5e9  # bytes of a trained model
LLM, ENCODERS = 11.4e9, 2.0e9  # bytes fetched from the hub

EVALUATED_TEXTS = 40_000  # sentences of the seven STS tasks
COMPARED_TEXTS = 4  # of a premise whose two hypotheses another model than the LLM scores
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
            f" Flan-T5-XL at {UTILISED:.0%} of {PEAK:g} TFLOP/s, {PREMISES:,} premises, {KEPT:.0%} of them kept (the paper's"
            " share of Wikipedia's), encoders of 86 M weights; no such run was made, so a measured rate should replace it."
        )


def estimate(nodes: Sequence[Node]) -> Estimate:
    """Of `nodes`, each of which is made once."""
    work = sum(_work(one) for one in nodes)
    corpora = {one.ancestor("gen") for one in nodes} - {None}
    disk = LLM + ENCODERS + sum(_premises(one) * STORED for one in corpora if one is not None)
    disk += sum(CHECKPOINT for one in nodes if one.stage == "train")
    masked = {one.parent for one in nodes if one.stage == "train" and _is_masked(one)}
    disk += sum(_triplets(one) * MASK_VECTORS for one in masked if one is not None)
    return Estimate(work / (PEAK * UTILISED) / 3600, disk)


def _work(one: Node) -> float:
    """TFLOP of one node."""
    if one.stage == "gen":
        return _premises(one) * GEN
    if one.stage == "judge":
        return JUDGED_PAIRS * ASKED
    forward = FORWARD * WEIGHTS * TOKENS / 1e12
    if one.stage == "score":
        return _premises(one) * (SCORE if one["by"] in READINGS else COMPARED_TEXTS * forward)
    if one.stage == "train" and one.parent is not None:
        texts = TRAINED_PREMISES if one["objective"] == "simcse-unsup" else TRAINED_TEXTS
        return _seen(one, one.parent) * texts * (PASSES + _is_masked(one)) * forward
    return EVALUATED_TEXTS * forward if one.stage == "eval" else 0.0


def _seen(training: Node, parent: Node) -> int:
    """Triplets that all steps of a training see together."""
    if training["steps"] is not None:
        return int(training["steps"] * training["train_batch"])
    return _triplets(parent) * int(training["epochs"] or 1)


def _is_masked(training: Node) -> bool:
    return training["mask_model"] not in (None, "none")


def _premises(one: Node) -> int:
    source = one.ancestor("gen") or one.ancestor("sentences")
    if source is None:
        return PREMISES
    return int(source["limit"] or (WIKIPEDIA if "wiki1m" in source["premises"] else PREMISES))


def _triplets(parent: Node) -> int:
    return math.ceil(_premises(parent) * (KEPT if parent.stage == "curate" else 1))
