"""Whitening: a linear map after which sentence vectors have mean 0 and covariance I. Arrow: vector -> vector.

Learned from unlabeled sentences (BERT-whitening; Su et al., 2021): x -> (x - μ) W with W = U Λ^(-1/2), where U Λ Uᵀ is the
covariance of the sentences' vectors. The directions that vary most come first, so the first N columns reduce to N.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stages.tasks.task import Encode


@dataclass(frozen=True)
class Whitening:
    """`mean` (d,) and `matrix` (d, kept), both float64, learned from `n` vectors."""

    mean: np.ndarray
    matrix: np.ndarray
    n: int

    @classmethod
    def learn(cls, windows: Iterable[np.ndarray], dim: int | None = None) -> Whitening:
        """Learn from vectors that come in windows (rows, d), of which one is held at a time; keep the first `dim`.

        Directions that do not vary are left out: n vectors vary in n - 1 at most, those behind a layer norm in d - 1.
        What varies less than float32 can tell of vectors that long (eigenvalue ≤ d ε² mean |x|²) is rounding, and would be
        blown up to variance 1. So fewer than d may be kept where `dim` is None. Raises ValueError where `dim` asks for more
        than vary, where nothing varies, and for a vector that is not finite.
        """
        n, mean, scatter = _moments(windows)
        values, directions = np.linalg.eigh(scatter / n)  # the SVD of a symmetric matrix, smallest first
        length = float(np.trace(scatter) / n + mean @ mean)  # mean |x|²
        varying = int((values > len(mean) * float(np.finfo(np.float32).eps) ** 2 * length).sum())
        if not varying:
            raise ValueError(f"the vectors of {n:,} sentences do not vary")
        if dim is not None and dim > varying:
            raise ValueError(f"the vectors of {n:,} sentences vary in {varying:,} of {len(mean):,} dimensions only")
        kept = slice(-1, -1 - (dim or varying), -1)
        return cls(mean, directions[:, kept] / np.sqrt(values[kept]), n)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Whitened vectors, (n, d) -> (n, kept), in the number format of `vectors`."""
        whitened: np.ndarray = ((vectors - self.mean) @ self.matrix).astype(vectors.dtype)
        return whitened

    def after(self, encode: Encode) -> Encode:
        """`encode`, its vectors whitened: to a task, another encoder."""
        return lambda texts: self.apply(encode(texts))


def _moments(windows: Iterable[np.ndarray]) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, mean (d,) and scatter Σ (x - μ)(x - μ)ᵀ (d, d), merged a window at a time (Chan et al., 1979): no difference
    of two large sums is ever taken."""
    n, mean, scatter = 0, np.zeros(()), np.zeros(())
    for window in windows:
        if not np.isfinite(window).all():
            raise ValueError("a vector is not finite")
        rows, part = len(window), window.astype(np.float64)
        if not rows:
            continue
        centre = part.mean(0)
        part -= centre
        step = centre - mean
        scatter = scatter + part.T @ part + np.outer(step, step) * (n * rows / (n + rows))
        mean = mean + step * (rows / (n + rows))
        n += rows
    if n < 2:
        raise ValueError(f"whitening needs two sentences at least, not {n}")
    return n, mean, scatter
