"""The paired test that decides whether a claim holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stages.tasks.metrics import paired


def test_it_is_a_t_test_of_the_differences() -> None:
    draw = np.random.default_rng(0)
    better, worse = draw.normal(1.0, 1.0, 9), draw.normal(0.0, 1.0, 9)
    differences = better - worse
    t = differences.mean() / (differences.std(ddof=1) / 3)
    mean, spread, p = paired(better, worse)
    assert (mean, spread) == pytest.approx((differences.mean(), differences.std(ddof=1)))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 8))


@pytest.mark.parametrize(("n", "p"), [(2, 0.5), (5, 0.0625), (11, 0.0009765625)])
def test_equal_differences_are_judged_by_their_signs(n: int, p: float) -> None:
    """Two accuracies of few items may well differ alike twice; eleven times they hardly do by chance."""
    worse = np.arange(n, dtype=float)
    assert paired(worse + 1, worse) == (1.0, 0.0, p)
    assert paired(worse, worse) == (0.0, 0.0, 1.0)


def test_one_pair_is_no_test() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        paired(np.ones(1), np.zeros(1))
