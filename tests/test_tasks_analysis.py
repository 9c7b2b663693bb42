"""Alignment and uniformity against loops over every pair."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks import analysis, sts
from stages.tasks.sts import StsTask, Subset


def drawn(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 0.5


def between(x: np.ndarray, y: np.ndarray) -> float:
    """|x/|x| - y/|y||², coordinate by coordinate."""
    a, b = math.hypot(*x), math.hypot(*y)
    return math.fsum((p / a - q / b) ** 2 for p, q in zip(x, y, strict=True))


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))
def test_alignment_is_the_mean_squared_distance(n: int, d: int, seed: int) -> None:
    first, second = drawn(n, d, seed), drawn(n, d, seed + 1)
    value, error = analysis.alignment(analysis.unit(first), analysis.unit(second))
    each = [between(x, y) for x, y in zip(first, second, strict=True)]
    mean = math.fsum(each) / n
    assert value == pytest.approx(mean, abs=1e-9)
    spread = math.fsum((one - mean) ** 2 for one in each) / (n - 1)
    assert error == pytest.approx(math.sqrt(spread / n), abs=1e-7)


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))
def test_uniformity_is_the_log_of_the_mean_over_every_pair(n: int, d: int, seed: int) -> None:
    vectors = drawn(n, d, seed)
    each = [math.exp(-2 * between(x, y)) for x, y in itertools.combinations(vectors, 2)]
    value, _ = analysis.uniformity(analysis.unit(vectors))
    assert value == pytest.approx(math.log(math.fsum(each) / len(each)), abs=1e-9)


def test_blocks_leave_no_pair_out() -> None:
    """More sentences than are computed at once, not a multiple of them."""
    vectors = analysis.unit(drawn(analysis.ROWS_AT_ONCE + 77, 3))
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(2)
    upper = np.triu_indices(len(vectors), k=1)
    value, _ = analysis.uniformity(vectors)
    assert value == pytest.approx(float(np.log(np.exp(-2 * distances[upper]).mean())), abs=1e-10)


def test_known_values() -> None:
    """Equal vectors: 0 and 0. Opposite ones: |x - y|² = 4, so 4 and -8. On the circle, evenly: log(e⁻⁴ I₀(4))."""
    same, ends = np.ones((3, 4)) / 2, np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert analysis.alignment(same, same) == (0.0, 0.0)
    assert analysis.uniformity(same) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert analysis.alignment(ends, ends[::-1]) == (4.0, 0.0)
    assert analysis.alignment(ends[:1], ends[1:]) == (4.0, None)
    assert analysis.uniformity(ends)[0] == pytest.approx(-8)
    angles = np.linspace(0, 2 * np.pi, 4001)[:-1]
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert analysis.uniformity(circle)[0] == pytest.approx(-4 + math.log(np.i0(4)), abs=1e-3)


def test_the_error_of_uniformity_is_the_spread_over_samples() -> None:
    """Drawn again and again from one distribution, the figure scatters as its error says."""
    found = [analysis.uniformity(analysis.unit(drawn(150, 4, seed))) for seed in range(300)]
    values, errors = np.array(found).T
    assert float(errors.mean()) == pytest.approx(float(values.std(ddof=1)), rel=0.15)


WORDS = ["ant", "boat", "cedar", "dune", "east", "iron", "lime"]
TASK = StsTask(
    "two",
    [
        Subset("a", [*WORDS[:4]], [*WORDS[3:]], [4.0, 3.9, 5.0, 0.0]),
        Subset("b", ["ant", "lime"], ["dune", "lime"], [4.5, 5.0]),
    ],
)


def encode(texts: Sequence[str]) -> np.ndarray:
    return np.array([[text.count(letter) + 0.1 * place for place, letter in enumerate("aeinort")] for text in texts])


def test_the_figures_of_a_task() -> None:
    """Over the high pairs of all subsets, and over every pair of its distinct sentences, each with its n."""
    of = dict(zip(WORDS, encode(WORDS), strict=True))
    high = [("ant", "dune"), ("cedar", "iron"), ("ant", "dune"), ("lime", "lime")]
    every = [math.exp(-2 * between(of[x], of[y])) for x, y in itertools.combinations(WORDS, 2)]
    close, even = analysis.figures(TASK, encode)
    assert (close.subset, close.name, close.n) == ("", "alignment", 4)
    assert close.value == pytest.approx(sum(between(of[x], of[y]) for x, y in high) / 4)
    assert (even.subset, even.name, even.n) == ("", "uniformity", 21)
    assert even.value == pytest.approx(math.log(sum(every) / 21))


def test_an_analysed_task_has_its_own_figures_too() -> None:
    analysed = analysis.Analysed(TASK)
    assert (analysed.name, analysed.digest) == (TASK.name, TASK.digest)
    assert analysed.evaluate(encode) == [*sts.evaluate(TASK, encode), *analysis.figures(TASK, encode)]


def test_what_has_no_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair has a gold score of 4 or more"):
        analysis.figures(StsTask("low", [Subset("", ["a", "b"], ["c", "d"], [0.2, 3.99])]), encode)
    for bad in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="no direction"):
            analysis.unit(np.array([[1.0, 1.0], [bad, bad]]))
    with pytest.raises(ValueError, match="two sentences"):
        analysis.uniformity(np.ones((1, 1)))
