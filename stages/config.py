"""What changes the answer, and nothing else: one frozen dataclass a stage. Its hash, with the parent's id, is the run.

Device, threads and batch size are arguments of the stages, not fields: they change the speed only. A value out of range
is refused here, before any file or model is touched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stages.tasks.files import SPLITS
from store.problem import Problem
from store.records import LATER

POOLERS = ("cls", "cls_before_pooler", "mean", "first_last_mean", "prompt")
SCALES = ("0-5", "0-1")  # that an LLM is asked on; a store has the first
READINGS = ("prompt", "likelihood")  # of an LLM
SCORERS = ("encoder", "nli")  # in the place of an LLM, each with the name of its model: encoder:NAME
DTYPES = ("float32", "bfloat16")
HOSTED_DTYPES = ("auto",)  # of a hosted LLM only its server knows the number format

# How `gen` goes about a premise: its two hypotheses, or CLAIF's nine rewrites.
METHODS = ("multicsr", "claif")

# What `train` minimises (stages/models/training/loss.py): those with a mask, those that learn from the AI's scores, and all.
MASKED = ("multicsr", "multicsr-released")
SCORED = ("clhaif", "claif")
OBJECTIVES = (*MASKED, "simcse", "simcse-unsup", *SCORED)
CLHAIF = ("positive", "all")
# Those that RankCSE's terms can be added to, and its two ways of ranking.
RANKED = ("multicsr", "simcse", "simcse-unsup")
RANKS = ("listnet", "listmle")

# Tokens. A hypothesis is a sentence; the bound keeps a slip of the finger from asking for all memory.
LONGEST_HYPOTHESIS = 1024

# Demonstrations of a premise. The paper shows 5; each is read again for every premise, as part of its prompt.
MOST_SHOTS = 64


def _number(flag: str, value: float, low: float, high: float, low_open: bool = False) -> float:
    """`value` as a float, or a Problem that names the flag and the range."""
    fits = math.isfinite(value) and low <= value <= high and not (low_open and value == low)
    if not fits:
        edge = f"above {low:g}" if low_open else f"at least {low:g}"
        upper = "" if high == math.inf else f" and at most {high:g}"
        raise Problem(f"{flag} {value:g} is out of range", f"give a number {edge}{upper}")
    return float(value)


def _whole(flag: str, value: int, low: int, high: int = 2**31 - 1) -> None:
    if not low <= value <= high:
        raise Problem(f"{flag} {value} is out of range", f"give a whole number from {low} to {high:,}")


def _one_of(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise Problem(f"{flag} {value!r} is not known", f"give one of {', '.join(choices)}")


def _reading(by: str, expected: bool, directions: str) -> None:
    """How an LLM says how similar two texts are: only what goes together."""
    _one_of("--by", by, READINGS)
    _one_of("--directions", directions, ("one", "both"))
    if by == "prompt" and directions == "both":
        raise Problem("--directions both goes with --by likelihood", "leave it out, or score --by likelihood")
    if by == "likelihood" and expected:
        raise Problem("--expected goes with --by prompt", "leave it out, or score --by prompt")


def _number_format(dtype: str, base_url: str | None) -> None:
    _one_of("--dtype", dtype, DTYPES if base_url is None else HOSTED_DTYPES)


def _only_words(by: str, expected: bool, base_url: str | None) -> None:
    """A hosted LLM is read by what it writes: servers do not give the logits of a text of ours, nor of every number."""
    for flag, asked in (("--by likelihood", by == "likelihood"), ("--expected", expected)):
        if asked and base_url is not None:
            raise Problem(
                f"{flag} needs next-token logits, which a hosted LLM does not give",
                "score --by prompt without --expected, or by an LLM on this machine",
            )


@dataclass(frozen=True)
class GenConfig:
    """Stage 1. `premises` names a source in the store; fingerprints name the model's and the prompts' content.

    `base_url` is where a hosted LLM is asked, None for one on this machine: the same model name at another server may be
    another model, so it changes the answer. A server gives no logits to subtract (MultiCSR, eq. 1): there omega and nu
    are 0. A `nu` of 0 is kept as None: the same run as before there was one. `demonstrations` names the content of a
    labelled corpus; L = `shots`, λ = `min_similarity` (appendix G). `method` is None for MultiCSR's own, `claif` for nine
    rewrites a premise (stages/claif/rewrites.py).
    """

    premises: str
    llm: str
    llm_fingerprint: str
    prompts: str
    prompts_digest: str
    omega: float
    omega_contradiction: float
    limit: int | None
    seed: int
    max_tokens: int
    sample: bool
    temperature: float | None
    top_p: float | None
    dtype: str
    base_url: str | None = field(default=None, metadata=LATER)
    nu: float | None = field(default=None, metadata=LATER)
    demonstrations: str | None = field(default=None, metadata=LATER)
    shots: int | None = field(default=None, metadata=LATER)
    min_similarity: float | None = field(default=None, metadata=LATER)
    mask_model: str | None = field(default=None, metadata=LATER)
    mask_model_fingerprint: str | None = field(default=None, metadata=LATER)
    method: str | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        method = self.method or "multicsr"
        _one_of("--method", method, METHODS)
        object.__setattr__(self, "method", None if method == "multicsr" else method)
        if self.method == "claif":
            self._rewrites()
        if self.demonstrations is not None:
            assert self.shots is not None
            assert self.min_similarity is not None
            _whole("--shots", self.shots, 1, MOST_SHOTS)
            object.__setattr__(self, "min_similarity", _number("--min-similarity", self.min_similarity, -1, 1))
        # The paper studies 0 to 0.5; -1 to 1 leaves room for its figure 5, beyond that the noise outweighs the LLM.
        object.__setattr__(self, "omega", _number("--omega", self.omega, -1, 1))
        object.__setattr__(
            self, "omega_contradiction", _number("--omega-contradiction", self.omega_contradiction, -1, 1)
        )
        object.__setattr__(self, "nu", _number("--nu", self.nu or 0, -1, 1) or None)
        if self.limit is not None:
            _whole("--limit", self.limit, 1)
        _whole("--max-tokens", self.max_tokens, 1, LONGEST_HYPOTHESIS)
        _number_format(self.dtype, self.base_url)
        contrasts = {"omega": self.omega, "omega-contradiction": self.omega_contradiction, "nu": self.nu}
        for name, value in contrasts.items():
            if value and self.base_url is not None:
                raise Problem(
                    f"--{name} {value:g} needs next-token logits, which a hosted LLM does not give",
                    f"give --{name} 0 (no contrast), or an LLM on this machine",
                )
        if self.sample:
            assert self.temperature is not None
            assert self.top_p is not None
            object.__setattr__(self, "temperature", _number("--temperature", self.temperature, 0, 10, low_open=True))
            object.__setattr__(self, "top_p", _number("--top-p", self.top_p, 0, 1, low_open=True))
        else:
            # Greedy decoding reads neither, so neither may make a second run of the same rows.
            object.__setattr__(self, "temperature", None)
            object.__setattr__(self, "top_p", None)

    def _rewrites(self) -> None:
        """CLAIF's rewrites are drawn, and have no opposite instruction that could be taken away."""
        for name in ("omega", "omega_contradiction", "nu"):
            if value := getattr(self, name):
                raise Problem(
                    f"--{name.replace('_', '-')} {value:g} has no use with --method claif, which has no opposite instruction",
                    "leave it out, or give 0",
                )
        if self.demonstrations is not None:
            raise Problem("--demonstrations has no use with --method claif", "leave it out")
        object.__setattr__(self, "sample", True)


