"""Claim: `score --by prompt` asks five times the pairs a second of `generate` on two prompts at a time.

Both sides are the same stage function, `stages.texts.similarity.by_prompt`, over a writer: ours is a `LanguageModel`, which
reads the question's rules once and the two sentences of all pairs together; the reference is `PlainWriter`, the released
code's way: transformers' greedy `generate` on two whole prompts at a time, with the same number of new tokens, ending at a
line's end.

The limit counts what our way cannot leave out (`arithmetic`): each token behind the shared rules goes once through the
layers, each written token but the last too; each written token was chosen by the output layer; all weights are moved once
for the reading and once more for each further token of the longest reply.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import arithmetic, harness, pairs
from benchmarks.harness import Limit, Record, Settings
from stages.models import catalog, loading
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from stages.texts import prompts as prompt_sets
from stages.texts import similarity

LLM = "smollm2"
PAIRS, PAIRS_QUICK = 128, 8  # 64 premises with two hypotheses: what `score` hands over at a time on a CPU
PAIRS_EXACT = 32  # asked again in float32
REFERENCE_BATCH = 2


class PlainWriter:
    """Greedy replies by `generate`, two prompts at a time."""

    def __init__(self, llm: LanguageModel) -> None:
        # The library's model as it comes, without our attention.
        self.model = copy.deepcopy(llm.model)
        self.model.set_attn_implementation("sdpa")
        self.tokenizer = llm.tokenizer
        newlines = [token for text, token in self.tokenizer.get_vocab().items() if "Ċ" in text]  # byte-level "\n"
        self.ends = [*sorted(llm.eos), *newlines]

    def wrap(self, message: str) -> str:
        """`message` in the model's chat format."""
        turn = [{"role": "user", "content": message}]
        return str(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        """A reply to each prompt; it ends at the first token with a line's end."""
        found = []
        for start in range(0, len(prompts), REFERENCE_BATCH):
            texts = [prompt.text for prompt in prompts[start : start + REFERENCE_BATCH]]
            batch = self.tokenizer(texts, padding=True, padding_side="left", return_tensors="pt").to(self.model.device)
            out = self.model.generate(
                **batch,
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=self.ends,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            for row in out[:, batch.input_ids.shape[1] :].tolist():
                written = [token for token in row if token != self.tokenizer.pad_token_id]
                found.append(Draft(self.tokenizer.decode(written, skip_special_tokens=True), len(written), True))
        return found


class Overheard:
    """A writer that keeps what it was asked and what it wrote."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.asked: Sequence[Prompt] = ()
        self.wrote: Sequence[Draft] = ()

    def write(self, prompts: Sequence[Prompt], *rest: Any, **named: Any) -> Sequence[Draft]:
        self.asked, self.wrote = prompts, self.writer.write(prompts, *rest, **named)
        return self.wrote


def measure(settings: Settings) -> Record:
    """Race both writers in bfloat16; in float32 every reply is the same."""
    prompts = prompt_sets.load(LLM)
    asked = pairs.read(settings, PAIRS_QUICK if settings.quick else PAIRS)
    few = asked[:PAIRS_EXACT]
    exact = _load(settings, "float32")
    mine, theirs = _replies(few, prompts, exact), _replies(few, prompts, PlainWriter(exact))
    if apart := [pair for pair, one, other in zip(few, mine, theirs, strict=True) if one != other]:
        raise ValueError(f"{len(apart)} of {len(few)} replies in float32 differ, the first to {apart[0]}")
    llm = _load(settings, "bfloat16")
    ours, plain = Overheard(llm), PlainWriter(llm)
    race, mine, theirs = harness.race(
        lambda: _replies(asked, prompts, ours), lambda: _replies(asked, prompts, plain), settings.rounds
    )
    alike = sum(one == other for one, other in zip(mine, theirs, strict=True))
    return Record(
        name="score_prompt",
        claim="score by prompt, SmolLM2-135M, bfloat16",
        reference=f"`generate` on {REFERENCE_BATCH} prompts at a time",
        at_least=5.0,
        unit="pairs",
        count=len(asked),
        race=race,
        same=f"float32: {len(few)} of {len(few)} replies equal; bfloat16: {alike} of {len(asked)}",
        sizes={"pairs": len(asked), "data": "snli" if settings.data else "bundled"},
        limit=_limit(llm, ours, settings),
        extra={"different_replies": len(set(mine))},
    )


def _load(settings: Settings, dtype: str) -> LanguageModel:
    return loading.language_model(catalog.locate(LLM, "llm"), torch.device(settings.device), dtype)


def _replies(asked: Sequence[pairs.Pair], prompts: prompt_sets.PromptSet, writer: Any) -> list[str]:
    return [reply.strip() for _, reply in similarity.by_prompt(asked, False, prompts, writer)]


def _limit(llm: LanguageModel, ours: Overheard, settings: Settings) -> Limit:
    """What asking needs at least; see the docstring of this file."""
    flop = 0.0
    for prompt, draft in zip(ours.asked, ours.wrote, strict=True):
        ids = llm.ids(prompt.text)
        flop += arithmetic.reading(llm.model, llm.shared(prompt, ids), len(ids) + draft.tokens - 1)
        flop += arithmetic.choosing(llm.model, draft.tokens)
    passes = max(draft.tokens for draft in ours.wrote)
    return harness.limit(flop, passes * arithmetic.weights(llm.model), "bfloat16", settings.device)
