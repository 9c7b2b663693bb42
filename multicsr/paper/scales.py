"""Everything that tells the experiments on embedded models from the paper's, and the nodes that both are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multicsr.paper.languages import SWAHILI, TAGALOG, Multilingual
from multicsr.paper.node import Node, node
from stages.config.recipes import SCHEDULES, Schedule

Thresholds = tuple[float, float, float]  # α, β, γ

OMEGA = 0.3  # the paper's contrast
SIGMA = 0.9  # the paper's threshold of the mask
THRESHOLDS = ("sigma", "sigma_quantile", "sigma_margin")  # the settings by which a mask is told what to remove

# A training by the schedule of its objective's own recipe, whatever the scale's is.
OWN_RECIPE: dict[str, Any] = {"train_batch": None, "lr": None, "epochs": None}

WIKIPEDIA = "hub:princeton-nlp/datasets-for-simcse/wiki1m_for_simcse.txt"


@dataclass(frozen=True)
class Backbone:
    """A base with the mask model P that goes with it, that of the supervised setting, and the backbone whose published
    figures stand beside ours."""

    base: str
    mask_model: str
    supervised: str
    published: str
    reference: str  # a model measured as it is, for comparison
    simcse: Schedule | None = None  # by which unsupervised SimCSE is published on this base; None: the scale's own


@dataclass(frozen=True)
class Scale:
    """`tasks` are measured in every experiment where they are at hand; "dev" behind a name is its dev split."""

    name: str
    premises: str
    limit: int | None
    llm: str
    scorers: tuple[str, ...]  # the LLMs of t1
    scored: tuple[str, ...]  # the tasks of t1; empty: every STS task at hand
    by: str  # how the LLM is read for a score
    thresholds: Thresholds
    grid: tuple[Thresholds, ...]
    backbones: tuple[Backbone, ...]  # the last is the one of the experiments that have a single one
    further: tuple[Backbone, ...]  # more of them in f6
    crossed: bool  # t3: every combination of the refinements, or each on top of those before it
    learners: tuple[str, ...]  # of t6
    dev: str
    tasks: tuple[str, ...]
    omegas: tuple[float, ...]
    mask: tuple[str, float]  # what is masked: a setting, and its value
    sigmas: tuple[float, ...]
    quantiles: tuple[float, ...]  # further thresholds of f6, as the share of cross pairs that is masked
    judged: int  # premises of each ω in f5
    judge: str  # judges there and in t12, in the place of people: encoder: or nli:, so never the LLM that wrote
    batches: tuple[int, ...]
    costed: int  # distinct triplets in t13
    copied: int  # labelled triplets of f4, of which one is duplicated
    copies: tuple[int, ...]  # so many times more
    sizes: tuple[int, ...]  # triplets, the fewest first
    demonstrations: tuple[tuple[int, float], ...]  # (L, λ) of t10
    other_premises: str | None  # of t4; None: SNLI's, from the data folder
    multilingual: Multilingual  # of t5
    labelled: str | None  # of t10 and t11; None: SNLI's
    train_batch: int
    lr: float
    epochs: int
    eval_every: int | None
    prompts: str | None = None  # of generation; None: the set that suits the LLM
    simcse_sentences: str | None = None  # that unsupervised SimCSE is published on; None: the premises
    left_out: tuple[str, ...] = ()  # tasks that are not measured although they are at hand

    @property
    def backbone(self) -> Backbone:
        return self.backbones[-1]

    def gen(self, omega: float, omega_contradiction: float | None = None, **settings: Any) -> Node:
        """A corpus: `omega_contradiction` is the contrast of the contradictions, ω where it is not given."""
        told = {"premises": self.premises, "limit": self.limit, "llm": self.llm, "prompts": self.prompts, **settings}
        second = omega if omega_contradiction is None else omega_contradiction
        return node("gen", omega=omega, omega_contradiction=second, **told)

    def rewrites(self, limit: int | None) -> Node:
        """CLAIF's rewrites of the first premises."""
        return node("gen", premises=self.premises, limit=limit, llm=self.llm, prompts=self.prompts, method="claif")

    def score(self, gen: Node) -> Node:
        """The similarities of a corpus by the LLM that wrote it."""
        return node("score", gen, by=self.by)

    def judgement(self, gen: Node) -> Node:
        """The similarities of a corpus by a model that wrote none of it."""
        return node("score", gen, by=self.judge)

    def curate(self, gen: Node, thresholds: Thresholds | None = None) -> Node:
        """The triplets of a corpus that its own LLM's scores let pass."""
        alpha, beta, gamma = map(float, thresholds or self.thresholds)
        return node("curate", self.score(gen), alpha=alpha, beta=beta, gamma=gamma)

    def drawn(self, corpus: Node, seed: int, like: Node | None = None, triplets: int | None = None) -> Node:
        """So many `triplets` of a corpus, or as many as the corpus `like` it has, drawn at random by the seed of a training:
        what a choice of as many has to be better than."""
        return node("drawn", corpus, like=like, triplets=triplets, seed=seed)

    def train(
        self,
        parent: Node,
        seed: int,
        mask: bool | None = None,
        backbone: Backbone | None = None,
        supervised: bool = False,
        **settings: Any,
    ) -> Node:
        """A training by the masked loss, or by another `objective`. `mask`: with stage 3, by the mask model of the
        `supervised` setting or of the other; where it is not said, the masked loss has it and no other has."""
        chosen = backbone or self.backbone
        told: dict[str, Any] = {"base": chosen.base, "objective": "multicsr", "train_batch": self.train_batch}
        told |= {"lr": self.lr, "epochs": self.epochs, "eval_every": self.eval_every, "dev": self.dev, **settings}
        masks = told["objective"] == "multicsr" if mask is None else mask
        if masks:
            threshold = () if any(name in told for name in THRESHOLDS) else (self.mask,)
            told = {"mask_model": chosen.supervised if supervised else chosen.mask_model, **dict(threshold), **told}
        elif told["objective"] == "multicsr":
            told["mask_model"] = "none"
        return node("train", parent, seed=seed, **told)


