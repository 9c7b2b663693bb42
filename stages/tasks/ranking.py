"""Figures of one ranked list as trec_eval computes them: from the relevance of what was found, best first.

`ranked` holds the relevance of the documents in their ranks, `judged` that of all documents judged for the query, found
or not; above 0 is relevant. A query without relevant documents gets 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ndcg(ranked: Sequence[int], judged: Sequence[int], depth: int) -> float:
    """Discounted gain of the first `depth` ranks over that of the best order: sum of relevance / log2(rank + 1).

    The gain is the relevance itself (trec_eval's ndcg_cut), not 2^relevance - 1.
    """
    best = _discounted(sorted(judged, reverse=True)[:depth])
    return _discounted(ranked[:depth]) / best if best else 0.0


def recall(ranked: Sequence[int], judged: Sequence[int], depth: int) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    relevant = sum(relevance > 0 for relevance in judged)
    return sum(relevance > 0 for relevance in ranked[:depth]) / relevant if relevant else 0.0


def average_precision(ranked: Sequence[int], judged: Sequence[int]) -> float:
    """Precision at the rank of each relevant document, summed over those found and divided by the number there are."""
    relevant = sum(relevance > 0 for relevance in judged)
    ranks = [rank for rank, relevance in enumerate(ranked, start=1) if relevance > 0]
    return sum(hit / rank for hit, rank in enumerate(ranks, start=1)) / relevant if relevant else 0.0


def _discounted(gains: Sequence[int]) -> float:
    ranks = np.arange(1, len(gains) + 1)
    return float((np.maximum(np.array(gains, dtype=float), 0) / np.log2(ranks + 1)).sum())
