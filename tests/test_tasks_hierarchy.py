"""The hierarchical bootstrap: against a slow loop, against scipy where one level varies, and over many samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stages.tasks import hierarchy
from stages.tasks.compare import SEED, Correlation, Mean
from stages.tasks.hierarchy import bootstrap, resampled

numbers = np.random.default_rng


def drawn(items: np.ndarray, seeds: np.ndarray, r: int, seed: int = 0) -> np.ndarray:
    """A difference for each of n seeds (n,) and each item (m,), which add up: (1 + r, n) over draws of the items."""
    places = numbers(seed).integers(len(items), size=(r, len(items)))
    return np.concatenate([[items.mean()], items[places].mean(axis=1)])[:, None] + seeds


def test_it_equals_a_loop_over_draws() -> None:
    """For each draw of items some draws of seeds; what the seeds add to it is stretched by their own number."""
    differences = drawn(numbers(1).normal(0.5, 3, 50), numbers(2).normal(0, 1, 6), 40)
    random, n = numbers(SEED), 6
    places = random.integers(n, size=(40, 3, n))
    chi = random.chisquare(n - 1, size=(40, 3))
    every = []
    for r, row in enumerate(differences[1:]):
        for s in range(3):
            chosen = np.mean([row[place] for place in places[r, s]])
            every.append(np.mean(row) + (chosen - np.mean(row)) * np.sqrt(n / chi[r, s]))
    found = bootstrap(differences, seed_draws=3)
    assert found.effect == pytest.approx(differences[0].mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(every, [0.025, 0.975])))
    below, above = sum(value <= 0 for value in every), sum(value >= 0 for value in every)
    assert found.p == pytest.approx(min(1, 2 * (min(below, above) + 1) / 121))


def test_where_items_alone_vary_it_is_the_paired_bootstrap_of_scipy() -> None:
    first, second = numbers(3).random(90) < 0.7, numbers(4).random(90) < 0.5
    outcomes = [np.stack([resampled(Mean("accuracy", one), "mr")] * 5, axis=1) for one in (first, second)]
    found = bootstrap(outcomes[0] - outcomes[1])
    reference = stats.bootstrap(
        (first, second),
        lambda one, two, axis: 100 * (one.mean(axis=axis) - two.mean(axis=axis)),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=numbers(5),
    ).confidence_interval
    assert found.effect == pytest.approx(100 * (first.mean() - second.mean()))
    assert found.low == pytest.approx(reference.low, abs=0.08 * (reference.high - reference.low))
    assert found.high == pytest.approx(reference.high, abs=0.08 * (reference.high - reference.low))


@pytest.mark.parametrize("n", [5, 8])
def test_where_seeds_alone_vary_it_is_nearly_students_t(n: int) -> None:
    """A plain bootstrap of five values would be a third narrower."""
    values = numbers(n).normal(1, 1, n)
    found = bootstrap(np.tile(values, (1 + hierarchy.ITEM_DRAWS, 1)))
    test = stats.ttest_1samp(values, 0)
    interval = test.confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(interval.high - interval.low, rel=0.1)
    assert found.p == pytest.approx(test.pvalue, abs=0.3 * test.pvalue + 0.002)


@pytest.mark.parametrize(("by_seed", "by_item"), [(1.0, 0.0), (1.0, 0.2), (1.0, 0.45), (0.2, 1.0), (0.0, 1.0)])
def test_of_many_samples_the_interval_covers_the_truth_about_as_often_as_it_says(
    by_seed: float, by_item: float
) -> None:
    """Five seeds, whether their chance is the larger one, or that of the items, or neither."""
    covered, trials, m = 0, 400, 60
    for trial in range(trials):
        draw = numbers(trial)
        items, seeds = draw.normal(0, by_item * np.sqrt(m), m), draw.normal(0, by_seed, 5)
        found = bootstrap(drawn(items, seeds, 200, trial), seed=trial)
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / trials <= 0.985


def test_models_are_judged_on_the_same_draws_of_a_task_and_tasks_on_their_own() -> None:
    gold = numbers(0).integers(0, 6, 40) / 2
    outcome = Correlation(gold + numbers(1).normal(0, 1, 40), gold)
    there, again, other = (resampled(outcome, task, 30) for task in ("stsb", "stsb", "sickr"))
    assert (there == again).all()
    assert there[0] == other[0] == pytest.approx(100 * stats.spearmanr(outcome.predicted, gold).statistic)
    assert not (there[1:] == other[1:]).any()


def test_draws_without_a_figure_are_left_out() -> None:
    differences = drawn(numbers(0).normal(1, 1, 30), np.arange(5.0), 50)
    gaps = differences.copy()
    gaps[7, 2] = np.nan
    assert bootstrap(gaps) == bootstrap(np.delete(differences, 7, axis=0))


@pytest.mark.parametrize("shape", [(1, 5), (50, 1)])
def test_one_seed_or_no_draw_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two seeds"):
        bootstrap(np.ones(shape))
    with pytest.raises(ValueError, match="defined"):
        bootstrap(np.full((9, 5), np.nan))
