"""The losses of MultiCSR and its neighbours, for people who train with sentence-transformers' own trainer.

    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from multicsr.losses import MaskedContrastiveLoss

    model = SentenceTransformer("bert-base-uncased")
    mask_model = SentenceTransformer("princeton-nlp/unsup-simcse-bert-base-uncased")
    loss = MaskedContrastiveLoss(model, mask_model, sigma=0.9, tau=0.05)
    SentenceTransformerTrainer(model, train_dataset=triplets, loss=loss).train()

`triplets` is a `datasets.Dataset` with columns anchor, positive, negative. Importing this loads torch.
"""

from stages.models.training.modules import (
    MaskedContrastiveLoss,
    RankCSELoss,
    ScoredContrastiveLoss,
    SimCSELoss,
    SimilarityLoss,
)

__all__ = ["MaskedContrastiveLoss", "RankCSELoss", "ScoredContrastiveLoss", "SimCSELoss", "SimilarityLoss"]
