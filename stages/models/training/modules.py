"""The losses of `loss.py` as modules for sentence-transformers' own trainer.

Arrow: none of its own. Such a loss is given the token ids of each column of a batch and the labels, and encodes the columns
with the model that is trained; what it minimises is written in `loss.py` alone.

    (anchor, positive, negative)          MaskedContrastiveLoss, SimCSELoss, RankCSELoss
    (anchor, positive, negative), label   ScoredContrastiveLoss
    (first, second), label                SimilarityLoss
    (sentence,)                           the first three: each sentence is read twice, under two draws of dropout
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stages.models.training.frozen import Features, Frozen, FrozenVectors, token_ids
from stages.models.training.loss import (
    masked_contrastive_loss,
    ranking_loss,
    scored_contrastive_loss,
    similarity_loss,
)
from stages.models.training.mask import OWN, PLACE, Mask, MaskRule, MaskVectors, text_numbers
from store.problem import Problem

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class _Loss(nn.Module):
    """A loss over the columns of a batch, encoded by `model`."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def encoded(self, columns: Sequence[Features]) -> tuple[Tensor, Tensor]:
        """The vectors of the first column (N, d) and of the others, one below the other; of a lone column twice."""
        read = columns if len(columns) > 1 else [*columns, *columns]
        # The model writes its outputs into what it is given.
        first, *others = [self.model(dict(column))["sentence_embedding"] for column in read]
        return first, torch.cat(others)

    def float32(self, vectors: Tensor) -> AbstractContextManager[Any]:
        """A loss is computed in float32, also where the trainer lets the model compute in bfloat16."""
        return torch.autocast(vectors.device.type, enabled=False)

    def columns(self, features: Iterable[Features], *wanted: str) -> list[Features]:
        """The columns of a batch. Raises Problem unless they are as many as those of one of the lists `wanted`."""
        columns = list(features)
        if len(columns) not in [len(names.split(", ")) for names in wanted]:
            read = f"({') or ('.join(wanted)})"
            raise Problem(
                f"{type(self).__name__} reads {read}, and the data set has {len(columns)} columns of texts",
                "name its columns in this order with select_columns",
            )
        return columns

    def labels(self, labels: Tensor | None) -> Tensor:
        """The labels (N,) in float32. Raises Problem where there are none, or some outside [0, 1]."""
        if labels is None:
            raise Problem(
                f"{type(self).__name__} learns from labels, and the data set has none", "add a column `label`"
            )
        low, high = (float(end) for end in labels.aminmax())
        if low < 0 or high > 1:
            raise Problem(
                f"a label of the batch is {low if low < 0 else high:g}, and labels lie in [0, 1]", "scale them"
            )
        return labels.float()


class MaskedContrastiveLoss(_Loss):
    """MultiCSR's loss (eq. 5-7) for columns (anchor, positive, negative); see `masked_contrastive_loss` and `mask.py`.

        loss_i = -log( exp(cos(h_i, h_i+)/tau) / sum_k sum_{s in {+,-}} M_iks exp(cos(h_i, h_k^s)/tau) )
        M_iks  = 0 if cos_P(x_i, x_k^s) >= sigma and k != i, else 1

    Of one column of sentences each is read under two draws of dropout, and what is similar to it is masked (SimCSE, eq. 4).

    `mask_model` is P: a SentenceTransformer, used without dropout or gradient; or its vectors of all texts that occur, by
    text; None masks nothing (SimCSE). An anchor's own positive and negative, those of its place in the batch, are never
    masked; with `own="premise"` nor are those of equal anchors. A negative that is the anchor's positive again is masked
    always. Texts are equal where their token ids are. `sigma` is a cosine; `margin` replaces it by cos_P(x_i, x_i+) + margin.
    `tau` divides a cosine.

    Called with the features of the columns (token ids (N, T) each), it returns the mean over the batch (). Raises Problem for
    another number of columns, another `own`, and for a text of which `mask_model` has no vector.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        mask_model: Frozen | None = None,
        sigma: float = 0.9,
        tau: float = 0.05,
        own: str = PLACE,
        margin: float | None = None,
    ) -> None:
        super().__init__(model)
        if own not in OWN:
            raise Problem(f"own={own!r} is not known", f"give {' or '.join(OWN)}")
        self.mask_vectors = None if mask_model is None else FrozenVectors(model, mask_model)
        self.rule = MaskRule(sigma if margin is None else None, margin, own)
        self.tau = tau

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = self.columns(sentence_features, "sentence", "anchor, positive, negative")
        rows = [token_ids(column) for column in columns]
        masked = None if self.mask_vectors is None else self._mask(self.mask_vectors, rows)
        premise, hypotheses = self.encoded(columns)
        masked = None if masked is None else masked.to(premise.device)
        with self.float32(premise):
            return masked_contrastive_loss(premise, hypotheses, masked, self.tau)

    def _mask(self, vectors: FrozenVectors, rows: Sequence[list[tuple[int, ...]]]) -> Tensor:
        """Where M is 0, (N, 2N); of one column (N, N)."""
        found = MaskVectors(*(vectors(column).numpy() for column in rows))
        mask = Mask(self.rule, found, text_numbers(rows))
        with self.float32(torch.empty(0)):
            return mask(torch.arange(len(rows[0])))

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card tells of the loss."""
        masks = self.mask_vectors is not None
        rule = self.rule
        given = {"sigma": rule.sigma, "margin": rule.margin, "own": rule.own} if masks else {"sigma": None}
        return {name: value for name, value in given.items() if name == "sigma" or value is not None} | {
            "tau": self.tau
        }