@dataclass(frozen=True)
class ImportConfig:
    """Triplets made elsewhere. `premises` names their source in the store, which names the file's content."""

    premises: str
    method: str = "import"


@dataclass(frozen=True)
class ImportedScoresConfig:
    """Scores that came with imported triplets, brought to [0, 5]."""

    premises: str
    by: str = "file"
    method: str = "import"


@dataclass(frozen=True)
class ScoreConfig:
    """Stage 2, the scores. `by`: asked for in a prompt, or read off the likelihood. `scale`: 0-1 where CLAIF's question was
    asked; the scores themselves are from 0 to 5 all the same."""

    llm: str
    llm_fingerprint: str
    prompts: str
    prompts_digest: str
    by: str
    expected: bool
    directions: str
    dtype: str
    base_url: str | None = field(default=None, metadata=LATER)
    scale: str | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        _one_of("--by", self.by, (*READINGS, *(f"{kind}:NAME" for kind in SCORERS)))
        _reading(self.by, self.expected, self.directions)
        _only_words(self.by, self.expected, self.base_url)
        _number_format(self.dtype, self.base_url)
        if self.scale is not None:
            _one_of("--scale", self.scale, SCALES)
            if self.scale == "0-1" and (self.by != "prompt" or self.expected):
                raise Problem(
                    "--scale 0-1 goes with --by prompt, without --expected", "score --by prompt, or leave --scale out"
                )
            object.__setattr__(self, "scale", None if self.scale == SCALES[0] else self.scale)


