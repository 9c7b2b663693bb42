"""The loss of a batch: what an objective reads beside the vectors, and the function of `loss.py` that it minimises.

Arrow: none of its own; the inside of a step of `fit.py`. Masks, labels and a teacher's vectors lie beside the examples, and a
batch reads its own rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stages.models.training.loss import (
    masked_contrastive_loss,
    ranking_loss,
    released_loss,
    scored_contrastive_loss,
    similarity_loss,
)
from stages.models.training.mask import Mask, MaskVectors
from stages.models.training.recipe import Recipe


class Objective:
    """The objective of `recipe` over n examples.

    `texts` (n, 3), or (n, 1), is equal where texts are. `labels` (n, 2): the AI's similarities of (x, x+) and (x, x-), in
    [0, 1]; of pairs (n, 1). `teacher`: the vectors that `rank` learns from, one (n, w) for each text of an example, scaled
    to length 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        texts: Tensor,
        mask_vectors: MaskVectors | None,
        labels: np.ndarray | None,
        teacher: Sequence[np.ndarray] | None,
    ) -> None:
        assert (teacher is None) == (recipe.rank is None)
        assert labels is None or len(labels) == len(texts)
        self.recipe = recipe
        rule = recipe.mask
        self.mask = None if rule is None or mask_vectors is None else Mask(rule, mask_vectors, texts)
        self.labels = labels
        self.teacher = teacher

    def __call__(self, premise: Tensor, hypotheses: Tensor, chosen: Tensor) -> tuple[Tensor, float]:
        """The mean loss of the examples `chosen` (N,), and the share of their negatives that is masked.

        premise (N, d) and what it is compared with: hypotheses (2N, d) of triplets, all x+ then all x-; (N, d) of pairs and
        of sentences encoded twice.
        """
        recipe = self.recipe
        labels = None
        if self.labels is not None:
            labels = torch.from_numpy(self.labels[chosen.numpy()]).to(premise.device)  # (N, 2), of pairs (N, 1)
        if recipe.objective == "claif":
            assert labels is not None
            return similarity_loss(premise, hypotheses, labels.T.flatten()), 0.0
        assert recipe.tau is not None
        masked, share = self.masked(chosen)
        masked = None if masked is None else masked.to(premise.device)
        if recipe.objective == "clhaif":
            assert labels is not None
            others = recipe.clhaif == "all"
            return scored_contrastive_loss(premise, hypotheses, masked, labels[:, 0], recipe.tau, others), share
        loss = released_loss if recipe.objective == "multicsr-released" else masked_contrastive_loss
        total = loss(premise, hypotheses, masked, recipe.tau)
        if recipe.rank is not None:
            teacher = self._teacher_cosines(chosen).to(premise.device)
            total = total + ranking_loss(premise, hypotheses, teacher, recipe.tau, recipe.rank)
        return total, share

    def _teacher_cosines(self, chosen: Tensor) -> Tensor:
        """The teacher's cosines of every premise of a batch with every hypothesis, (N, 2N); or with every premise, (N, N)."""
        assert self.teacher is not None
        premise, *others = [torch.from_numpy(side[chosen.numpy()]) for side in self.teacher]
        return premise @ torch.cat(others or [premise]).T

    def masked(self, chosen: Tensor) -> tuple[Tensor | None, float]:
        """The mask of a batch, (N, 2N) or (N, N), and the share of negatives (all but own positives) that it removes."""
        if self.mask is None:
            return None, 0.0
        masked = self.mask(chosen)
        return masked, float(masked.sum()) / (masked.numel() - len(chosen))
