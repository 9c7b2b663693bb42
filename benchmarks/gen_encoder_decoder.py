"""Claim: `gen` with an encoder-decoder model on a processor is twice as fast as a plain two-pass loop.

Flan-T5-small's shape with random weights (nothing is downloaded), zero-shot prompts. Random weights never end a text by
themselves, so one token in so many counts as an end for both sides; texts then differ in length, as real ones do.

The reference runs a loop over `model(...)` with its cache on 2B rows, prompts and noise prompts, once for entailments and
once for contradictions (`benchmarks/generation.py`).
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import torch

from benchmarks import generation, gpu, harness, writing
from benchmarks.gpu_gen_encoder_decoder import shape
from benchmarks.harness import Limit, Record, Settings
from benchmarks.writing import Work
from stages.models.llm.model import LanguageModel
from stages.texts import prompts as prompt_sets

PREMISES, PREMISES_QUICK = 128, 4
PREMISES_EXACT = 8
BATCH = 64
END_EVERY = 12  # one token of the vocabulary in so many ends a text
EQUAL_EXACT = 0.9  # random weights have ties, which the order of a sum decides
EQUAL_ROUNDED = 0.4  # in bfloat16 random weights have many close choices


def measure(settings: Settings) -> Record:
    """Race both sides in bfloat16; compare their texts, and in float32 on a few premises."""
    where = torch.device(settings.device)
    part = writing.premises(settings, PREMISES_QUICK if settings.quick else PREMISES)
    prompts = replace(prompt_sets.load("flan-t5"), one_sentence=False)
    small = shape(vocabulary=32128, layers=8, width=512, head=64, heads=6, forward=1024)
    llm = gpu.language_model(small, where)
    ends = frozenset(range(0, len(llm.tokenizer), END_EVERY))
    llm.eos = ends
    work = Work(part, prompts, BATCH, generation.two_pass, ends)
    race, ours, theirs = work.race(llm, generation.plain(llm), settings.rounds)
    same = writing.equal(ours, theirs, EQUAL_ROUNDED)
    lengths = [len(llm.tokenizer(text, add_special_tokens=False).input_ids) + 1 for text in ours]
    limit = _limit(llm, work, lengths, settings)
    few = Work(part[:PREMISES_EXACT], prompts, PREMISES_EXACT, generation.two_pass, ends)
    exact = LanguageModel(llm.model.float(), llm.tokenizer, llm.name)
    exact.eos = ends
    equal = writing.equal(few.ours(exact), few.reference(generation.plain(exact), exact.tokenizer), EQUAL_EXACT)
    return Record(
        name="gen_encoder_decoder",
        claim="gen, encoder-decoder, Flan-T5-small's shape, ω 0.3, bfloat16",
        reference="a two-pass loop over `model(...)` with a cache, x+ and x- apart",
        at_least=2.0,
        unit="premises",
        count=len(part),
        race=race,
        same=f"float32: {equal} of {2 * len(few.part)} texts equal; bfloat16: {same} of {len(ours)}",
        sizes={
            "premises": len(part),
            "batch": BATCH,
            "tokens_mean": round(statistics.mean(lengths), 1),
            "tokens_longest": max(lengths),
            "data": "snli" if settings.data else "bundled",
        },
        limit=limit,
    )


def _limit(llm: LanguageModel, work: Work, lengths: list[int], settings: Settings) -> Limit:
    """Each prompt once through the encoder and the cross-attention's keys and values, each token of each of the four
    streams once through the rest of the decoder and the output layer; the weights moved once a step."""
    weights = {name: weight.numel() for name, weight in llm.model.named_parameters()}
    crossing = sum(size for name, size in weights.items() if "EncDecAttention.k" in name or "EncDecAttention.v" in name)
    encoder = sum(size for name, size in weights.items() if name.startswith("encoder.block")) + crossing
    decoder = sum(size for name, size in weights.items() if name.startswith("decoder.block")) - crossing
    head = llm.model.config.d_model * llm.model.config.vocab_size
    prompts = sum(len(llm.ids(text)) for role in ("entailment", "contradiction") for text in work.asked(role))
    flop = 2.0 * (encoder * prompts + (decoder + head) * 2 * sum(lengths))
    moved = max(lengths) * sum(weight.numel() * weight.element_size() for weight in llm.model.parameters())
    return harness.limit(flop, moved, "bfloat16", settings.device)
