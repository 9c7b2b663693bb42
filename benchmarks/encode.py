"""Claim: encoding for an evaluation is no slower than sentence-transformers, and gives the same vectors."""

from __future__ import annotations

import math

import numpy as np

from benchmarks import harness, training
from benchmarks.harness import Record, Settings
from stages.models.encoder.model import normalised
from stages.tasks import sts

BATCH = 64
CLOSE = 1e-5


def measure(settings: Settings) -> Record:
    """Texts per second on the embedded encoder (on a GPU: RoBERTa-base's shape), from text to vectors of length 1."""
    from sentence_transformers import SentenceTransformer

    with training.course(settings) as given:
        # Without data, sentences drawn from the bundled ones' words.
        texts = sts.load("stsb", settings.data, "dev").texts if settings.data else given.texts
        texts = texts[: 2 * BATCH] if settings.quick else texts
        encoder = given.encoder(given.guide)
        model = SentenceTransformer(str(given.guide), device=given.device)
        race, ours, theirs = harness.race(
            lambda: normalised(encoder.encode(texts, BATCH)),
            lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True),
            settings.rounds,
        )
        difference = float(np.abs(ours - theirs).max())
        if difference > CLOSE:
            raise ValueError(f"a number of a vector differs by {difference}, more than {CLOSE}")
        tokens = sum(len(row) for row in encoder.ids(texts))
        return Record(
            name="encode",
            claim="encode for eval",
            reference="SentenceTransformer.encode",
            at_least=1.0,
            unit="texts",
            count=len(texts),
            race=race,
            same=f"vectors of length 1 differ by {difference:.1e} at most",
            sizes={"batch": BATCH, "dtype": "float32", "model": training.shape(encoder), "tokens": tokens},
            # Two operations a parameter and token; every batch reads the layers' weights once.
            limit=harness.limit(
                2 * training.multiplied(encoder) * tokens,
                4 * training.multiplied(encoder) * math.ceil(len(texts) / BATCH),
                "float32",
                given.device,
            ),
        )
