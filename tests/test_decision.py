"""One verdict a claim, from rows of models: what is compared, what counts once, and what gives no verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multicsr.paper import claims
from multicsr.paper.claims import Claim, NoVerdict, Said
from multicsr.paper.lab.twins import Content
from multicsr.paper.trained.decision import decide
from multicsr.paper.trained.rows import Row, RowFigures
from multicsr.paper.trained.table import Shape, table
from multicsr_cli.commands import reproduce
from stages.tasks import hierarchy
from stages.tasks.compare import Mean

TASKS = ("mini", "stsb")
CURATION = Claim("Curation", "curated", True, False)
MASK = Claim("The mask", "mask", True, False)
ITEMS = {"mini": 40, "stsb": 60}
SEEDS = 5


def measured(
    varied: dict[str, Any], gain: float = 0.0, seeds: int = SEEDS, content: str = "", **told: Any
) -> RowFigures:
    """A row that gets 50 and `gain` % of the items right, give or take the chance of its seeds and of the items."""
    name = content or str(sorted(varied.items()))
    right: dict[str, list[np.ndarray]] = {task: [] for task in TASKS}
    for task in TASKS:
        for seed in range(seeds):
            draw = np.random.default_rng([*name.encode(), *task.encode(), seed])
            right[task].append(0.5 + gain / 100 + draw.normal(0, 0.01, ITEMS[task]) + draw.normal(0, 0.002))

    @cache
    def drawn(task: str) -> np.ndarray:
        return np.stack([hierarchy.resampled(Mean("accuracy", one), task) for one in right[task]], axis=1)

    figures = {task: [100 * float(one.mean()) for one in right[task]] for task in TASKS}
    contents = tuple(Content(f"{name} {seed}") for seed in range(seeds))
    row = RowFigures(Row(name, (), varied), 900, None, figures, [], {}, contents=contents, drawn=drawn)
    return replace(row, **told)


def grid(gain: Callable[[float, bool, bool], float], **told: Any) -> list[RowFigures]:
    return [
        measured({"omega": omega, "curated": curated, "mask": mask}, gain(omega, curated, mask), **told)
        for omega in (0.0, 0.3)
        for curated in (False, True)
        for mask in (False, True)
    ]


def why(found: Said) -> str:
    assert isinstance(found, NoVerdict)
    return found.why


def effect(found: Said) -> float:
    assert isinstance(found, claims.Tested)
    return found.effect.effect


def test_the_effect_is_the_mean_over_matched_settings_and_tasks() -> None:
    """A slow loop over settings, tasks and seeds; a row without a partner takes no part."""
    rows = grid(lambda omega, curated, mask: 2 * curated + mask * omega)
    differences: dict[str, list[float]] = {task: [] for task in TASKS}
    for one in rows:
        for other in rows:
            alike = {**one.row.varied, "curated": None} == {**other.row.varied, "curated": None}
            if alike and one.row.varied["curated"] and not other.row.varied["curated"]:
                for task in TASKS:
                    differences[task] += np.subtract(one.figures[task], other.figures[task]).tolist()
    found = decide(CURATION, [*rows, measured({}, 40), measured({"curated": True, "omega": 9})], TASKS)
    assert isinstance(found, claims.Tested)
    assert found.effect.effect == pytest.approx(np.mean([np.mean(differences[task]) for task in TASKS]))
    assert dict(found.parts) == pytest.approx({task: np.mean(differences[task]) for task in TASKS})
    assert found.over == "5 seeds, 4 matched settings, the items of 2 tasks"
    assert found.effect.low < 2 < found.effect.high
    assert found.effect.p < 0.01


def test_seeds_are_drawn_for_all_settings_together() -> None:
    """Settings are no further seeds: as many of them as one likes, all alike, make nothing surer."""
    one = [
        measured({"curated": curated, "mask": False}, 2 * curated, content=f"{curated}") for curated in (False, True)
    ]
    many = [
        replace(
            row,
            row=replace(row.row, varied={**row.row.varied, "mask": place}),
            contents=(Content(f"{row.row.name} {place}"),),
        )
        for place in range(6)
        for row in one
    ]
    first, second = decide(CURATION, one, TASKS), decide(CURATION, many, TASKS)
    assert isinstance(first, claims.Tested)
    assert isinstance(second, claims.Tested)
    assert second.effect == pytest.approx(first.effect)
    assert "6 matched settings" in second.over


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(8)), st.integers(0, 7))
def test_a_twin_under_another_name_counts_once_in_any_order(order: list[int], twin: int) -> None:
    """A mask that removes nothing trains twice alike, and so do equal triplets by another rule: the rows of ω 0 are one."""
    rows = grid(lambda omega, curated, mask: 2 * curated + omega)
    for row in rows:
        if row.row.varied["omega"] == 0.0:
            of = next(other for other in rows if other.row.varied == {**row.row.varied, "mask": False})
            row.contents, row.figures, row.drawn = of.contents, of.figures, of.drawn
    found = decide(CURATION, rows, TASKS)
    assert isinstance(found, claims.Tested)
    assert "3 matched settings" in found.over
    again = replace(rows[twin], runs=["another name"])
    assert decide(CURATION, [*(rows[place] for place in order), again], TASKS) == found


def test_as_many_seeds_are_usual_as_a_verdict_takes() -> None:
    assert signature(reproduce.command).parameters["seeds"].default == hierarchy.FEWEST_SEEDS


def test_below_five_seeds_nothing_is_told_but_the_differences() -> None:
    found = decide(CURATION, grid(lambda omega, curated, mask: 9 * curated, seeds=4), TASKS)
    assert why(found) == "not enough trainings to tell: 4 seeds, and it takes 5"
    assert dict(found.parts) == pytest.approx({"mini": 9, "stsb": 9}, abs=0.5)  # type: ignore[union-attr]


def test_a_mask_that_removed_nothing_gives_no_verdict_on_the_mask() -> None:
    rows = [
        measured({"mask": mask, "place": place}, content=f"corpus {place}", masked=0.0 if mask else None)
        for place in range(2)
        for mask in (False, True)
    ]
    assert why(decide(MASK, rows, TASKS)) == "no verdict: the mask removed nothing"
    removed = measured({"mask": True, "place": 1}, 3, content="corpus 1", masked=0.02)
    removed.contents = tuple(content._replace(mask="σ 0.3") for content in removed.contents)
    found = decide(MASK, [*rows[:3], removed], TASKS)
    assert isinstance(found, claims.Tested)
    assert "1 matched setting," in found.over
    assert found.remark == "1 setting left out: the mask removed nothing."


def test_beside_another_difference_an_idle_mask_is_told() -> None:
    """A method may be better whatever its mask did; but then it is without stage 3."""
    rows = [measured({"method": "ours"}, 3, masked=0.0), measured({"method": "SynCSE"})]
    found = decide(Claim("Ours", "method", "ours", "SynCSE"), rows, TASKS)
    assert effect(found) == pytest.approx(3, abs=0.3)
    assert "without stage 3" in found.remark  # type: ignore[union-attr]


def test_few_triplets_give_no_verdict() -> None:
    rows = [measured({"curated": True}, 3, triplets=63), measured({"curated": False})]
    assert why(decide(CURATION, rows, TASKS)) == "no verdict: there are fewer than 64 triplets"
    none = measured({"curated": True}, triplets=0, figures={task: [] for task in TASKS}, contents=())
    assert "fewer than 64" in why(decide(CURATION, [none, rows[1]], TASKS))
    rows[0].triplets = 64
    assert effect(decide(CURATION, rows, TASKS)) > 2


def test_a_baseline_below_the_base_as_it_is_decides_nothing() -> None:
    rows = [measured({"curated": True}, 3), measured({"curated": False}, base={"mini": 51.0, "stsb": 52.0})]
    said = why(decide(CURATION, rows, TASKS))
    assert said.startswith("no verdict: what it is compared with (")
    assert "is below the base as it is (51.50)" in said
    rows[1].base = {"mini": 20.0, "stsb": 52.0}
    assert effect(decide(CURATION, rows, TASKS)) > 2


def test_rows_that_a_claim_cannot_tell_apart_are_one_arm() -> None:
    """Two settings that are not extreme against one that is: the mean of each arm."""
    rows = [measured({"extreme": False}, gain, content=f"{gain}") for gain in (1, 5)]
    worse = measured({"extreme": True}, 0, content="worse")
    found = decide(Claim("Moderation", "extreme", False, True), [*rows, worse], TASKS)
    assert effect(found) == pytest.approx(3, abs=0.3)
    assert "1 matched setting" in found.over  # type: ignore[union-attr]


def test_a_claim_speaks_of_some_rows_only_and_against_its_control() -> None:
    """Curation against as many triplets at random, where a copy was made."""
    rows = [
        measured({"triplets": triplets, "copies": copies}, gain * bool(copies))
        for copies in (0, 8)
        for triplets, gain in (("all", 0), ("random", 1), ("curated", 3))
    ]
    claim = Claim("It", "triplets", "curated", "random", among=lambda varied: bool(varied["copies"]))
    found = decide(claim, rows, TASKS)
    assert effect(found) == pytest.approx(2, abs=0.3)


def test_without_partners_nothing_is_claimed() -> None:
    assert (
        why(decide(CURATION, [measured({"curated": True})], TASKS)) == "no verdict: no two settings differ in it alone"
    )


def test_a_table_marks_what_gives_no_verdict() -> None:
    rows = [
        measured({}, content="good"),
        measured({}, content="few", triplets=9),
        measured({}, content="idle", masked=0.0, base={"mini": 90.0}),
    ]
    made = table(rows, Shape("t", TASKS, None, False, ""), SEEDS)
    assert [cells[0] for cells in made.rows] == ["good", "few †", "idle ‡ §"]
    for words in ("†: fewer than 64", "‡: the mask removed nothing", "§: below the base as it is"):
        assert words in made.caption
    assert "†" not in table(rows[:1], Shape("t", TASKS, None, False, ""), SEEDS).caption


@pytest.mark.parametrize(("tasks", "shown"), [(("mini", "stsb"), False), (("stsb dev", "stsb"), True)])
def test_a_published_figure_stands_beside_ours_of_the_same_task_and_split(tasks: tuple[str, ...], shown: bool) -> None:
    row = measured({})
    row.row = replace(row.row, published={"stsb dev": 84.55})
    made = table([row], Shape("t", tasks, "stsb dev", False, ""), SEEDS)
    assert ("paper: stsb dev" in made.columns) == shown
    assert ("84.55" in made.rows[0]) == shown


def test_an_average_is_held_against_an_average_of_the_same_tasks() -> None:
    from stages.tasks import sts

    row = measured({})
    row.row = replace(row.row, published={"average": 80.93})
    for tasks, shown in ((sts.GROUP, True), (sts.GROUP[:6], False)):
        made = table([row], Shape("t", tasks, "average", False, ""), SEEDS)
        assert ("paper: average" in made.columns) == ("80.93" in made.rows[0]) == shown
