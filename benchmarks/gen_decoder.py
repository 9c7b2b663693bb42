"""Claim: `gen` with a decoder-only model on a processor is six times as fast as transformers' guidance processor.

SmolLM2-135M in bfloat16, three-shot prompts. The reference is `generate` with `guidance_scale` and a negative prompt, once
for entailments and once for contradictions (`benchmarks/generation.py`).

The limit counts what our way cannot leave out: each prompt's own tokens and each written token of each of the four streams
once through the layers, each step of each stream once through the output layer, and the weights moved once a step.
"""

from __future__ import annotations

import torch

from benchmarks import arithmetic, generation, harness, writing
from benchmarks.harness import Limit, Record, Settings
from benchmarks.writing import Work
from stages.models import catalog, loading
from stages.models.llm.model import LanguageModel
from stages.texts import hypotheses
from stages.texts import prompts as prompt_sets
from store.records import ROLES

LLM = "smollm2"
PREMISES, PREMISES_QUICK = 128, 4
PREMISES_EXACT = 8  # written again in float32
BATCH = 64  # premises side by side: what `--batch auto` takes on a processor
SHOTS = 3
EQUAL_EXACT = 1.0  # of the texts in float32
EQUAL_ROUNDED = 0.4  # of the texts in bfloat16, where sums of another order tip close choices and all that follows


def measure(settings: Settings) -> Record:
    """Race both sides in bfloat16; compare their texts, and in float32 on a few premises."""
    part = writing.premises(settings, PREMISES_QUICK if settings.quick else PREMISES)
    prompts = writing.with_shots(prompt_sets.load(LLM), SHOTS)
    exact = _exact(Work(part[:PREMISES_EXACT], prompts, PREMISES_EXACT, generation.guided, ()), settings)
    llm = _load(settings, "bfloat16")
    plain = generation.plain(llm)
    ends = generation.line_ends(plain, llm.tokenizer)
    work = Work(part, prompts, BATCH, generation.guided, ends)
    race, ours, theirs = work.race(llm, plain, settings.rounds)
    same = writing.equal(ours, theirs, EQUAL_ROUNDED)
    return Record(
        name="gen_decoder",
        claim="gen, decoder-only, SmolLM2-135M, ω 0.3, bfloat16",
        reference="transformers `generate` with its guidance processor, x+ and x- apart",
        at_least=6.0,
        unit="premises",
        count=len(part),
        race=race,
        same=f"float32: {exact} of {2 * len(part[:PREMISES_EXACT])} texts equal; bfloat16: {same} of {len(ours)}",
        sizes={"premises": len(part), "shots": SHOTS, "batch": BATCH, "data": "snli" if settings.data else "bundled"},
        limit=_limit(llm, work, ours, settings),
    )


def _load(settings: Settings, dtype: str) -> LanguageModel:
    return loading.language_model(catalog.locate(LLM, "llm"), torch.device(settings.device), dtype)


def _exact(work: Work, settings: Settings) -> int:
    """How many texts are the same in float32: all of them, or ValueError is raised."""
    llm = _load(settings, "float32")
    plain = generation.plain(llm)
    reference = Work(work.part, work.prompts, work.batch, work.write, generation.line_ends(plain, llm.tokenizer))
    return writing.equal(work.ours(llm), reference.reference(plain, llm.tokenizer), EQUAL_EXACT)


def _limit(llm: LanguageModel, work: Work, written: list[str], settings: Settings) -> Limit:
    """What the writing needs at least; see the docstring of this file."""
    flop, steps = 0.0, 0
    asked = {role: work.asked(role) for role in ROLES}
    for place, text in enumerate(written):
        role, at = ROLES[place // len(work.part)], place % len(work.part)
        tokens = len(llm.tokenizer(text, add_special_tokens=False).input_ids) + 1  # and the one that ended it
        steps = max(steps, tokens)
        for stream in ROLES:  # its own prompt and its noise
            prompt = hypotheses.fill(
                work.prompts.template(stream).draw(0, stream, work.part[at].text), work.part[at].text
            )
            ids = llm.ids(prompt.text)
            if stream == role:  # read once for both lines
                flop += arithmetic.reading(llm.model, llm.shared(prompt, ids), len(ids))
            flop += arithmetic.reading(llm.model, len(ids), len(ids) + tokens - 1)
            flop += arithmetic.choosing(llm.model, tokens)
    assert len(written) == sum(len(prompts) for prompts in asked.values())
    return harness.limit(flop, steps * arithmetic.weights(llm.model), "bfloat16", settings.device)
