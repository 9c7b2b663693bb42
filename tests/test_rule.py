"""The rule in SQL and on arrays: one expression, held together over a grid of scores and thresholds, missing ones too."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import CURATE, Made, scored

from stages.config import CurateConfig
from store import rule
from store.database import Store
from store.rule import LEVELS, Sql, Thresholds

# Scores that meet each other, the thresholds and their sums, to the last decimal; and none.
SCORES = (None, 0.0, 0.5, 0.999, 1.0, 1.3, 2.0, 2.3, 2.999, 3.0, 3.3, 3.301, 4.0, 5.0)
BOUNDS = {
    "alpha": (0.0, 2.3, 3.0, 5.0),
    "beta": (0.0, 1.0, 3.0, 5.0),
    "gamma": (-5.0, 0.0, 1.0, 2.3),
    "min_contradiction": (0.0, 1.0, 3.0),
}
PAIRS = list(product(SCORES, repeat=2))


@pytest.fixture
def decided() -> Store:
    """A store with a pair of every two scores, and a rule of every combination of thresholds."""
    store = Store.memory()
    _, score, _ = scored(store, [Made(f"premise {place}", a=a, b=b) for place, (a, b) in enumerate(PAIRS)])
    with store.writing() as connection:
        connection.execute(
            "INSERT INTO pairs (run, premise, a, b) SELECT run, premise, max(value) FILTER (WHERE role = 'entailment'),"
            " max(value) FILTER (WHERE role = 'contradiction') FROM scores WHERE run = ? GROUP BY premise",
            [score.id],
        )
        for place, (*values, swap) in enumerate(product(*BOUNDS.values(), (0, 1))):
            connection.execute(
                "INSERT INTO runs (id, stage, version, parent, config, environment, started)"
                " VALUES (?, 'curate', 1, ?, '{}', '{}', 't')",
                [f"c{place:04}", score.id],
            )
            names = ", ".join(["run", "score", *BOUNDS, "swap"])
            connection.execute(
                f"INSERT INTO rules ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", [f"c{place:04}", score.id, *values, swap]
            )
    return store


def test_every_level_is_in_the_grid() -> None:
    assert list(BOUNDS) == [level.threshold for level in LEVELS]


def test_sql_and_arrays_give_one_verdict_and_one_reason(decided: Store) -> None:
    a, b = (np.array([math.nan if pair[side] is None else pair[side] for pair in PAIRS]) for side in (0, 1))
    for place, (*values, swap) in enumerate(product(*BOUNDS.values(), (False, True))):
        bounds = Thresholds.of(dict(zip(BOUNDS, values, strict=True)), swap)
        turned = rule.is_reversed(a, b) & swap
        read = np.where(turned, b, a), np.where(turned, a, b)
        reasons = np.full(len(PAIRS), "", object)
        for level in reversed(LEVELS):
            reasons[~level.passes(*read, bounds[level.threshold])] = level.reason
        reasons[np.isnan(a) | np.isnan(b)] = rule.UNSCORED
        rows = decided.rows("SELECT reason, swapped FROM ruled WHERE run = ? ORDER BY premise", [f"c{place:04}"])
        assert [reason or None for reason in reasons] == [row[0] for row in rows], bounds
        assert turned.tolist() == [bool(row[1]) for row in rows]
        assert (rule.keeps(*read, bounds) == (reasons == "")).all()


def test_two_numbers_are_judged_as_arrays_are() -> None:
    for values in product(*BOUNDS.values()):
        bounds = Thresholds(values)
        for a, b in product(SCORES[1:], repeat=2):
            assert rule.keeps(a, b, bounds) is bool(rule.keeps(np.array([a]), np.array([b]), bounds)[0])


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.threshold)
def test_a_level_misses_by_its_shortfall(level: rule.Level) -> None:
    """As a number, as SQL, and as the comparison says."""
    store = Store.memory()
    for a, b, bound in product(SCORES[1:], SCORES[1:], BOUNDS[level.threshold]):
        short = level.shortfall(a, b, bound)
        written = level.shortfall(Sql(":a"), Sql(":b"), Sql(":bound"))
        assert store.one(f"SELECT {written}", {"a": a, "b": b, "bound": bound}) == (short,)
        assert level.passes(a, b, bound) is (short <= level.allowance)


@given(st.builds(Thresholds, st.tuples(*(st.floats(*level.reach) for level in LEVELS))))
def test_the_kept_region_encloses_what_is_kept(bounds: Thresholds) -> None:
    """By the sum of turns about each point of a grid that is not on the outline itself."""
    corners = rule.kept_region(bounds)
    for a, b in product(np.linspace(0.013, 4.987, 12), repeat=2):
        near = min(abs(level.shortfall(a, b, bounds[level.threshold])) for level in LEVELS)
        if near < 1e-6:
            continue
        signs = {
            (there[0] - here[0]) * (b - here[1]) - (there[1] - here[1]) * (a - here[0]) > 0
            for here, there in zip(corners, corners[1:] + corners[:1], strict=True)
            if math.dist(here, there) > 1e-9
        }
        assert (signs == {True}) is bool(rule.keeps(a, b, bounds))


def test_thresholds_that_are_left_out_ask_nothing() -> None:
    """Those of eq. 4 may not be; nor does what is no threshold harm."""
    assert rule.complete({"alpha": 3, "beta": 2, "gamma": 1, "swap_reversed": True}) == {
        "alpha": 3.0,
        "beta": 2.0,
        "gamma": 1.0,
        "min_contradiction": 0.0,
    }
    bounds = Thresholds.of({"alpha": 3, "beta": 2, "gamma": 1, "min_contradiction": None})
    assert bounds == Thresholds((3.0, 2.0, 1.0, 0.0))
    assert bounds.moved("beta", 4.0)["beta"] == 4.0
    with pytest.raises(KeyError, match="gamma"):
        rule.complete({"alpha": 3, "beta": 2})
    for level in LEVELS:
        if level.neutral is not None:
            assert all(level.passes(a, b, level.neutral) for a, b in product(SCORES[1:], repeat=2))


def test_every_threshold_is_a_setting_of_the_stage() -> None:
    assert {level.threshold for level in LEVELS} <= {field.name for field in fields(CurateConfig)}
    assert rule.keeps(4.0, 1.0, Thresholds.of(vars(CURATE)))
