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
    false_negatives,
    masked_contrastive_loss,
    ranking_loss,
    released_loss,
    released_mask,
    scored_contrastive_loss,
    similarity_loss,
)
from stages.models.training.recipe import MaskVectors, Recipe


class Objective:
    """The objective of `recipe` over n examples.

    `premise_number` (n,) is equal where premises are. `labels` (n, 2): the AI's similarities of (x, x+) and (x, x-), in
    [0, 1]; of pairs (n, 1). `teacher`: the vectors that `rank` learns from, one (n, w) for each text of an example, scaled
    to length 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        premise_number: Tensor,
        mask_vectors: MaskVectors | None,
        labels: np.ndarray | None,
        teacher: Sequence[np.ndarray] | None,
    ) -> None:
        assert (teacher is None) == (recipe.rank is None)
        assert labels is None or len(labels) == len(premise_number)
        self.recipe = recipe
        self.premise_number = premise_number
        self.mask_vectors = mask_vectors
        self.labels = labels
        self.teacher = teacher

    def __call__(self, premise: Tensor, hypotheses: Tensor, chosen: Tensor) -> tuple[Tensor, float]:
        """The mean loss of the examples `chosen` (N,), and the share of their negatives that is masked.

        premise (N, d) and what it is compared with: hypotheses (2N, d) of triplets, all x+ then all x-; (N, d) of pairs and
        of sentences encoded twice.
        """
        recipe = self.recipe
        if self.labels is not None:
            labels = torch.from_numpy(self.labels[chosen.numpy()]).to(premise.device)  # (N, 2) or (N, 1)
            if recipe.objective == "claif":
                return similarity_loss(premise, hypotheses, labels.T.flatten()), 0.0
            assert recipe.tau is not None
            others = recipe.clhaif == "all"
            return scored_contrastive_loss(premise, hypotheses, labels[:, 0], recipe.tau, others), 0.0
        assert recipe.tau is not None
        masked, share = self.mask(chosen)
        masked = None if masked is None else masked.to(premise.device)
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

    def mask(self, chosen: Tensor) -> tuple[Tensor | None, float]:
        """The mask (N, 2N) of a batch, and the share of its negatives (all but each premise's own x+) that it removes."""
        if self.mask_vectors is None or self.recipe.sigma is None:
            return None, 0.0
        places = chosen.numpy()
        premise = torch.from_numpy(self.mask_vectors.premise[places])
        hypotheses = torch.from_numpy(
            np.concatenate([self.mask_vectors.entailment[places], self.mask_vectors.contradiction[places]])
        )
        if self.recipe.objective == "multicsr-released":
            masked = released_mask(premise, hypotheses, self.recipe.sigma)
        else:
            number = self.premise_number[chosen]
            masked = false_negatives(premise, hypotheses, number[:, None] == number[None, :], self.recipe.sigma)
        share = float(masked.sum()) / (masked.numel() - len(chosen))
        return masked, share
