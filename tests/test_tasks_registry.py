"""The list of tasks: names, groups, splits, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_tasks_sts import pairs, sick, stsb, write_year, year

from stages.tasks import registry, sts
from stages.tasks.files import Absent, Unreadable


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """STS13, STS-B test and SICK-R dev, and nothing else."""
    write_year(tmp_path, "sts13", year())
    (tmp_path / "STS" / "STSBenchmark").mkdir()
    (tmp_path / "STS" / "STSBenchmark" / "sts-test.csv").write_text(stsb(pairs(9, 0)))
    (tmp_path / "SICK").mkdir()
    (tmp_path / "SICK" / "SICK_trial.txt").write_text(sick(pairs(9, 1)))
    return tmp_path


def test_a_name_is_of_one_kind_only() -> None:
    """Names and groups never mean two things."""
    every = [name for kind in registry.KINDS for name in kind.NAMES]
    assert len(set(every)) == len(every)
    assert not set(registry.GROUPS) & set(every)
    assert {name for tasks in registry.GROUPS.values() for name in tasks} <= set(every)
    assert set(registry.BUNDLED) <= set(every)


def test_a_list_names_tasks_and_groups_each_once(data: Path) -> None:
    assert [task.name for task in registry.chosen("stsb, mini,sts13,stsb", data)] == ["stsb", "mini", "sts13"]
    with pytest.raises(Absent, match="STS12"):
        registry.chosen("sts13,sts", data)
    for wrong in ("", "nonsense", "sts13,", "STSB"):
        with pytest.raises(Unreadable, match="unknown task"):
            registry.chosen(wrong, data)


def test_what_a_folder_holds_depends_on_the_split(data: Path) -> None:
    """Only tasks that have the split; the bundled set is in no folder."""
    there, absent = registry.found(data)
    assert [task.name for task in there] == ["sts13", "stsb"]
    assert {*absent, "sts13", "stsb"} == set(registry.names()) - set(registry.BUNDLED)
    there, _ = registry.found(data, "dev")
    assert [task.name for task in there] == ["sickr"]
    assert there[0].digest == registry.load("sickr", data, "dev").digest


def test_a_damaged_file_is_never_taken_for_an_absent_task(data: Path) -> None:
    (data / "STS" / "STSBenchmark" / "sts-test.csv").write_text("main\tcaptions\n")
    with pytest.raises(Unreadable, match=r"sts-test\.csv, line 1"):
        registry.found(data)


@pytest.mark.parametrize("name", ["mini", "stsb"])
def test_a_split_that_no_task_has_is_refused(data: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="--split 'train' is not known"):
        registry.load(name, data, "train")


def test_a_group_has_an_average_only_as_a_whole_and_on_test_data() -> None:
    heads = {name: float(place) for place, name in enumerate(sts.GROUP)}
    assert registry.averages({**heads, "mini": 99.0}) == {"sts": 3.0}
    assert registry.averages(heads, "dev") == {}
    assert registry.averages({name: heads[name] for name in sts.GROUP[1:]}) == {}
