"""The choice of one token, on toys small enough to know the right probabilities by heart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stages.models.llm.request import Sampling
from stages.models.llm.sampling import CLOSE_CALL, choose, gumbel

DRAWS = 2500

# Scores on a grid of quarters: equal or clearly apart, as a reference in float64 needs them.
scores_of_a_step = st.lists(st.integers(-20, 20).map(lambda quarter: quarter / 4), min_size=2, max_size=9)
samplings = st.builds(
    Sampling, seed=st.integers(0, 2**63), temperature=st.floats(0.05, 5), top_p=st.floats(0, 1, exclude_min=True)
)


def frequencies(scores: list[float], sampling: Sampling) -> np.ndarray:
    rows = torch.tensor([scores]).expand(DRAWS, -1)
    drawn = choose(rows, sampling, [f"entailment/a premise/{n}" for n in range(DRAWS)], None)
    return np.bincount(drawn.numpy(), minlength=len(scores))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_draws_have_the_probabilities_of_the_softmax(temperature: float) -> None:
    """Gumbel-max over many keys: a chi-square test against softmax(scores / temperature) finds nothing."""
    scores = [1.0, 0.2, -0.5, 1.4, 0.9]
    expected = torch.tensor(scores, dtype=torch.float64).div(temperature).softmax(0).numpy() * DRAWS
    found = frequencies(scores, Sampling(3, temperature, top_p=1.0))
    assert stats.chisquare(found, expected).pvalue > 0.01


def test_draws_within_the_nucleus_have_renormalised_probabilities() -> None:
    """With masses .4 .3 .2 .1 and top_p .8, the last never comes and the others keep their proportions."""
    masses = np.array([0.2, 0.1, 0.4, 0.3])
    found = frequencies(np.log(masses).tolist(), Sampling(4, 1.0, top_p=0.8))
    assert found[1] == 0
    inside = [0, 2, 3]
    assert stats.chisquare(found[inside], masses[inside] / masses[inside].sum() * DRAWS).pvalue > 0.01


@settings(max_examples=150)
@given(scores_of_a_step, samplings, st.text(max_size=5))
def test_a_draw_is_never_outside_the_nucleus(scores: list[float], sampling: Sampling, key: str) -> None:
    """A drawn token is among the likeliest that reach mass top_p first (tokens as likely as the last one included)."""
    token = int(choose(torch.tensor([scores]), sampling, [key], None))
    masses = np.exp((np.array(scores) - max(scores)) / sampling.temperature)
    masses /= masses.sum()
    likelier = masses[masses > masses[token] * (1 + 1e-6)].sum()
    assert likelier < sampling.top_p + 1e-5


@given(scores_of_a_step, st.integers(0, 99), st.text(max_size=5))
def test_a_nucleus_of_one_token_is_the_likeliest(scores: list[float], seed: int, key: str) -> None:
    """top_p below the largest mass leaves only the likeliest token, or those as likely."""
    token = int(choose(torch.tensor([scores]), Sampling(seed, 1.0, top_p=1e-6), [key], None))
    assert scores[token] == max(scores)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(scores_of_a_step.map(lambda row: (row * 5)[:8]), st.text(max_size=4)), min_size=2, max_size=6)
)
def test_a_draw_depends_on_its_own_row_seed_and_key(rows: list[tuple[list[float], str]]) -> None:
    """The same rows in the other order, or one by one after other draws, give the same tokens."""
    sampling = Sampling(7, 1.0, 0.9)
    together = choose(torch.tensor([row for row, _ in rows]), sampling, [key for _, key in rows], None).tolist()
    backwards = choose(
        torch.tensor([row for row, _ in rows[::-1]]), sampling, [key for _, key in rows[::-1]], None
    ).tolist()
    torch.rand(3)
    alone = [int(choose(torch.tensor([row]), sampling, [key], None)) for row, key in rows]
    assert together == backwards[::-1] == alone


def test_gumbel_noise_is_a_function_of_seed_and_key() -> None:
    """Equal for equal (seed, key), whatever torch drew before; different in every entry for another."""
    first = gumbel(1, "a", 50)
    torch.manual_seed(123)
    assert torch.equal(gumbel(1, "a", 50), first)
    assert not (gumbel(2, "a", 50) == first).any()
    assert not (gumbel(1, "b", 50) == first).any()


def test_gumbel_noise_has_the_gumbel_distribution() -> None:
    """A Kolmogorov-Smirnov test against the standard Gumbel distribution finds nothing."""
    assert stats.kstest(gumbel(0, "k", 20_000).numpy(), "gumbel_r").pvalue > 0.01


def test_only_close_calls_are_settled_and_the_settled_scores_decide() -> None:
    """Greedy: a row whose best two lie within CLOSE_CALL is asked for again; the others are argmax as they stand."""
    asked: list[int] = []

    def settle(row: int) -> torch.Tensor:
        asked.append(row)
        return torch.tensor([0.0, 0.0, 9.0])

    rows = torch.tensor(
        [[1.0, 0.5, 0.0], [1.0, 1.0 - CLOSE_CALL / 2, 0.0], [0.0, 3.0, 3.0 - 2 * CLOSE_CALL], [2.0, 2.0, 2.0]]
    )
    assert choose(rows, None, [], settle).tolist() == [0, 2, 1, 2]
    assert asked == [1, 3]


def test_without_settle_the_rows_decide() -> None:
    """Where lone scores are not to be had (bfloat16), the batch's argmax stands."""
    assert choose(torch.tensor([[1.0, 1.0 + CLOSE_CALL / 9]]), None, [], None).tolist() == [1]


def test_a_nucleus_border_is_a_close_call() -> None:
    """Sampled: where the mass before a token is top_p to the last bit, the step is settled; far from it, it is not."""
    asked: Counter[str] = Counter()
    scores = torch.tensor([[0.5, 0.3, 0.2]]).log()

    def ask(name: str, top_p: float) -> None:
        def settle(_row: int) -> torch.Tensor:
            asked[name] += 1
            return scores[0]

        for n in range(40):
            choose(scores, Sampling(0, 1.0, top_p), [str(n)], settle)

    ask("border", 0.8)
    ask("inside", 0.9)
    # At the border only draws that the third token could win are in doubt; elsewhere only ties of the draw itself.
    assert asked["border"] >= 4
    assert asked["inside"] == 0


@settings(max_examples=60)
@given(scores_of_a_step, samplings, st.text(max_size=4), st.randoms(use_true_random=False))
def test_what_is_not_settled_cannot_be_tipped_by_rounding(
    scores: list[float], sampling: Sampling, key: str, chance: object
) -> None:
    """If a draw is not asked for again, moving every score by less than half a CLOSE_CALL leaves it as it is."""
    asked: list[int] = []
    exact = torch.tensor([scores])

    def settle(row: int) -> torch.Tensor:
        asked.append(row)
        return exact[row]

    token = choose(exact, sampling, [key], settle)
    if not asked:
        for _ in range(5):
            moves = [chance.uniform(-0.45, 0.45) * CLOSE_CALL for _ in scores]  # type: ignore[attr-defined]
            assert torch.equal(choose(exact + torch.tensor([moves]), sampling, [key], None), token)
