"""The p values of a family of tests, against a slow loop over the family."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks.metrics import holm

families = st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.02, 0.5]), max_size=12)


def rejected(chances: list[float], level: float) -> set[int]:
    """Holm's own words: from the smallest p on, as long as it is at most the level over the number of tests left."""
    left, found = list(range(len(chances))), set[int]()
    while left:
        smallest = min(left, key=lambda place: chances[place])
        if chances[smallest] * len(left) > level:
            break
        left.remove(smallest)
        found.add(smallest)
    return found


@given(families, st.floats(0, 0.999))
def test_what_is_at_most_a_level_is_what_holm_rejects_there(chances: list[float], level: float) -> None:
    adjusted = holm(chances)
    assert {place for place, p in enumerate(adjusted) if p <= level} == rejected(chances, level)


@given(families)
def test_it_depends_on_no_order_and_makes_nothing_surer(chances: list[float]) -> None:
    adjusted = holm(chances)
    order = np.random.default_rng(len(chances)).permutation(len(chances))
    assert holm([chances[place] for place in order]) == [adjusted[place] for place in order]
    assert all(before <= after <= 1 for before, after in zip(chances, adjusted, strict=True))


def test_one_test_is_left_as_it_is() -> None:
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
