"""Claim: with bfloat16 autocast training is at least 3 times as fast as the reference, and the model is as good.

As good: over several seeds, the mean dev Spearman of bfloat16 differs from that of float32 by less than the seeds'
standard deviation. Dev is STS-B's with `--data`, else the bundled graded pairs.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import torch

from benchmarks import training
from benchmarks.harness import Record, Settings
from benchmarks.training import Course
from stages.models.encoder.model import autocast
from stages.models.training.fit import MaskVectors, Training
from stages.tasks import sts

SEEDS = 5
DTYPES = ("float32", "bfloat16")


def measure(settings: Settings) -> Record:
    """Triplets per second of one epoch in bfloat16 against float32, and the dev figures of both."""
    record = training.compare("train_step_bfloat16", "training with the mask, bfloat16", 3.0, settings, "bfloat16")
    return replace(record, extra={**record.extra, **quality(settings)})


def quality(settings: Settings) -> dict[str, Any]:
    """Dev Spearman of every seed in both precisions. Raises ValueError where bfloat16 differs by more than seed noise."""
    dev = sts.load("stsb", settings.data, "dev") if settings.data else sts.load("mini", None, "dev")
    with training.course(settings, steps=16) as given:
        mask = training.mask_vectors(given.encoder(given.guide), given)
        seeds = range(2 if settings.quick else SEEDS)
        found = {dtype: [_dev_figure(given, mask, dev, dtype, seed) for seed in seeds] for dtype in DTYPES}
    means = [statistics.mean(found[dtype]) for dtype in DTYPES]
    noise = statistics.stdev(found["float32"])
    if abs(means[0] - means[1]) > noise:
        raise ValueError(
            f"dev Spearman is {means[0]:.2f} in float32, {means[1]:.2f} in bfloat16; seed noise {noise:.2f}"
        )
    rounded = {dtype: [round(value, 2) for value in values] for dtype, values in found.items()}
    return {
        "dev": dev.name,
        "dev_spearman": rounded,
        "dev_means": [round(mean, 3) for mean in means],
        "seed_noise": noise,
    }


def _dev_figure(course: Course, mask: MaskVectors, dev: sts.StsTask, dtype: str, seed: int) -> float:
    """Dev Spearman at the end of a training."""
    encoder = course.encoder(course.base)
    for _ in Training(encoder, course.triplets, mask, course.recipe(dtype, seed)).steps():
        pass
    with autocast(dtype, torch.device(course.device)):
        return sts.evaluate(dev, lambda texts: encoder.encode(texts, 64), subsets=False)[0].value
