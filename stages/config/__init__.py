"""What changes the answer, and nothing else: one frozen dataclass a stage. Its hash, with the parent's id, is the run.

A value out of range is refused here, before any file or model is touched.

words.py       the words that settings of several stages share: readings, scorers, number formats
gen.py         GenConfig, and ImportConfig for what was written elsewhere
score.py       ScoreConfig by an LLM, ModelScoresConfig by another model, ImportedScoresConfig
curate.py      CurateConfig over triplets, PairConfig over CLAIF's pairs
train.py       TrainConfig
recipes.py     what a training takes where it is not told
evaluate.py    EvalConfig of an encoder, JudgeConfig of an LLM as scorer
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.config.curate import CurateConfig, PairConfig
from stages.config.evaluate import EvalConfig, JudgeConfig
from stages.config.gen import GenConfig, ImportConfig
from stages.config.score import ImportedScoresConfig, ModelScoresConfig, ScoreConfig
from stages.config.train import TrainConfig
from stages.settings import Settings

__all__ = [
    "CurateConfig",
    "EvalConfig",
    "GenConfig",
    "ImportConfig",
    "ImportedScoresConfig",
    "JudgeConfig",
    "ModelScoresConfig",
    "PairConfig",
    "ScoreConfig",
    "TrainConfig",
    "class_of",
]


def class_of(stage: str, config: Mapping[str, Any]) -> type[Settings]:
    """The class whose fields a stored `config` of `stage` holds."""
    if stage == "gen":
        return ImportConfig if config.get("method") == "import" else GenConfig
    if stage == "score":
        if "llm" in config:
            return ScoreConfig
        return ImportedScoresConfig if config.get("method") == "import" else ModelScoresConfig
    if stage == "curate":
        return PairConfig if config.get("strategy") == "claif" else CurateConfig
    if stage == "train":
        return TrainConfig
    return JudgeConfig if "by" in config else EvalConfig
