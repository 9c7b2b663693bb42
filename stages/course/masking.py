"""The mask of a training: its threshold found, what it will remove told, what it removed kept. Arrow: vectors -> mask.

The batches of a training follow from its seed, so what is masked is known before the first step, and is the same however
often a training is killed and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stages.config import TrainConfig
from store.problem import Problem
from store.records import ROLES
from store.rows.masked import MaskedPair

if TYPE_CHECKING:
    from stages.models.training.recipe import Recipe
    from stages.models.training.survey import CrossPairs

# What other thresholds would mask, told beside the one that is used: cosines, a margin and a share of the pairs.
LADDER = (0.9, 0.8, 0.7, 0.6, 0.5)
LEVEL_MARGIN, NEAREST = 0.0, 0.01


# Pairs of texts that are kept of a training: more than a person reads, and little beside its steps.
KEPT = 1000


class Masking:
    """The mask of the training `config` over examples whose texts have the mask model's `vectors`.

    `recipe` is the training's, with the cosine that a quantile stands for. Raises Problem where there are no pairs to measure
    one on.
    """

    def __init__(
        self, config: TrainConfig, recipe: Recipe, vectors: Sequence[np.ndarray], examples: Iterable[Sequence[str]]
    ) -> None:
        from stages.models.training import survey
        from stages.models.training.mask import Mask, MaskVectors, text_digests

        assert config.own is not None
        self.config, self.vectors, self.texts = config, MaskVectors(*vectors), text_digests(examples, len(vectors))
        self.cross = survey.cross_pairs(self.vectors, self.texts, recipe, config.own)
        self.recipe = replace(recipe, sigma=self._sigma(self.cross))
        assert self.recipe.mask is not None
        self.mask = Mask(self.recipe.mask, self.vectors, self.texts)
        self.removed = survey.removed(self.mask, self.recipe)

    @property
    def sigma(self) -> float | None:
        """The cosine from which on is masked, where it is one for all."""
        return self.recipe.sigma

    def _sigma(self, cross: CrossPairs) -> float | None:
        share = self.config.sigma_quantile
        if share is None:
            return self.config.sigma
        try:
            return cross.sigma(share)
        except ValueError as error:
            raise Problem(
                f"sigma_quantile {share:g} has nothing to be measured on: {error}", "train on more", "sigma_quantile"
            ) from None

    def pairs(self, keep: int = KEPT) -> list[MaskedPair]:
        """What the training masks, by pair of texts: at most `keep`, those most often first."""
        from stages.models.training import survey

        found = survey.masked_pairs(self.mask, self.recipe, keep)
        sides = ROLES if self.vectors.entailment is not None else ("premise",)
        return [MaskedPair(pair.place, pair.other, sides[pair.column], pair.cosine, pair.times) for pair in found]

    @property
    def warning(self) -> str:
        """What to say of a mask that removes nothing; else nothing."""
        if self.removed.pairs:
            return ""
        return (
            f"the mask ({self._shown}) will remove nothing, so this training is as one without a mask. {self._others}"
        )

    @property
    def news(self) -> str:
        """What the mask will remove, and what others would; nothing where `warning` says it."""
        pairs, negatives = self.removed
        if not pairs:
            return ""
        share = _percent(pairs / negatives)
        return f"the mask ({self._shown}) will remove {share} of {negatives:,} negatives measured. {self._others}"

    @property
    def _shown(self) -> str:
        config = self.config
        if config.sigma_margin is not None:
            return f"from the cosine of the own positive {config.sigma_margin:+g} on, by {config.mask_model}"
        of = "" if config.sigma_quantile is None else f", the nearest {_percent(config.sigma_quantile)},"
        return f"from σ {self.recipe.sigma:.3f} on{of} by {config.mask_model}"

    @property
    def _others(self) -> str:
        """The shares that other thresholds would remove."""
        cross = self.cross
        if not len(cross.cosines):
            return "A batch of one example has no pairs to mask."
        shares = ", ".join(f"{sigma:g} {_percent(cross.share(sigma))}" for sigma in LADDER)
        level = _percent(cross.share_above_own(LEVEL_MARGIN))
        return (
            f"By other σ: {shares}; {level} of the pairs are as near as the own positive, and the nearest"
            f" {_percent(NEAREST)} begin at {cross.sigma(NEAREST):.3f}."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
