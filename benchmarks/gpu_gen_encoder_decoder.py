"""Claim: on a GPU, gen with an encoder-decoder model is at least 3 times as fast as a plain two-pass loop."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from benchmarks import generation, gpu
from benchmarks.harness import Record, Settings


def measure(settings: Settings) -> Record:
    """Premises per second of Flan-T5-XL's shape, zero-shot prompts; see `benchmarks/gpu.py`."""
    claim = gpu.Claim(
        name="gpu_gen_encoder_decoder",
        claim="gen, encoder-decoder (Flan-T5-XL's shape), GPU",
        reference="a two-pass loop over `model(...)` with a cache",
        shape=shape(vocabulary=32128, layers=24, width=2048, head=64, heads=32, forward=5120),
        tiny=shape(vocabulary=1024, layers=2, width=64, head=16, heads=4, forward=128),
        prompts="flan-t5",
        write=generation.two_pass,
    )
    return gpu.measure(claim, settings)


def shape(vocabulary: int, layers: int, width: int, head: int, heads: int, forward: int) -> Any:
    """T5's config with gated GELU, as Flan-T5 has it; no token ends a text."""
    return AutoConfig.for_model(
        "t5",
        vocab_size=vocabulary,
        num_layers=layers,
        num_decoder_layers=layers,
        d_model=width,
        d_kv=head,
        num_heads=heads,
        d_ff=forward,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=0,
        decoder_start_token_id=0,
        eos_token_id=None,
    )