# Of table 7, as (α, β, γ). The paper writes γ where it varies it and does not say over what: 0, its own 1, and 2 are our
# reading. Elsewhere γ is 1.
GAMMAS = (0, 1, 2)
GRID: tuple[Thresholds, ...] = (
    *((4, 3, 1), (4, 2, 1), (5, 3, 1), (5, 2, 1), (4, 1, 1), (4, 0, 1), (5, 1, 1), (5, 0, 1), (3, 0, 1), (3, 1, 1)),
    *((3, 2, 1), *((4, 4, gamma) for gamma in GAMMAS), (5, 4, 1), *((3, 3, gamma) for gamma in GAMMAS)),
    *((2, 0, 1), (2, 1, 1), *((2, 2, gamma) for gamma in GAMMAS)),
)

# Where scores are likelihoods, which are seldom above 4: rules that keep something, one that keeps nothing, and the default.
MINI_GRID: tuple[Thresholds, ...] = (
    *((5, 3, 1), (3, 2, 1), (3, 3, 0), (3, 3, 1), (2, 0, 1), (2, 1, 1), *((2, 2, gamma) for gamma in GAMMAS)),
    (2, 2.5, 1),
)

SCALES = {
    "mini": Scale(
        name="mini",
        premises="bundled",
        limit=192,  # of which curation leaves more than a handful of batches
        llm="smollm2",
        scorers=("smollm2",),
        scored=("mini", "sickr"),  # an LLM reads five pairs a second here, and each pair in four ways
        by="likelihood",
        thresholds=(2.0, 2.5, 1.0),
        grid=MINI_GRID,
        backbones=(Backbone("minilm-l4", "minilm", "minilm", "BERT-base", "minilm"),),
        further=(),
        crossed=False,
        learners=("SimCSE unsup.", "PromptBERT", "RankCSE listNet"),
        dev="mini",
        tasks=("mini", "stsb"),
        omegas=(-0.2, 0.0, 0.2, OMEGA, 0.4, 0.6),
        mask=("sigma_quantile", 0.01),  # σ 0.9 removes nothing here: bundled premises hardly resemble others
        sigmas=(0.3, 0.5, SIGMA),
        quantiles=(0.01, 0.05),
        judged=48,
        judge="encoder:minilm",
        batches=(16, 32, 64, 128, 256),
        costed=960,  # of three sentences each, as many as are bundled
        copied=128,
        copies=(0, 64, 256),
        sizes=(64, 128),
        demonstrations=((3, 0.6), (5, 0.8)),
        other_premises=None,
        multilingual=Multilingual((TAGALOG, SWAHILI), "smollm2", "minilm-l4", halves=True),
        labelled=None,
        train_batch=32,
        lr=1e-4,
        epochs=3,
        eval_every=None,
        left_out=("mr", "cr", "subj", "mpqa", "sst2", "mrpc"),  # every model's probes: hours on two cores
    ),
    "paper": Scale(
        name="paper",
        premises="hub:princeton-nlp/datasets-for-simcse/nli_for_simcse.csv#sent0",
        limit=None,
        llm="flan-t5-xl",
        scored=(),
        scorers=("flan-t5-small", "flan-t5-base", "flan-t5-large", "flan-t5-xl"),
        by="prompt",
        thresholds=(3.0, 3.0, 1.0),
        grid=GRID,
        backbones=(
            Backbone(
                "bert-base",
                "simcse-unsup-bert",
                "simcse-sup-bert",
                "BERT-base",
                "simcse-unsup-bert",
                simcse=SCHEDULES["simcse-unsup"],
            ),
            Backbone(
                "roberta-base",
                "simcse-unsup-roberta",
                "simcse-sup-roberta",
                "RoBERTa-base",
                "simcse-unsup-roberta",
                simcse=Schedule(512, 1e-5, 1),
            ),
        ),
        further=(),
        crossed=True,
        learners=("SimCSE unsup.", "PromptBERT", "RankCSE listNet", "RankCSE listMLE"),
        dev="stsb",
        tasks=("stsb dev", "stsb"),
        omegas=(-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        mask=("sigma", SIGMA),
        sigmas=(0.5, 0.6, 0.7, 0.8, 0.85, SIGMA, 0.95),
        quantiles=(),
        judged=100,
        judge="nli:FacebookAI/roberta-large-mnli",
        batches=(32, 64, 128, 256, 512),
        costed=10_000,
        copied=10_000,
        copies=(0, 1000, 5000, 10_000),
        sizes=(1_000, 10_000, 50_000),
        demonstrations=((3, 0.6), (5, 0.8)),
        other_premises=WIKIPEDIA,
        multilingual=Multilingual(
            (TAGALOG,), "Qwen/Qwen3-4B-Instruct-2507", "mbert", halves=False, simcse=SCHEDULES["simcse-unsup"]
        ),
        labelled="hub:princeton-nlp/datasets-for-simcse/nli_for_simcse.csv",
        train_batch=256,
        lr=5e-5,
        epochs=3,
        eval_every=125,
        simcse_sentences=WIKIPEDIA,
    ),
}
