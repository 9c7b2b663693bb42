"""Token ids laid end to end read as the list of lists that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.models.training.token_rows import AT_ONCE, TokenRows

VOCABULARY = 40
ROWS = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=6), max_size=12)


@given(ROWS, ROWS)
def test_rows_are_read_as_they_were_put_in(first: list[list[int]], second: list[list[int]]) -> None:
    rows = TokenRows()
    rows.extend(first)
    rows.extend(second)
    expected = first + second
    assert len(rows) == len(expected)
    assert [rows[place] for place in range(len(rows))] == expected
    assert [rows[place - len(rows)] for place in range(len(rows))] == expected
    with pytest.raises(IndexError):
        rows[len(rows)]


@given(ROWS, st.permutations(range(VOCABULARY)))
def test_ids_are_marked_and_renumbered_where_they_occur(given: list[list[int]], number: list[int]) -> None:
    rows, seen = TokenRows(), np.zeros(VOCABULARY, dtype=bool)
    rows.extend(given)
    rows.mark(seen)
    assert set(np.flatnonzero(seen)) == {word for row in given for word in row}
    rows.renumber(np.array(number))
    assert list(rows) == [[number[word] for word in row] for row in given]


def test_all_ids_are_renumbered_where_they_are_looked_at_in_parts() -> None:
    rows = TokenRows()
    rows.extend([[n % VOCABULARY] for n in range(2 * AT_ONCE + 3)])
    rows.renumber(np.arange(VOCABULARY)[::-1].copy())
    assert [row[0] for row in rows] == [VOCABULARY - 1 - n % VOCABULARY for n in range(2 * AT_ONCE + 3)]
