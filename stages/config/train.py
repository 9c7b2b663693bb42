"""Stage 3: the encoder, the objective that it is trained by, and what of the triplets is masked."""

from __future__ import annotations

from dataclasses import dataclass

from stages.config.words import DTYPES, POOLERS, number_format, seeded
from stages.settings import Settings, refuse_unread, setting
from store.problem import Problem

# What is minimised (stages/models/training/loss.py): those that are masked unless told otherwise, those that learn from the
# AI's scores, and all. The contrastive ones have negatives from the batch, so each of them can be masked.
MASKED = ("multicsr", "multicsr-released")
SCORED = ("clhaif", "claif")
OBJECTIVES = (*MASKED, "simcse", "simcse-unsup", *SCORED)
CONTRASTIVE = tuple(name for name in OBJECTIVES if name != "claif")
CLHAIF = ("positive", "all")
# Those that RankCSE's terms can be added to, and its two ways of ranking.
RANKED = ("multicsr", "simcse", "simcse-unsup")
RANKS = ("listnet", "listmle")

SIGMA, TAU = 0.9, 0.05  # the paper's
# Steps between two dev measurements of a long training, as the paper's baselines have them.
LONGEST_INTERVAL = 125
# Of the released code's example, with the steps between two dev measurements.
RELEASED_SIGMA, RELEASED_INTERVAL = 0.95, 25
# Those whose vector of the first token goes through an MLP in training only (SimCSE's `mlp_only_train`).
MLP_IN_TRAINING = ("simcse-unsup", "multicsr-released")
MASK_MODEL, DEV = "minilm", "mini"  # where neither the base nor the data has its own
OWN = ("place", "premise")
# The threshold of a mask is one of these.
THRESHOLDS = ("sigma", "sigma_quantile", "sigma_margin")
# Tokens that a sentence is cut to in SimCSE's training and all that followed it; CLAIF's cuts at the encoder's own limit.
MAX_LENGTH = 32
SELF, NO_MASK = "self", "none"  # mask models that are no name: the base, trained for it first, and no model at all


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """Of the THRESHOLDS one is given where a mask model is used, else none, and `own` with it. `tau` is None where the loss
    has no softmax, `reviews_digest` where no person's word changes a triplet, `max_length` where nothing but the encoder's
    own limit cuts. `with_runs` are further runs whose triplets join those of the parent (MultiCSR, appendix G), in this
    order; each id names their content."""

    base: str = setting("the encoder G that is trained", "minilm-l4")
    objective: str = setting(
        "what training minimises: multicsr (eq. 5-7), multicsr-released, simcse, simcse-unsup (premises alone), clhaif or"
        " claif",
        "multicsr",
        choices=OBJECTIVES,
    )
    clhaif: str | None = setting(
        "positive: s_i weighs the positive alone; all: the other columns share 1 - s_i",
        None,
        usual=CLHAIF[0],
        choices=CLHAIF,
        readers=("objective", ("clhaif",)),
    )
    mask_model: str = setting(
        "the frozen encoder P that finds false negatives; self: the base, after simcse-unsup on the premises",
        usual=f"{MASK_MODEL}, or the SimCSE that goes with bert-base or roberta-base, for multicsr and multicsr-released and"
        " where a threshold is given; else none",
        readers=("objective", CONTRASTIVE),
        off=NO_MASK,
        metavar="NAME|none",
    )
    sigma: float | None = setting(
        "σ: a negative at least this similar to the premise, by P, is masked (eq. 6)",
        None,
        usual=f"{SIGMA:g}; {RELEASED_SIGMA:g} for multicsr-released",
        low=-1,
        high=1,
        readers=("objective", CONTRASTIVE),
    )
    sigma_quantile: float | None = setting(
        "instead of σ: the share of the pairs of a batch to mask, the most similar ones by P; σ follows from it",
        None,
        low=0,
        high=1,
        above=True,
        readers=("objective", CONTRASTIVE),
    )
    sigma_margin: float | None = setting(
        "instead of σ: mask what is as similar to the premise, by P, as its own entailment and this much more",
        None,
        low=-2,
        high=2,
        readers=("objective", CONTRASTIVE),
    )
    own: str | None = setting(
        "whose hypotheses are never masked: place, the premise's at its own place in the batch; premise, equal premises' too",
        None,
        usual=OWN[0],
        choices=OWN,
        readers=("objective", CONTRASTIVE),
    )
    tau: float | None = setting(
        "τ: temperature of the contrastive loss (eq. 5 and 7)",
        None,
        usual=f"{TAU:g}",
        low=0,
        high=10,
        above=True,
        readers=("objective", CONTRASTIVE),
    )
    rank: str | None = setting(
        "add RankCSE's terms, consistent rankings and a teacher's: listnet or listmle",
        None,
        choices=RANKS,
        readers=("objective", RANKED),
    )
    teacher: str | None = setting(
        "the frozen encoder whose rankings are learned", None, usual="the mask model", readers=("rank", RANKS)
    )
    whiten: bool = setting("whiten the trained vectors by the sentences they were trained on", False)
    whiten_dim: int | None = setting(
        "dimensions that whitening leaves", None, usual="all that vary", low=1, readers=("whiten", (True,))
    )
    # With one triplet a batch the only negative is its own contradiction; two make the loss contrastive in-batch.
    train_batch: int = setting(
        "N: triplets a step, each with 2N - 1 negatives before masking",
        usual="32 for an embedded base, else the paper's",
        low=2,
    )
    epochs: int | None = setting(
        "times each triplet is seen", usual="3; 1 for simcse-unsup where the base is not embedded", low=1
    )
    steps: int | None = setting(
        "optimiser steps in all, instead of whole epochs: corpora of different sizes then cost the same", None, low=1
    )
    lr: float = setting("learning rate", usual="1e-4 for an embedded base, else the paper's", low=0, high=1, above=True)
    max_length: int | None = setting(
        "tokens a sentence is cut to while training",
        usual=f"{MAX_LENGTH}; with claif the base's own limit",
        low=4,
    )
    pooler: str = setting(
        "how the vectors of tokens become one: mean, cls, cls_before_pooler, first_last_mean, embeddings_last_mean or prompt",
        usual="the base's own; cls_before_pooler instead of cls with simcse-unsup, multicsr-released and claif",
        choices=POOLERS,
    )
    seed: int = seeded("of everything drawn: order, dropout, first weights")
    dev: str = setting(
        "the task that chooses the step: mini, stsb, sickr, or a CSV, TSV or JSONL of your own pairs",
        usual=f"{DEV}; stsb where the data holds it and the base is not embedded",
        noted=True,
        metavar="NAME|FILE",
    )
    eval_every: int = setting(
        "steps between two measurements on it",
        usual=f"a quarter of the steps, at most {LONGEST_INTERVAL}; {RELEASED_INTERVAL} for multicsr-released",
        low=1,
    )
    with_runs: tuple[str, ...] = setting(
        "train on a labelled corpus too, as `import` reads it, or on another run (appendix G); may be repeated",
        (),
        flag="--with",
        metavar="FILE|RUN",
    )
    dtype: str = number_format()
    base_fingerprint: str
    mask_model_fingerprint: str | None = None
    teacher_fingerprint: str | None = None
    dev_digest: str
    reviews_digest: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unread(TrainConfig, vars(self), vars(self))
        if self.dtype not in DTYPES:
            raise Problem(f"dtype {self.dtype!r} is not known", f"give one of {', '.join(DTYPES)}", "dtype")
        assert (self.rank is None) == (self.teacher is None)
        assert (self.tau is None) == (self.objective == "claif")
        given = sum(getattr(self, name) is not None for name in THRESHOLDS)
        assert given == (self.mask_model != NO_MASK)
        assert (self.own is None) == (self.mask_model == NO_MASK)
        assert (self.clhaif is None) == (self.objective != "clhaif")
        assert (self.epochs is None) == (self.steps is not None)
