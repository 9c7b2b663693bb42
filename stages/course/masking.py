"""The mask of a training: its threshold found, what it will remove told, what it removed kept. Arrow: vectors -> mask.

The batches of a training follow from its seed, so what is masked is known before the first step, and is the same however
often a training is killed and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from stages.config import TrainConfig
from store.problem import Problem
from store.records import ROLES
from store.rows.masked import MaskedPair

if TYPE_CHECKING:
    from stages.models.training.fit import Training
    from stages.models.training.mask import MaskVectors
    from stages.models.training.recipe import Recipe
    from stages.models.training.survey import CrossPairs

# What other thresholds would mask, told beside the one that is used: cosines, and the nearest share of the pairs.
LADDER, NEAREST = (0.9, 0.8, 0.7, 0.6, 0.5), 0.01

# Pairs of texts that are kept of a training: more than a person reads, and little beside its steps.
KEPT = 1000


class Settled(NamedTuple):
    """A recipe whose σ is known, and what is to be said of its mask: `news`, or where it removes nothing a `warning`."""

    recipe: Recipe
    news: str
    warning: str


def settle(config: TrainConfig, recipe: Recipe, vectors: MaskVectors, examples: Iterable[Sequence[str]]) -> Settled:
    """The mask of the training `config` over `examples`, of whose texts `vectors` are the mask model's.

    Raises Problem where there are no pairs to measure a quantile on.
    """
    from stages.models.training import survey
    from stages.models.training.mask import Mask, text_digests

    assert config.own is not None
    texts = text_digests(examples, 1 if vectors.entailment is None else 1 + len(ROLES))
    cross = survey.cross_pairs(vectors, texts, recipe, config.own)
    settled = replace(recipe, sigma=_sigma(config, cross))
    assert settled.mask is not None
    pairs, negatives = survey.removed(Mask(settled.mask, vectors, texts), settled)
    mask = f"the mask ({_threshold(config, settled)}) will remove"
    if pairs:
        return Settled(
            settled, f"{mask} {_percent(pairs / negatives)} of {negatives:,} negatives. {_others(cross)}", ""
        )
    return Settled(settled, "", f"{mask} nothing, so this training is as one without a mask. {_others(cross)}")


def removed(going: Training, keep: int = KEPT) -> tuple[list[MaskedPair], int]:
    """What a training masks, by pair of texts, at most `keep` and those most often first; and how many of all the negatives
    that it masks are an own positive again. Without a mask there is none."""
    from stages.models.training import survey

    mask = going.objective.mask
    if mask is None:
        return [], 0
    sides = ("premise",) if mask.vectors.entailment is None else ROLES
    pairs, duplicates = survey.counted(mask, going.recipe, keep)
    return [MaskedPair(one.place, one.other, sides[one.column], one.cosine, one.times) for one in pairs], duplicates


def _sigma(config: TrainConfig, cross: CrossPairs) -> float | None:
    share = config.sigma_quantile
    if share is None:
        return config.sigma
    try:
        return cross.sigma(share)
    except ValueError as error:
        raise Problem(
            f"sigma_quantile {share:g} has nothing to be measured on: {error}", "train on more", "sigma_quantile"
        ) from None


def _threshold(config: TrainConfig, recipe: Recipe) -> str:
    if config.sigma_margin is not None:
        return f"from the cosine of the own positive {config.sigma_margin:+g} on, by {config.mask_model}"
    of = "" if config.sigma_quantile is None else f", the nearest {_percent(config.sigma_quantile)},"
    return f"from σ {recipe.sigma:.3f} on{of} by {config.mask_model}"


def _others(cross: CrossPairs) -> str:
    """The shares of the cross pairs that other thresholds would remove."""
    if not len(cross.cosines):
        return "A batch of one example has no pairs to mask."
    shares = ", ".join(f"{sigma:g} {_percent(cross.share(sigma))}" for sigma in LADDER)
    level = _percent(cross.share_above_own(0.0))
    return (
        f"By other σ: {shares}; {level} of the pairs are as near as the own positive, and the nearest {_percent(NEAREST)}"
        f" begin at {cross.sigma(NEAREST):.3f}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
