"""Claim: on a GPU, gen with a decoder-only model is at least 3 times as fast as transformers' guidance processor."""

from __future__ import annotations

from transformers import LlamaConfig

from benchmarks import generation, gpu
from benchmarks.harness import Record, Settings


def measure(settings: Settings) -> Record:
    """Premises per second of a model with 1.6 billion weights, few-shot prompts; see `benchmarks/gpu.py`."""
    claim = gpu.Claim(
        name="gpu_gen_decoder",
        claim="gen, decoder-only, GPU",
        reference="transformers `generate` with guidance",
        shape=LlamaConfig(
            vocab_size=49152,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=24,
            num_attention_heads=32,
            num_key_value_heads=8,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            eos_token_id=None,
        ),
        tiny=LlamaConfig(
            vocab_size=1024,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            eos_token_id=None,
        ),
        prompts="smollm2",
        write=generation.guided,
    )
    return gpu.measure(claim, settings)
