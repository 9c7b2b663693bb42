"""Evaluation: of an encoder on tasks, or of an LLM as scorer of sentence pairs."""

from __future__ import annotations

from dataclasses import dataclass

from stages.config.words import POOLERS, refuse_number_format, refuse_reading
from stages.settings import Settings, setting
from stages.tasks.files import SPLITS
from store.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EvalConfig(Settings):
    """An evaluation of an encoder: the model's content, and for every task the content of its data. `whiten` names the
    content of the sentences that whitening is learned from."""

    model: str
    model_fingerprint: str
    tasks: dict[str, str]
    split: str = setting("the part of the tasks' data: test or dev", "test", choices=SPLITS)
    pooler: str = setting(
        "how the vectors of tokens become one: mean, cls, cls_before_pooler, first_last_mean, embeddings_last_mean or prompt",
        usual="the model's own",
        choices=POOLERS,
    )
    whiten: str | None = setting(
        "whiten the vectors, as learned from these unlabeled sentences", None, noted=True, metavar="bundled|FILE"
    )
    whiten_dim: int | None = setting(
        "dimensions that whitening leaves", None, usual="all in which the sentences vary", low=1
    )
    analysis: bool = setting("alignment and uniformity of sentence pairs too; these are not x 100", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.whiten_dim is not None and self.whiten is None:
            raise Problem(
                f"whiten_dim {self.whiten_dim} goes with whiten=FILE",
                "give the sentences to learn it from: whiten=FILE",
                "whiten_dim",
            )


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(Settings):
    """An evaluation of the LLM itself as scorer: how it is read, with how many shots, and the content of every task."""

    model: str
    model_fingerprint: str
    tasks: dict[str, str]
    split: str = setting("the part of the tasks' data: test or dev", "test", choices=SPLITS)
    by: str = setting(
        "with scorer: how the LLM is read, by prompt or likelihood",
        usual="likelihood for smollm2, else prompt",
        metavar="prompt|likelihood",
    )
    shots: int = setting("with scorer: the set's first K in-context examples", usual="all", low=0, metavar="K")
    directions: str = setting(
        "with by=likelihood: first to second (one), or the mean of both ways", usual="both", metavar="one|both"
    )
    expected: bool = setting("with by=prompt: the mean over 0 to 5 under the LLM, not the number it gives", False)
    prompts: str = setting(
        "with scorer: the set of instructions", usual="the one that suits the LLM", noted=True, metavar="NAME|FILE"
    )
    dtype: str = setting(
        "with scorer: number format of the computation: float32, bfloat16, or auto: bfloat16 where that is fast",
        usual="auto",
        metavar="NAME",
    )
    base_url: str | None = None
    prompts_digest: str

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_reading(self.by, self.expected, self.directions, self.base_url)
        refuse_number_format(self.dtype, self.base_url)

    @property
    def scale(self) -> str:
        """Judged from 0 to 5, as the gold scores are."""
        return "0-5"
