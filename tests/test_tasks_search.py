"""Exact search: the same neighbours as all cosines sorted, however the documents come and however many are equal."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks import neighbours

Found = tuple[np.ndarray, np.ndarray]


def windows(labels: np.ndarray, vectors: np.ndarray, cuts: list[int]) -> Iterator[neighbours.Window]:
    """The documents in parts that end at `cuts`."""
    edges = sorted({0, len(vectors), *(cut % (len(vectors) + 1) for cut in cuts)})
    for start, stop in itertools.pairwise(edges):
        yield labels[start:stop], vectors[start:stop]


def brute_force(queries: np.ndarray, labels: np.ndarray, vectors: np.ndarray, k: int) -> Found:
    """All cosines in float64, sorted: the larger first, of equal ones the smaller label."""
    scores = np.stack([[_cosine(query, vector) for vector in vectors] for query in queries])
    ranked = np.stack([np.lexsort((labels, -row))[:k] for row in scores])
    return np.take_along_axis(scores, ranked, 1), labels[ranked]


def _cosine(one: np.ndarray, two: np.ndarray) -> float:
    lengths = np.sqrt((one**2).sum()) * np.sqrt((two**2).sum())
    return float((one * two).sum() / lengths) if lengths else 0.0


def corners(count: int, generator: np.random.Generator) -> np.ndarray:
    """Vectors of -1 and 1 in four dimensions, some zero: their cosines are exact, and most of them equal to others."""
    return generator.choice([-1.0, 1.0], (count, 4)) * (generator.random((count, 1)) > 0.1)


@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 45),
    st.lists(st.integers(0, 40), max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_neighbours_and_ties_are_those_of_brute_force(
    queries: int, documents: int, k: int, cuts: list[int], seed: int
) -> None:
    """At every k, also beyond the corpus, and for every way to cut the corpus into windows."""
    generator = np.random.default_rng(seed)
    asked, vectors = corners(queries, generator), corners(documents, generator)
    labels = generator.permutation(documents)
    scores, found = neighbours.nearest(asked, windows(labels, vectors, cuts), k)
    wanted_scores, wanted = brute_force(asked, labels, vectors, k)
    assert found.tolist() == wanted.tolist()
    assert scores.tolist() == wanted_scores.tolist()


@pytest.mark.parametrize("k", [1, 7, 150, 400])
def test_real_vectors_are_found_in_the_order_of_their_cosines(k: int) -> None:
    """Any lengths, float64 given; one hundred and more neighbours take another path through faiss."""
    generator = np.random.default_rng(k)
    asked, vectors = generator.normal(size=(30, 48)), generator.normal(size=(400, 48)) * generator.random((400, 1))
    scores, found = neighbours.nearest(asked, windows(np.arange(400), vectors, [60, 250]), k)
    wanted_scores, wanted = brute_force(asked, np.arange(400), vectors, k)
    assert np.allclose(scores, wanted_scores, atol=1e-6)
    assert (found == wanted).mean() > 0.999  # two of the cosines may be equal in float32
    assert scores.dtype == np.float32


@pytest.mark.parametrize("size", [300, 37])
def test_equal_documents_tie_wherever_they_stand(size: int) -> None:
    """Copies of one document far apart have one cosine, to the bit, and come in the order of their labels."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(300, 100))
    copies = np.arange(1, 300, 13)
    vectors[copies] = vectors[1]
    parts = [(np.arange(300)[start : start + size], vectors[start : start + size]) for start in range(0, 300, size)]
    for k in (300, len(copies) - 4):
        asked = np.concatenate([vectors[:1] * 3, vectors[1:2], generator.normal(size=(40, 100))])
        scores, found = neighbours.nearest(asked, parts, k)
        assert found[1].tolist()[: len(copies)] == copies.tolist()[:k]
        for row, labels in zip(scores, found, strict=True):
            among = np.isin(labels, copies)
            assert len(set(row[among])) <= 1
            assert labels[among].tolist() == sorted(labels[among])


def test_a_window_is_asked_for_when_the_one_before_is_done() -> None:
    """Documents are never held: when the third window is made, the first is gone."""
    made: list[Any] = []

    def parts() -> Iterator[neighbours.Window]:
        for start in range(0, 60, 10):
            vectors = np.random.default_rng(start).normal(size=(10, 8))
            assert sum(one() is not None for one in made) <= 1
            made.append(weakref.ref(vectors))
            yield np.arange(start, start + 10), vectors

    _, found = neighbours.nearest(np.eye(8), parts(), 60)
    assert sorted(found[0]) == list(range(60))
    assert len(made) == 6


def test_no_documents_no_neighbours() -> None:
    scores, found = neighbours.nearest(np.eye(3), [], 5)
    assert scores.shape == found.shape == (3, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    """In a query as in a document."""
    good, bad = np.eye(3), np.eye(3)
    bad[1, 2] = value
    for asked, vectors in [(good, bad), (bad, good)]:
        with pytest.raises(ValueError, match="not finite"):
            neighbours.nearest(asked, [(np.arange(3), vectors)], 1)


def test_the_setting_of_faiss_is_left_as_it_was() -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    neighbours.nearest(np.eye(3), [(np.arange(3), np.eye(3))], 1)
    assert faiss.cvar.distance_compute_blas_threshold == before
