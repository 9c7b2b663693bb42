"""Stage 2, the scores: by an LLM, by another model, or as they came with a file."""

from __future__ import annotations

from dataclasses import dataclass

from stages.config.words import DTYPES, SCALES, SCORERS, number_format, refuse_number_format, refuse_reading
from stages.settings import Settings, setting
from store.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Settings):
    """`by`: asked for in a prompt, or read off the likelihood. `scale`: 0-1 where CLAIF's question was asked; the scores
    themselves are from 0 to 5 all the same."""

    by: str = setting(
        "how a and b are found. The LLM: prompt asks it, likelihood reads how likely the hypothesis is. Without one:"
        " encoder:NAME takes a cosine, nli:NAME a classifier's P(entailment), times 5",
        usual="likelihood for smollm2, else prompt",
        metavar="HOW",
    )
    llm: str = setting("the LLM that scores", usual="the run's, or smollm2")
    prompts: str = setting(
        "the set of instructions", usual="the one that suits the LLM", noted=True, metavar="NAME|FILE"
    )
    shots: int = setting("the LLM reads the set's first K in-context examples", usual="all", low=0, metavar="K")
    directions: str = setting(
        "with likelihood: that of the hypothesis given the premise (one), or the mean of both ways",
        usual="both",
        metavar="one|both",
    )
    expected: bool = setting("with prompt: the mean over 0 to 5 under the LLM, not the number it gives", False)
    scale: str = setting(
        "with prompt: asked is a number from 0 to 5, or from 0 to 1 and a reason, as in CLAIF; stored is 0 to 5",
        SCALES[0],
        choices=SCALES,
        metavar="0-5|0-1",
    )
    dtype: str = number_format()
    base_url: str | None = None
    llm_fingerprint: str
    prompts_digest: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("prompt", "likelihood"):
            several = ", ".join(("prompt", "likelihood", *(f"{kind}:NAME" for kind in SCORERS)))
            raise Problem(f"by {self.by!r} is not known", f"give one of {several}", "by")
        refuse_reading(self.by, self.expected, self.directions, self.base_url)
        refuse_number_format(self.dtype, self.base_url)
        if self.scale == "0-1" and (self.by != "prompt" or self.expected):
            raise Problem(
                "scale 0-1 goes with by=prompt, without expected=True", "leave it out, or give by=prompt", "scale"
            )

    @property
    def graded(self) -> bool:
        """Whether CLAIF's question is asked."""
        return self.scale == "0-1"


@dataclass(frozen=True, kw_only=True)
class ModelScoresConfig(Settings):
    """Scores by a model that is no LLM. `by` is encoder:NAME, with a train run by its id, or nli:NAME."""

    by: str = setting("encoder:NAME, or nli:NAME, a classifier", metavar="HOW")
    dtype: str = number_format()
    model_fingerprint: str

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.kind in SCORERS
        if self.dtype not in DTYPES:
            raise Problem(f"dtype {self.dtype!r} is not known", f"give one of {', '.join(DTYPES)}", "dtype")
        if self.kind == "encoder" and self.dtype != "float32":
            raise Problem(
                f"dtype {self.dtype} has no use with by={self.by}", "leave it out: vectors are float32", "dtype"
            )

    @property
    def kind(self) -> str:
        """encoder or nli"""
        return self.by.partition(":")[0]


@dataclass(frozen=True, kw_only=True)
class ImportedScoresConfig(Settings):
    """Scores that came with imported triplets, brought to [0, 5]."""

    premises: str
    by: str = "file"
    method: str = "import"
