"""Stage 1: what is written, by which LLM, under which contrast."""

from __future__ import annotations

from dataclasses import dataclass

from stages.config.words import number_format, refuse_number_format, seeded
from stages.settings import Settings, refuse_unread, setting
from store.problem import Problem

# How a premise is gone about: its two hypotheses, or CLAIF's nine rewrites.
METHODS = ("multicsr", "claif")
CONTRASTED = ("method", METHODS[:1])  # who reads what has to do with the opposite instruction

# Tokens. A hypothesis is a sentence; the bound keeps a slip of the finger from asking for all memory.
LONGEST_HYPOTHESIS = 1024

# Room for a hypothesis: hypotheses in NLI corpora have 8 words on average, and hardly one has 40.
MAX_TOKENS = 48

# Demonstrations of a premise. The paper shows 5; each is read again for every premise, as part of its prompt.
MOST_SHOTS = 64

OMEGA = 0.3  # the paper's
TEMPERATURE, TOP_P = 0.7, 0.9  # CLAIF's, and usual in sampling
# L and λ of the paper's better setting (table 10), and the encoder of their cosine.
SHOTS, MIN_SIMILARITY, MASK_MODEL = 5, 0.8, "minilm"


@dataclass(frozen=True, kw_only=True)
class GenConfig(Settings):
    """`premises` names a source in the store; fingerprints name the model's and the prompts' content.

    `base_url` is where a hosted LLM is asked, None for one on this machine: the same model name at another server may be
    another model, so it changes the answer. A server gives no logits to subtract (MultiCSR, eq. 1): there omega and nu
    are 0. `temperature` and `top_p` are None where nothing is drawn; `demonstrations` names the content of a labelled
    corpus, and is None, as `shots`, `min_similarity` and `mask_model` are, where none is shown (appendix G).
    """

    premises: str = setting(
        "the unlabeled sentences x: bundled, a .txt, .csv, .tsv or .jsonl file, or - for stdin",
        "bundled",
        noted=True,
        metavar="bundled|FILE|-",
    )
    llm: str = setting(
        "the language model C: an alias (see `multicsr models`), hub id, folder or openai:MODEL", "smollm2"
    )
    method: str = setting("multicsr, or claif: nine rewrites of each premise, for pairs", "multicsr", choices=METHODS)
    # The paper studies 0 to 0.5; -1 to 1 leaves room for its figure 5, beyond that the noise outweighs the LLM.
    omega: float = setting(
        "ω: how much of the opposite instruction's logits is taken away when x+ is written, l - ω·l̂ (eq. 1-2)",
        usual=f"{OMEGA:g}; 0 with claif",
        low=-1,
        high=1,
        readers=CONTRASTED,
        off=0.0,
    )
    omega_contradiction: float = setting(
        "the same when x- is written", usual="omega", low=-1, high=1, readers=CONTRASTED, off=0.0
    )
    nu: float = setting(
        "ν: how much of the same instruction's logits without any premise is taken away; not in the paper",
        0.0,
        low=-1,
        high=1,
        readers=CONTRASTED,
    )
    limit: int | None = setting("only the first N distinct premises", None, low=1, usual="all")
    seed: int = seeded("draws instructions, and tokens where they are sampled")
    max_tokens: int = setting("tokens at which a hypothesis is cut off", MAX_TOKENS, low=1, high=LONGEST_HYPOTHESIS)
    sample: bool = setting("draw tokens from the softmax instead of taking the likeliest", False)
    temperature: float | None = setting(
        "temperature of the softmax that is drawn from",
        None,
        usual=f"{TEMPERATURE:g} with sample",
        low=0,
        high=10,
        above=True,
        readers=("sample", (True,)),
    )
    top_p: float | None = setting(
        "share of the probability that is drawn from",
        None,
        usual=f"{TOP_P:g} with sample",
        low=0,
        high=1,
        above=True,
        readers=("sample", (True,)),
    )
    prompts: str = setting(
        "the set of instructions I: a name or a file",
        usual="the one that suits the LLM",
        noted=True,
        metavar="NAME|FILE",
    )
    demonstrations: str | None = setting(
        "labelled triplets or NLI pairs to show, as `import` reads them",
        None,
        noted=True,
        metavar="FILE",
        readers=CONTRASTED,
    )
    shots: int | None = setting(
        "L: how many of them, the nearest, are shown with a premise", None, usual=str(SHOTS), low=1, high=MOST_SHOTS
    )
    min_similarity: float | None = setting(
        "λ: only those whose premise has at least this cosine", None, usual=f"{MIN_SIMILARITY:g}", low=-1, high=1
    )
    mask_model: str | None = setting("the encoder of that cosine", None, usual=MASK_MODEL)
    dtype: str = number_format()
    base_url: str | None = None
    llm_fingerprint: str
    prompts_digest: str
    mask_model_fingerprint: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_number_format(self.dtype, self.base_url)
        refuse_unread(GenConfig, vars(self), vars(self))
        for name in ("omega", "omega_contradiction", "nu"):
            value = getattr(self, name)
            if value and self.base_url is not None:
                raise Problem(
                    f"{name} {value:g} needs next-token logits, which a hosted LLM does not give",
                    f"give {name}=0 (no contrast), or an LLM on this machine",
                    name,
                )
        for name in ("shots", "min_similarity", "mask_model"):
            value = getattr(self, name)
            if value is not None and self.demonstrations is None:
                raise Problem(
                    f"{name} {value} goes with demonstrations=FILE", "leave it out, or give demonstrations=FILE", name
                )


@dataclass(frozen=True, kw_only=True)
class ImportConfig(Settings):
    """Triplets made elsewhere. `premises` names their source in the store, which names the file's content."""

    premises: str
    method: str = "import"
