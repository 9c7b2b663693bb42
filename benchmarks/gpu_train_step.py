"""Claim: on a GPU, training RoBERTa-base at batch 256 is at least 1.5 times as fast as with GISTEmbedLoss."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import gpu, train_step
from benchmarks.harness import Record, Settings


def measure(settings: Settings) -> Record:
    """As `train_step`, which takes RoBERTa-base's shape and that batch where the device is a GPU."""
    gpu.device(settings)
    claim = "training with the mask, RoBERTa-base's shape, batch 256, GPU"
    return replace(train_step.measure(settings), name="gpu_train_step", claim=claim)
