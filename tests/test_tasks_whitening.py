"""Whitening: mean 0 and covariance I of what it was learned from, whatever the windows, against loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks.metrics import cosine
from stages.tasks.whitening import Whitening


def drawn(n: int, d: int, seed: int = 0, offset: float = 3.0) -> np.ndarray:
    """Vectors (n, d) far from zero, mixed so that some directions vary a hundred times as much as others."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) * np.geomspace(0.01, 1, d) @ generator.normal(size=(d, d)) + offset


def covariance_by_hand(vectors: np.ndarray) -> list[list[float]]:
    n, d = vectors.shape
    mean = [math.fsum(vectors[:, i]) / n for i in range(d)]
    return [
        [math.fsum((row[i] - mean[i]) * (row[j] - mean[j]) for row in vectors) / n for j in range(d)] for i in range(d)
    ]


@given(st.integers(8, 40), st.integers(1, 7), st.integers(0, 99))
def test_the_learning_sentences_have_mean_zero_and_covariance_identity(n: int, d: int, seed: int) -> None:
    vectors = drawn(n, d, seed)
    whitened = Whitening.learn([vectors]).apply(vectors)
    assert whitened.shape == (n, d)
    assert whitened.mean(0) == pytest.approx(np.zeros(d), abs=1e-8)
    assert np.array(covariance_by_hand(whitened)) == pytest.approx(np.eye(d), abs=1e-6)


@pytest.mark.parametrize("dim", [1, 4, 6])
def test_it_equals_the_formula_of_the_paper(dim: int) -> None:
    """W = U Λ^(-1/2) from the SVD of the covariance; of two vectors the sign of a column is free, their products are not."""
    vectors, others = drawn(60, 6), drawn(9, 6, seed=1)
    u, values, _ = np.linalg.svd(np.array(covariance_by_hand(vectors)))
    matrix = (u @ np.diag(1 / np.sqrt(values)))[:, :dim]
    expected = (others - vectors.mean(0)) @ matrix
    found = Whitening.learn([vectors], dim).apply(others)
    assert np.abs(found) == pytest.approx(np.abs(expected), rel=1e-6, abs=1e-8)
    assert found @ found.T == pytest.approx(expected @ expected.T, rel=1e-6, abs=1e-8)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=9), st.integers(0, 99))
def test_windows_do_not_matter(sizes: list[int], seed: int) -> None:
    """Also empty windows and windows of one; a large mean costs no digits."""
    vectors = drawn(30 + sum(sizes), 5, seed, offset=1000.0)
    parts = np.split(vectors, np.cumsum(sizes))
    one, many = Whitening.learn([vectors]), Whitening.learn(iter(parts))
    assert (many.n, many.matrix.shape) == (one.n, one.matrix.shape)
    assert many.mean == pytest.approx(one.mean, rel=1e-12)
    assert many.matrix @ many.matrix.T == pytest.approx(one.matrix @ one.matrix.T, rel=1e-5, abs=1e-6)


def test_cosines_after_whitening_do_not_depend_on_how_the_space_was_laid_out() -> None:
    """Whitened products are Mahalanobis products, (x - μ)ᵀ Σ⁻¹ (y - μ): no invertible linear map and no shift changes them;
    a rotation changes nothing with fewer dimensions either."""
    generator = np.random.default_rng(5)
    vectors, first, second = drawn(80, 6), drawn(12, 6, seed=1), drawn(12, 6, seed=2)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    skew = generator.normal(size=(6, 6)) + 3 * np.eye(6)

    def cosines(move: np.ndarray, shift: float, dim: int | None) -> np.ndarray:
        learned = Whitening.learn([vectors @ move + shift], dim)
        return cosine(learned.apply(first @ move + shift), learned.apply(second @ move + shift))

    assert cosines(skew, 7.0, None) == pytest.approx(cosines(np.eye(6), 0, None), abs=1e-6)
    for dim in (2, 5):
        assert cosines(rotation, 7.0, dim) == pytest.approx(cosines(np.eye(6), 0, dim), abs=1e-6)
        assert cosines(skew, 0, dim) != pytest.approx(cosines(np.eye(6), 0, dim), abs=1e-3)  # the law has an edge


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_without_variance_are_left_out(dtype: type) -> None:
    """Fewer sentences than dimensions, and a plane that all vectors lie in, rounding apart."""
    few = drawn(5, 12).astype(dtype)
    learned = Whitening.learn([few])
    assert learned.matrix.shape == (12, 4)
    assert np.cov(learned.apply(few.astype(np.float64)).T, bias=True) == pytest.approx(np.eye(4), abs=1e-3)
    plane = drawn(200, 12)
    plane = (plane - plane.mean(1, keepdims=True) + 0.1).astype(
        dtype
    )  # coordinates add up to 1.2, as behind a layer norm
    assert Whitening.learn([plane]).matrix.shape == (12, 11)


def test_more_dimensions_than_vary_are_refused() -> None:
    assert Whitening.learn([drawn(5, 12)], 4).matrix.shape == (12, 4)
    with pytest.raises(ValueError, match="5 sentences vary in 4 of 12 dimensions only"):
        Whitening.learn([drawn(5, 12)], 5)


@pytest.mark.parametrize(
    ("windows", "says"),
    [
        ([], "two sentences at least, not 0"),
        ([np.ones((1, 3))], "two sentences at least, not 1"),
        ([np.full((4, 3), 0.1, np.float32), np.full((3, 3), 0.1, np.float32)], "7 sentences do not vary"),
        ([np.zeros((4, 3))], "4 sentences do not vary"),
        ([np.array([[1.0, np.nan], [2.0, 3.0]])], "not finite"),
        ([np.array([[1.0, np.inf], [2.0, 3.0]])], "not finite"),
    ],
)
def test_vectors_that_cannot_be_whitened_are_refused(windows: list[np.ndarray], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Whitening.learn(windows)


def test_after_is_another_encoder() -> None:
    """The number format stays: what searches in float32 goes on to do so."""
    vectors = drawn(30, 4).astype(np.float32)
    learned = Whitening.learn([vectors], 2)
    encode = learned.after(lambda texts: vectors[[int(text) for text in texts]])
    assert encode(["3", "7"]).dtype == np.float32
    assert encode(["3", "7"]).tolist() == learned.apply(vectors)[[3, 7]].tolist()
