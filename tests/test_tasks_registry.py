"""The list of tasks: names, groups, splits, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_tasks_retrieval import write
from test_tasks_sts import pairs, sick, stsb, write_year, year

from stages.tasks import registry, sts
from stages.tasks.files import Absent
from store.problem import Problem


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
        with pytest.raises(Problem, match="unknown task"):
            registry.chosen(wrong, data)


def test_what_a_folder_holds_depends_on_the_split(data: Path) -> None:
    """Only tasks that have the split; the bundled set is in no folder."""
    there, absent = registry.held(data)
    assert [task.name for task in there] == ["sts13", "stsb"]
    assert {*absent, "sts13", "stsb"} == set(registry.names()) - set(registry.BUNDLED)
    there, _ = registry.held(data, "dev")
    assert [task.name for task in there] == ["sickr"]
    assert there[0].digest == registry.load("sickr", data, "dev").digest


@pytest.fixture
def named(data: Path) -> Path:
    """Two BEIR folders and a pair of aligned files beside the tasks of `data`."""
    for name in ("NFCorpus", "beir/scifact"):
        write(data / name, [("a", "", "x"), ("b", "", "y")], {"q": "x"}, {"q": {"a": 1}})
    (data / "beir" / "scifact" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq\tgone\t1\nq\tb\t1\n")
    for language in ("aa", "bb"):
        (data / f"pairs.aa-bb.{language}").write_text("one\ntwo\n")
    return data


def test_tasks_called_what_their_files_are_called_are_found_and_chosen(named: Path) -> None:
    """One by one, by the name of all there are, and by what the folder holds."""
    for listed, wanted in [
        ("retrieval", ["nfcorpus", "scifact"]),
        ("bitext,stsb", ["pairs.aa-bb", "stsb"]),
        ("scifact, retrieval", ["scifact", "nfcorpus"]),
    ]:
        assert [task.name for task in registry.chosen(listed, named)] == wanted
    there, _ = registry.held(named)
    assert [task.name for task in there] == ["sts13", "stsb", "nfcorpus", "scifact", "pairs.aa-bb"]
    there, absent = registry.held(named, "dev")
    assert [task.name for task in there] == ["sickr", "scifact"]
    assert {"nfcorpus", "pairs.aa-bb"} <= set(absent)
    assert registry.notes(there) == ["scifact: the corpus lacks 1 of the relevant documents; they count as not found"]
    assert registry.averages({"nfcorpus": 1.0, "scifact": 2.0}) == {}
    with pytest.raises(Problem, match="unknown task 'arguana'") as refused:
        registry.chosen("arguana", named)
    assert {"retrieval", "bitext", "scifact", "pairs.aa-bb"} <= set(refused.value.remedy.replace(",", "").split())


@pytest.mark.parametrize("group", ["retrieval", "bitext"])
def test_a_group_of_which_nothing_is_there_is_refused(data: Path, group: str) -> None:
    for folder, words in [(None, "need data"), (data, f"no task of {group}"), (data / "nowhere", "does not exist")]:
        with pytest.raises(Problem, match=words):
            registry.chosen(group, folder)


@pytest.mark.parametrize("name", ["STSB", "mini", "sts", "retrieval"])
def test_a_folder_with_the_name_of_another_task_is_refused(named: Path, name: str) -> None:
    """It would be measured as something else, or never."""
    (named / "NFCorpus").rename(named / name)
    for choose in (lambda: registry.held(named), lambda: registry.chosen("retrieval", named)):
        with pytest.raises(Problem, match=f"have the name {name.lower()}, which is taken"):
            choose()


def test_a_damaged_file_is_never_taken_for_an_absent_task(data: Path) -> None:
    (data / "STS" / "STSBenchmark" / "sts-test.csv").write_text("main\tcaptions\n")
    with pytest.raises(Problem, match=r"sts-test\.csv, line 1"):
        registry.held(data)


@pytest.mark.parametrize("lost", ["NFCorpus/corpus.jsonl", "beir/scifact/queries.jsonl", "pairs.aa-bb.aa"])
def test_a_task_of_which_a_file_is_lost_is_never_taken_for_an_absent_one(named: Path, lost: str) -> None:
    (named / lost).unlink()
    with pytest.raises(Problem, match=f"there is no .*{lost}"):
        registry.held(named)


@pytest.mark.parametrize("name", ["mini", "stsb"])
def test_a_split_that_no_task_has_is_refused(data: Path, name: str) -> None:
    with pytest.raises(Problem, match=r"^split 'train' is not known"):
        registry.load(name, data, "train")


def test_a_group_has_an_average_only_as_a_whole_and_on_test_data() -> None:
    heads = {name: float(place) for place, name in enumerate(sts.GROUP)}
    assert registry.averages({**heads, "mini": 99.0}) == {"sts": 3.0}
    assert registry.averages(heads, "dev") == {}
    assert registry.averages({name: heads[name] for name in sts.GROUP[1:]}) == {}
