"""Comparing two models: the paired bootstrap against a slow loop over draws, and what must hold of any comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stages.tasks import compare
from stages.tasks.compare import Correlation, Mean, bootstrap

numbers = np.random.default_rng


def figures(seed: int, n: int = 40) -> tuple[Correlation, Correlation]:
    """Two predictions, one better than the other, of gold scores with ties."""
    draw = numbers(seed)
    gold = draw.integers(0, 6, n) / 2
    near, far = (gold + draw.normal(0, spread, n).round(1) for spread in (0.8, 2.0))
    return Correlation(near, gold), Correlation(far, gold)


def correct(seed: int, n: int = 60) -> tuple[Mean, Mean]:
    draw = numbers(seed)
    return Mean("accuracy", draw.random(n) < 0.8), Mean("accuracy", draw.random(n) < 0.6)


def rank_correlation(outcome: Correlation, rows: np.ndarray) -> float:
    one, two = outcome.predicted[rows], outcome.gold[rows]
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    return 100 * float(stats.spearmanr(one, two).statistic)


def mean(outcome: Mean, rows: np.ndarray) -> float:
    return 100 * float(np.mean([outcome.values[row] for row in rows]))


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3), st.integers(0, 4)), min_size=2, max_size=30).filter(
        lambda items: any(count for *_, count in items)
    )
)
def test_a_draw_is_judged_as_if_its_items_stood_in_a_list(items: list[tuple[int, int, int]]) -> None:
    """Counts of items against the items themselves, repeated: ties, items left out, and sides that do not vary."""
    predicted, gold, counts = (np.array(side) for side in zip(*items, strict=True))
    rows = np.repeat(np.arange(len(items)), counts)
    outcome, hits = Correlation(predicted, gold), Mean("accuracy", gold > 1)
    found = outcome.resampled(counts[:, None])[0]
    assert found == pytest.approx(rank_correlation(outcome, rows), abs=1e-9, nan_ok=True)
    assert hits.resampled(counts[:, None])[0] == pytest.approx(mean(hits, rows))


@pytest.mark.parametrize("kind", ["spearman", "accuracy"])
@pytest.mark.parametrize("n", [40, 3001])
def test_the_bootstrap_equals_a_loop_over_draws(kind: str, n: int) -> None:
    """The same draws one after another, each judged on its list of items; they are drawn in one part, and in several."""
    assert 40 < compare.DRAWN_AT_ONCE / 199 < 3001
    one, two = figures(3, n) if kind == "spearman" else correct(3, n)
    judged = rank_correlation if kind == "spearman" else mean
    draw, differences = numbers(7), []
    for _ in range(199):
        rows = draw.integers(one.n, size=one.n)
        differences.append(judged(one, rows) - judged(two, rows))
    every = np.arange(one.n)
    ordered = sorted(differences)
    found = bootstrap(one, two, resamples=199, seed=7)
    assert found.difference == pytest.approx(judged(one, every) - judged(two, every), abs=1e-9)
    assert found.low == pytest.approx(np.quantile(ordered, 0.025))
    assert found.high == pytest.approx(np.quantile(ordered, 0.975))
    below, above = sum(value <= 1e-9 for value in ordered), sum(value >= -1e-9 for value in ordered)
    assert found.p == pytest.approx(min(1, 2 * (min(below, above) + 1) / 200))
    assert (found.metric, found.n, found.resamples) == (kind, one.n, 199)


@pytest.mark.parametrize("outcome", [figures(1)[0], correct(1)[0]])
def test_a_model_is_no_better_than_itself(outcome: Correlation | Mean) -> None:
    found = bootstrap(outcome, outcome, resamples=500)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_the_other_way_round_the_difference_changes_its_sign() -> None:
    one, two = figures(5)
    there, back = bootstrap(one, two, 1000), bootstrap(two, one, 1000)
    assert (back.difference, back.p) == (-there.difference, there.p)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert there.low < there.difference < there.high


def test_a_clear_difference_has_a_small_p_and_noise_a_large_one() -> None:
    one, two = figures(2, 400)
    clear = bootstrap(one, two, 2000)
    assert clear.low > 0
    assert clear.p == pytest.approx(2 / 2001)  # no draw on the other side: as small as 2000 draws can tell
    gold = one.gold
    same = (Correlation(gold + numbers(seed).normal(0, 1, 400), gold) for seed in (8, 9))
    noise = bootstrap(*same, resamples=2000)
    assert noise.low < 0 < noise.high
    assert noise.p > 0.05


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples with no true difference, near 5 % exclude it."""
    excluded = 0
    for seed in range(200):
        draw = numbers(seed)
        one, two = (Mean("accuracy", draw.random(120) < 0.7) for _ in range(2))
        found = bootstrap(one, two, resamples=400, seed=seed)
        excluded += not found.low <= 0 <= found.high
    assert 2 <= excluded <= 22  # binomial(200, 0.05) with room for the percentile interval's known narrowness


def test_draws_without_a_correlation_are_left_out_and_told() -> None:
    """Four pairs with one score apart: a draw often holds only equal ones."""
    gold = np.array([0.0, 0.0, 0.0, 1.0])
    one, two = Correlation(np.array([0.1, 0.2, 0.3, 0.9]), gold), Correlation(np.array([0.9, 0.2, 0.3, 0.1]), gold)
    found = bootstrap(one, two, resamples=1000)
    assert found.resamples == pytest.approx(1000 * (1 - 0.75**4 - 0.25**4), abs=60)
    assert np.isfinite([found.difference, found.low, found.high, found.p]).all()


def test_what_cannot_be_compared_is_refused() -> None:
    one, two = figures(0)
    constant = Correlation(np.zeros(one.n), one.gold)
    for first, second in ((one, correct(0, one.n)[0]), (one, figures(0, 41)[0]), (one, constant), (constant, two)):
        with pytest.raises(ValueError, match="compar"):
            bootstrap(first, second, resamples=20)
