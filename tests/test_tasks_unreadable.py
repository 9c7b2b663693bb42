"""Evaluation data that cannot be read is refused with its file and line; and the bundled pairs can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_tasks_sts import encode, pairs, sick, stsb, write_year, year

from stages.tasks import own, sts
from store.problem import Problem


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """The file, the folder, or the data that was not given."""
    write_year(tmp_path, "sts13", year())
    (tmp_path / "STS/STS13-en-test/STS.gs.OnWN.txt").unlink()
    for name, data, words in [
        ("sts13", tmp_path, r"STS\.gs\.OnWN\.txt"),
        ("sts14", tmp_path, r"STS\.input\.deft-forum\.txt"),
        ("stsb", tmp_path, r"sts-test\.csv"),
        ("sickr", tmp_path, r"SICK_test_annotated\.txt"),
        ("sts13", tmp_path / "nowhere", "nowhere does not exist"),
        ("sts13", None, "needs data"),
    ]:
        with pytest.raises(Problem, match=words) as refused:
            sts.load(name, data)
        assert "data=DIR" in refused.value.remedy


def test_a_year_has_only_a_test_split(tmp_path: Path) -> None:
    """Its pairs are never a dev set by accident."""
    with pytest.raises(Problem, match="no dev split"):
        sts.load("sts13", write_year(tmp_path, "sts13", year()), "dev")


@pytest.mark.parametrize("drop", ["STS.gs.headlines.txt", "STS.input.headlines.txt"])
def test_files_of_unequal_length_are_refused(tmp_path: Path, drop: str) -> None:
    """A pair without a line for its score (or the other way round) would shift all that follow."""
    path = write_year(tmp_path, "sts13", year()) / "STS/STS13-en-test" / drop
    count = len(path.read_text().splitlines())
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(Problem, match="headlines") as refused:
        sts.load("sts13", tmp_path)
    assert str(count) in refused.value.what
    assert str(count - 1) in refused.value.what


@pytest.mark.parametrize("value", ["four", "3,5", "nan", "inf", "-", "1_0", "3.5 points"])
def test_what_is_no_number_names_file_and_line(tmp_path: Path, value: str) -> None:
    """In every layout; a line number counts from 1, the header included."""
    rows = pairs(9, 2)
    rows[4] = (*rows[4][:2], value)
    write_year(tmp_path, "sts13", {**year(), "OnWN": rows})
    for file, content in [("STS/STSBenchmark/sts-dev.csv", stsb(rows)), ("SICK/SICK_trial.txt", sick(rows))]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    path = tmp_path / "own.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    loads: list[tuple[str, int, Callable[[], object]]] = [
        ("STS.gs.OnWN.txt", 5, lambda: sts.load("sts13", tmp_path)),
        ("sts-dev.csv", 5, lambda: sts.load("stsb", tmp_path, "dev")),
        ("SICK_trial.txt", 6, lambda: sts.load("sickr", tmp_path, "dev")),
        ("own.tsv", 5, lambda: own.load(path)),
    ]
    for name, line, load in loads:
        with pytest.raises(Problem) as refused:
            load()
        assert f"{name}, line {line}:" in refused.value.what
        assert repr(value) in refused.value.what


def test_a_line_with_too_few_fields_is_named(tmp_path: Path) -> None:
    """File, line, and how many there are."""
    path = tmp_path / "own.tsv"
    path.write_text("a\tb\t1\na b\t2\n")
    with pytest.raises(Problem, match=r"own\.tsv, line 2: 2 fields, not 3"):
        own.load(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Latin-1 is not guessed at."""
    path = tmp_path / "own.tsv"
    path.write_bytes("Fluß\tCafé\t1\n".encode("latin-1"))
    with pytest.raises(Problem, match=r"own\.tsv, line 1 is not UTF-8"):
        own.load(path)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """A path that is there but is no file."""
    with pytest.raises(Problem, match=tmp_path.name):
        own.load(tmp_path)


@pytest.mark.parametrize("rows", [[], pairs(3, 0), [("a", "b", "1"), ("c", "d", "1")] * 4])
def test_pairs_that_have_no_correlation_are_refused(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    """None, too few, or all with the same score: refused when the file is read, before anything is encoded."""
    path = tmp_path / "own.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    with pytest.raises(Problem, match=r"own\.tsv has \d pairs"):
        own.load(path)


def test_a_subset_without_a_correlation_is_left_out_of_the_means(tmp_path: Path) -> None:
    """Constant gold, or a constant prediction, in one subset: the headline and the other subsets stand."""
    content = year()
    for rows in (
        [("a", f"b{n}", "2.0") for n in range(6)],  # one score for all
        [("same", "same", f"{n}") for n in range(6)],  # one cosine for all
        [("a", "b", "1"), ("c", "d", "2")],  # too few
    ):
        content["FNWN"] = rows
        figures = sts.evaluate(sts.load("sts13", write_year(tmp_path, "sts13", content)), encode)
        assert [figure.subset for figure in figures] == ["", "", "", "headlines", "OnWN"]
        assert figures[1].value == pytest.approx((figures[3].value + figures[4].value) / 2)


def test_the_bundled_pairs_have_two_splits_that_share_no_sentence() -> None:
    """At least 200 pairs each, graded in half steps from 0 to 5, every sentence once in the right place."""
    sentences = {}
    for split in ("dev", "test"):
        task = sts.load("mini", None, split)
        assert task.name == "mini"
        gold = [score for part in task.subsets for score in part.gold]
        assert len(gold) >= 200
        assert {score * 2 for score in gold} <= set(range(11))
        assert min(gold) == 0.0
        assert max(gold) == 5.0
        pairs_of = [pair for part in task.subsets for pair in zip(part.first, part.second, strict=True)]
        assert all(one.strip() == one and two.strip() == two and one and two for one, two in pairs_of)
        assert len({frozenset(pair) for pair in pairs_of}) == len(pairs_of)
        sentences[split] = {" ".join(text.casefold().split()) for text in task.texts}
        assert sts.evaluate(task, encode)[0].n == len(gold)
    assert not sentences["dev"] & sentences["test"]


def test_the_bundled_splits_have_different_digests() -> None:
    """Dev and test are two tasks."""
    assert sts.load("mini", None, "dev").digest != sts.load("mini", None, "test").digest
