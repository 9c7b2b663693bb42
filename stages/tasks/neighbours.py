"""Exact nearest neighbours by cosine. Arrow: vectors of queries, vectors of documents in windows -> the k nearest of each.

The documents come window by window and are forgotten after it, so that a corpus may be larger than memory. The answer
depends neither on the windows nor on threads: equal vectors have equal cosines, and of equal cosines the smaller label
comes first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Window = tuple[np.ndarray, np.ndarray]  # labels (n), whole numbers from 0 below 2^32, each once; vectors (n, d)
LABELS = 2**32  # a key is the bits of a cosine times this, plus the label counted from the end
SINGLY = 2**31 - 1  # queries below which faiss multiplies vector by vector: always


def nearest(queries: np.ndarray, windows: Iterable[Window], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines, float32, and labels of the min(k, documents) nearest documents of each query, both (queries, k).

    Ordered by descending cosine, then ascending label. A zero vector is similar to nothing (cosine 0).
    Raises ValueError where a vector is not finite.
    """
    units = unit(queries)
    best = np.empty((len(units), 0), np.int64)
    for labels, vectors in windows:
        best = largest(np.concatenate([best, _keys_of_window(units, labels, unit(vectors), k)], axis=1), k)
    best.sort(axis=1)
    best = best[:, ::-1]
    return _cosines(best >> 32), LABELS - 1 - (best & (LABELS - 1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1 (zero rows stay), float32 (n, d). Raises ValueError where a value is not finite."""
    if not np.isfinite(vectors).all():
        raise ValueError("a vector holds a value that is not finite")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)


def largest(keys: np.ndarray, k: int) -> np.ndarray:
    """The k largest of each row, in no order; the whole row where it is not longer."""
    if keys.shape[1] <= k:
        return keys
    return np.partition(keys, keys.shape[1] - k, axis=1)[:, -k:]


def _keys_of_window(queries: np.ndarray, labels: np.ndarray, documents: np.ndarray, k: int) -> np.ndarray:
    """The keys of the k documents of this window with the largest keys, (queries, min(k, n)).

    faiss cuts a tie at rank k as it likes, so one document more is asked for: where it ties, all are looked at.
    """
    import faiss

    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(documents)
    # A matrix product sums in another order at the edges of its blocks: the cosines of equal vectors would differ.
    before, faiss.cvar.distance_compute_blas_threshold = faiss.cvar.distance_compute_blas_threshold, SINGLY
    try:
        cosines, rows = index.search(queries, min(k + 1, len(documents)))
        keys = _keys(cosines[:, :k], labels[rows[:, :k]])
        if len(documents) > k:
            tied = np.flatnonzero(cosines[:, k - 1] == cosines[:, k])
            cosines, rows = index.search(queries[tied], len(documents))
            keys[tied] = largest(_keys(cosines, labels[rows]), k)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before
    return keys


def _keys(cosines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One integer that orders by cosine, then by label from the end: the larger, the nearer.

    The bits of a float32 order like the number itself, but for the negative ones, whose order is turned round.
    """
    bits = cosines.view(np.int32).astype(np.int64)
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits) * LABELS + (LABELS - 1 - labels.astype(np.int64))


def _cosines(ordered: np.ndarray) -> np.ndarray:
    """The upper half of keys back to cosines."""
    return np.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).astype(np.int32).view(np.float32)
