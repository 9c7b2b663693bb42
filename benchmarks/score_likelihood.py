"""Claim: `score --by likelihood` handles six times the pairs a second of full forward passes over the same texts.

Both sides are the same stage function, `stages.texts.similarity.by_likelihood` in both directions, over a reader: ours is a
`LanguageModel`, the reference is `PlainReader`, which reads each text whole (instruction, shots, sentences) in padded
batches of 32 sorted by length, takes the log-softmax at every position and gathers those of the hypothesis. So both get
the same distinct texts, and what is measured is the reading alone. Our shared prefixes are computed in the round that
does not count, as they are once in a run.

The limit counts what our way cannot leave out (`arithmetic`): each token that is no part of a shared prefix goes once
through the layers, but for the last, after which nothing is asked; each token of a hypothesis once through the output
layer; and all weights are moved once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks import arithmetic, harness, pairs
from benchmarks.harness import Limit, Record, Settings
from stages.models import catalog, loading
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Prompt
from stages.tasks.metrics import spearman
from stages.texts import prompts as prompt_sets
from stages.texts import similarity

LLM = "smollm2"
PAIRS, PAIRS_QUICK = 64, 8
PAIRS_EXACT = 8  # read again in float32
REFERENCE_BATCH = 32

NATS_APART = 0.011  # float32: half a hundredth is our rounding, the rest is for sums in another order
LEAST_SPEARMAN = 99.0  # times 100; bfloat16, between the scores of both sides

Asked = Sequence[tuple[Prompt, str]]


class PlainReader:
    """Log-likelihoods by full forward passes, no prefix shared, every position through the vocabulary."""

    def __init__(self, llm: LanguageModel) -> None:
        # The library's model as it comes, without our attention.
        self.model = copy.deepcopy(llm.model)
        self.model.set_attn_implementation("sdpa")
        self.tokenizer = llm.tokenizer

    @torch.inference_mode()
    def log_likelihoods(self, asked: Asked) -> list[float]:
        """log p(continuation | prompt) in nats, one figure a pair."""
        found = [0.0] * len(asked)
        order = sorted(range(len(asked)), key=lambda place: len(asked[place][0].text + asked[place][1]))
        for start in range(0, len(asked), REFERENCE_BATCH):
            places = order[start : start + REFERENCE_BATCH]
            part = [asked[place] for place in places]
            texts = [prompt.text + continuation for prompt, continuation in part]
            batch = self.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt").to(self.model.device)
            logits = self.model(**batch, use_cache=False).logits  # (32, T, V)
            log_p = logits[:, :-1].float().log_softmax(-1)
            chosen = log_p.gather(2, batch.input_ids[:, 1:, None])[:, :, 0]  # (32, T - 1)
            prompt_lengths = [len(ids) for ids in self.tokenizer([prompt.text for prompt, _ in part]).input_ids]
            lengths = batch.attention_mask.sum(1).tolist()
            for row, place in enumerate(places):
                target = chosen[row, prompt_lengths[row] - 1 : lengths[row] - 1]
                found[place] = float(target.double().sum())
        return found


class Overheard:
    """A reader that keeps what it was asked and what it answered."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.asked: Asked = ()
        self.answered: list[float] = []

    def log_likelihoods(self, asked: Asked) -> list[float]:
        self.asked, self.answered = asked, self.reader.log_likelihoods(asked)
        return self.answered


def measure(settings: Settings) -> Record:
    """Race both readers in bfloat16, compare their scores, and compare log-likelihoods in float32 on a few pairs."""
    prompts = prompt_sets.load(LLM)
    asked = pairs.read(settings, PAIRS_QUICK if settings.quick else PAIRS)
    apart = _exact(asked[:PAIRS_EXACT], prompts, settings)
    llm = _load(settings, "bfloat16")
    ours, plain = Overheard(llm), PlainReader(llm)

    def scores(reader: Any) -> np.ndarray:
        return np.array([value for value, _ in similarity.by_likelihood(asked, True, prompts, reader)])

    race, mine, theirs = harness.race(lambda: scores(ours), lambda: scores(plain), settings.rounds)
    agreement, difference = spearman(mine, theirs)[0], float(np.abs(mine - theirs).mean())
    if agreement < LEAST_SPEARMAN:
        raise ValueError(f"the scores in bfloat16 differ: Spearman {agreement:.4f}, mean difference {difference:.3f}")
    return Record(
        name="score_likelihood",
        claim="score by likelihood, SmolLM2-135M, both directions, bfloat16",
        reference=f"full forwards in batches of {REFERENCE_BATCH}, log-softmax over every position",
        at_least=6.0,
        unit="pairs",
        count=len(asked),
        race=race,
        same=f"float32: log-likelihoods of {PAIRS_EXACT} pairs within {apart:.3f} nat;"
        f" bfloat16: Spearman of the scores {agreement:.4f}, mean difference {difference:.3f} of 5",
        sizes={"pairs": len(asked), "texts": len(ours.asked), "data": "snli" if settings.data else "bundled"},
        limit=_limit(llm, ours.asked, settings),
    )


def _load(settings: Settings, dtype: str) -> LanguageModel:
    return loading.language_model(catalog.locate(LLM, "llm"), torch.device(settings.device), dtype)


def _exact(asked: Sequence[pairs.Pair], prompts: prompt_sets.PromptSet, settings: Settings) -> float:
    """The largest difference of a log-likelihood in float32, in nats. Raises ValueError if it is more than rounding."""
    llm = _load(settings, "float32")
    ours, plain = Overheard(llm), Overheard(PlainReader(llm))
    for reader in (ours, plain):
        similarity.by_likelihood(asked, True, prompts, reader)  # type: ignore[arg-type]
    apart = float(np.abs(np.array(ours.answered) - np.array(plain.answered)).max())
    if apart > NATS_APART:
        raise ValueError(f"log-likelihoods in float32 differ by up to {apart:.4f} nat")
    return apart


def _limit(llm: LanguageModel, asked: Asked, settings: Settings) -> Limit:
    """What the reading needs at least; see the docstring of this file."""
    flop = 0.0
    for prompt, continuation in asked:
        ids, whole = llm.ids(prompt.text), llm.ids(prompt.text + continuation)
        flop += arithmetic.reading(llm.model, llm.shared(prompt, ids), len(whole) - 1)
        flop += arithmetic.choosing(llm.model, len(whole) - len(ids))
    return harness.limit(flop, arithmetic.weights(llm.model), "bfloat16", settings.device)