@dataclass(frozen=True)
class ModelScoresConfig:
    """Scores by a model that is no LLM. `by` is encoder:NAME, with a train run by its id, or nli:NAME."""

    by: str
    model_fingerprint: str
    dtype: str

    def __post_init__(self) -> None:
        assert self.kind in SCORERS
        _one_of("--dtype", self.dtype, DTYPES)
        if self.kind == "encoder" and self.dtype != "float32":
            raise Problem(f"--dtype {self.dtype} has no use with --by {self.by}", "leave it out: vectors are float32")

    @property
    def kind(self) -> str:
        """encoder or nli"""
        return self.by.partition(":")[0]


@dataclass(frozen=True)
class CurateConfig:
    """Stage 2, the rule of eq. 4, with options of which none is the paper's. `min_contradiction`: a floor on b."""

    alpha: float
    beta: float
    gamma: float
    drop_copies: bool = False
    drop_duplicates: bool = False
    swap_reversed: bool = False
    min_contradiction: float | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _number("--alpha", self.alpha, 0, 5))
        object.__setattr__(self, "beta", _number("--beta", self.beta, 0, 5))
        object.__setattr__(self, "gamma", _number("--gamma", self.gamma, -5, 5))
        if self.min_contradiction is not None:
            floor = _number("--min-contradiction", self.min_contradiction, 0, 5)
            if floor > self.beta:
                raise Problem(
                    f"--min-contradiction {floor:g} is above --beta {self.beta:g}, so that no triplet could be kept",
                    "lower the one or raise the other",
                )
            # No score lies below 0: a floor there may not make a second run of the same rows.
            object.__setattr__(self, "min_contradiction", floor or None)


@dataclass(frozen=True)
class PairConfig:
    """Stage 2 for pairs: CLAIF's own post-processing. The seed draws random partners."""

    seed: int
    strategy: str = "claif"


def refuse_unread(
    objective: str,
    mask_model: str | None,
    sigma: float | None,
    tau: float | None,
    clhaif: str | None,
    rank: str | None = None,
    teacher: str | None = None,
) -> None:
    """A setting that the objective does not read may neither pass in silence nor make a second run of the same.

    None is what was not given; `none` as mask model goes with every objective.
    """
    _one_of("--objective", objective, OBJECTIVES)
    settings: list[tuple[str, object, tuple[str, ...]]] = [
        ("--mask-model", None if mask_model == "none" else mask_model, MASKED),
        ("--sigma", sigma, MASKED),
        ("--tau", tau, tuple(name for name in OBJECTIVES if name != "claif")),
        ("--clhaif", clhaif, ("clhaif",)),
        ("--rank", rank, RANKED),
    ]
    for flag, value, readers in settings:
        if value is not None and objective not in readers:
            raise Problem(
                f"{flag} {value} has no use with --objective {objective}",
                f"leave it out, or train --objective {' or '.join(readers)}",
            )
    if rank is not None:
        _one_of("--rank", rank, RANKS)
    elif teacher is not None:
        raise Problem(
            f"--teacher {teacher} has no use without --rank", "leave it out, or give --rank listnet or listmle"
        )