class SimCSELoss(_Loss):
    """SimCSE's loss (Gao et al., 2021): `masked_contrastive_loss` without a mask.

    Unsupervised for one column of sentences (eq. 4), each read under two draws of dropout; supervised for (anchor, positive,
    negative) (eq. 5).

    `tau` divides a cosine. Returns the mean over the batch (). Raises Problem for another number of columns.
    """

    def __init__(self, model: SentenceTransformer, tau: float = 0.05) -> None:
        super().__init__(model)
        self.tau = tau

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = self.columns(sentence_features, "sentence", "anchor, positive, negative")
        premise, hypotheses = self.encoded(columns)
        with self.float32(premise):
            return masked_contrastive_loss(premise, hypotheses, None, self.tau)

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card tells of the loss."""
        return {"tau": self.tau}


class ScoredContrastiveLoss(_Loss):
    """CLHAIF's loss (Cheng et al., 2023) for (anchor, positive, negative) and a label; see `scored_contrastive_loss`.

    A label (N,) is the AI's similarity of anchor and positive, in [0, 1]: it weighs the positive, and with `others` what it
    leaves is spread over all other hypotheses. `tau` divides a cosine. Returns the mean over the batch (). Raises Problem for
    another number of columns, and for labels that are missing or out of range.
    """

    def __init__(self, model: SentenceTransformer, tau: float = 0.05, others: bool = False) -> None:
        super().__init__(model)
        self.tau = tau
        self.others = others

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = self.columns(sentence_features, "anchor, positive, negative")
        premise, hypotheses = self.encoded(columns)
        scores = self.labels(labels).to(premise.device)
        with self.float32(premise):
            return scored_contrastive_loss(premise, hypotheses, None, scores, self.tau, self.others)

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card tells of the loss."""
        return {"tau": self.tau, "others": self.others}


class SimilarityLoss(_Loss):
    """CLAIF's loss (Cheng et al., 2023) for pairs (first, second) and a label in [0, 1]; see `similarity_loss`.

    Returns the mean squared error between cosine and label (). Raises Problem for another number of columns, and for labels
    that are missing or out of range.
    """

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = self.columns(sentence_features, "first, second")
        first, second = self.encoded(columns)
        wanted = self.labels(labels).to(first.device)
        with self.float32(first):
            return similarity_loss(first, second, wanted)


class RankCSELoss(_Loss):
    """SimCSE's loss with RankCSE's two terms (Liu et al., 2023), for the same columns; see `ranking_loss`.

    `teacher`: a SentenceTransformer, used without dropout or gradient, or its vectors of all texts that occur, by text. `by`:
    listnet or listmle. `tau` divides a cosine. Returns the mean over the batch (). Raises Problem for another number of
    columns, another `by`, and for a text of which `teacher` has no vector.
    """

    def __init__(self, model: SentenceTransformer, teacher: Frozen, by: str = "listnet", tau: float = 0.05) -> None:
        super().__init__(model)
        if by not in ("listnet", "listmle"):
            raise Problem(f"RankCSE ranks by {by!r}", "give listnet or listmle")
        self.teacher = FrozenVectors(model, teacher)
        self.by = by
        self.tau = tau

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = self.columns(sentence_features, "sentence", "anchor, positive, negative")
        first, *others = [self.teacher(token_ids(column)) for column in columns]
        premise, hypotheses = self.encoded(columns)
        with self.float32(first), self.float32(premise):
            cosines = (first @ torch.cat(others or [first]).T).to(premise.device)
            contrastive = masked_contrastive_loss(premise, hypotheses, None, self.tau)
            return contrastive + ranking_loss(premise, hypotheses, cosines, self.tau, self.by)

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card tells of the loss."""
        return {"by": self.by, "tau": self.tau}