@dataclass(frozen=True)
class TrainConfig:
    """Stage 3. `sigma` is None where no mask model is used, `tau` where the loss has no softmax, `reviews_digest` where no
    person's word changes a triplet, and `objective` for MultiCSR itself. `with_runs` are further runs whose triplets join
    those of the parent (MultiCSR, appendix G), in this order; each id names their content."""

    base: str
    base_fingerprint: str
    mask_model: str
    mask_model_fingerprint: str | None
    sigma: float | None
    tau: float | None
    train_batch: int
    epochs: int
    lr: float
    max_length: int
    pooler: str
    seed: int
    dev: str
    dev_digest: str
    eval_every: int
    dtype: str
    reviews_digest: str | None = field(default=None, metadata=LATER)
    objective: str | None = field(default=None, metadata=LATER)
    clhaif: str | None = field(default=None, metadata=LATER)
    rank: str | None = field(default=None, metadata=LATER)
    teacher: str | None = field(default=None, metadata=LATER)
    teacher_fingerprint: str | None = field(default=None, metadata=LATER)
    whiten: bool | None = field(default=None, metadata=LATER)
    whiten_dim: int | None = field(default=None, metadata=LATER)
    with_runs: tuple[str, ...] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        objective = self.objective or "multicsr"
        refuse_unread(objective, self.mask_model, self.sigma, self.tau, self.clhaif, self.rank, self.teacher)
        assert (self.rank is None) == (self.teacher is None)
        object.__setattr__(self, "whiten", self.whiten or None)
        if self.whiten_dim is not None:
            _whole("--whiten-dim", self.whiten_dim, 1)
            if self.whiten is None:
                raise Problem("--whiten-dim goes with --whiten", "give both, or leave it out")
        assert (self.tau is None) == (objective == "claif")
        object.__setattr__(self, "objective", None if objective == "multicsr" else objective)
        if objective == "clhaif":
            object.__setattr__(self, "clhaif", self.clhaif or "positive")
            _one_of("--clhaif", self.clhaif or "", CLHAIF)
        if self.mask_model == "none":
            object.__setattr__(self, "sigma", None)
        else:
            assert self.sigma is not None
            object.__setattr__(self, "sigma", _number("--sigma", self.sigma, -1, 1))
        if self.tau is not None:
            object.__setattr__(self, "tau", _number("--tau", self.tau, 0, 10, low_open=True))
        object.__setattr__(self, "lr", _number("--lr", self.lr, 0, 1, low_open=True))
        # With one triplet a batch the only negative is its own contradiction; two make the loss contrastive in-batch.
        _whole("--train-batch", self.train_batch, 2)
        _whole("--epochs", self.epochs, 1)
        _whole("--max-length", self.max_length, 4)
        _whole("--eval-every", self.eval_every, 1)
        _one_of("--pooler", self.pooler, POOLERS)
        _one_of("--dtype", self.dtype, DTYPES)


@dataclass(frozen=True)
class EvalConfig:
    """An evaluation: the model's content, and for every task the content of its data."""

    model: str
    model_fingerprint: str
    pooler: str
    tasks: dict[str, str]
    split: str = "test"
    whiten: str | None = None  # names the content of the sentences that whitening is learned from
    whiten_dim: int | None = None
    analysis: bool = False

    def __post_init__(self) -> None:
        _one_of("--split", self.split, SPLITS)
        if self.whiten_dim is not None:
            _whole("--whiten-dim", self.whiten_dim, 1)
            if self.whiten is None:
                raise Problem("--whiten-dim goes with --whiten", "give the sentences to learn it from: --whiten FILE")


@dataclass(frozen=True)
class JudgeConfig:
    """An evaluation of the LLM itself as scorer: how it is read, with how many shots, and the content of every task."""

    model: str
    model_fingerprint: str
    prompts: str
    prompts_digest: str
    by: str
    expected: bool
    directions: str
    shots: int
    dtype: str
    tasks: dict[str, str]
    split: str
    base_url: str | None = field(default=None, metadata=LATER)

    @property
    def scale(self) -> None:
        """Judged from 0 to 5, as the gold scores are."""

    def __post_init__(self) -> None:
        _reading(self.by, self.expected, self.directions)
        _only_words(self.by, self.expected, self.base_url)
        _whole("--shots", self.shots, 0)
        _number_format(self.dtype, self.base_url)
        _one_of("--split", self.split, SPLITS)
