"""Retrieval data that cannot be read is refused with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_tasks_retrieval import drawn, encode, write

from stages.tasks import retrieval
from stages.tasks.files import Absent
from store.problem import Problem

HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole folder: two documents, two queries, three judgements."""
    corpus = [("a", "", "x"), ("b", "Title", "y")]
    return write(tmp_path / "toy", corpus, {"p": "x", "q": "y"}, {"p": {"a": 1, "b": 0}, "q": {"b": 2}})


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_file_that_is_not_there_is_named(folder: Path, name: str) -> None:
    """The folder is still found: it is damaged, not absent."""
    (folder / name).unlink()
    assert retrieval.names_in(folder.parent) == ("toy",)
    with pytest.raises(Problem, match=f"there is no .*{name}") as refused:
        retrieval.load("toy", folder.parent)
    assert not isinstance(refused.value, Absent)


@pytest.mark.parametrize("split", ["test", "dev"])
def test_a_split_that_is_not_there_is_absent(folder: Path, split: str) -> None:
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(Absent, match=rf"there is no .*qrels/{split}\.tsv"):
        retrieval.load("toy", folder.parent, split)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"_id": "c", "title": "T", "te', "no JSON object"),  # cut off
        ("", "no JSON object"),
        ('["_id", "text"]', "no JSON object"),
        ("NaN", "no JSON object"),
        ('{"title": "T", "text": "z"}', "there is no _id"),
        ('{"_id": 7, "text": "z"}', "_id is 7, not a string"),
        ('{"_id": "c", "title": "T"}', "there is no text"),
        ('{"_id": "c", "text": null}', "text is None, not a string"),
        (r'{"_id": "c", "text": "\ud83d"}', "text holds half a character"),
    ],
)
def test_a_line_that_is_no_document_or_query_is_named(folder: Path, name: str, line: str, words: str) -> None:
    with (folder / name).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(Problem, match=words) as refused:
        retrieval.load("toy", folder)
    assert f"{name}, line 3:" in refused.value.what


@pytest.mark.parametrize(("name", "identity"), [("corpus.jsonl", "a"), ("queries.jsonl", "p")])
def test_an_id_that_stands_twice_is_named_with_both_lines(folder: Path, name: str, identity: str) -> None:
    with (folder / name).open("a") as file:
        file.write(f'{{"_id": "{identity}", "text": "other"}}\n')
    with pytest.raises(Problem, match=f"line 3: the _id '{identity}' stands on line 1 already"):
        retrieval.load("toy", folder)


def test_a_title_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id": "a", "title": ["T"], "text": "z"}\n')
    with pytest.raises(Problem, match=r"corpus\.jsonl, line 1: title is \['T'\], not a string"):
        retrieval.load("toy", folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + "p\ta\n", r"line 2: 2 fields, not 3"),
        (HEADER + "p\ta\t1\np\t0\tb\t1\n", r"line 3: 4 fields, not 3"),
        (HEADER + "p\ta\t1\n\n", r"line 3: 1 fields, not 3"),
        (HEADER + "p a 1\n", r"line 2: 1 fields, not 3"),
        (HEADER + "p\ta\tone\n", r"line 2: the relevance 'one' is no integer"),
        (HEADER + "p\ta\t1.0\n", r"line 2: the relevance '1.0' is no integer"),
        (HEADER + "p\ta\t1_0\n", r"line 2: the relevance '1_0' is no integer"),
        (HEADER + "p\ta\t\n", r"line 2: the relevance '' is no integer"),
        (HEADER + "p\ta\t1\nz\ta\t1\n", r"line 3: the query 'z' is not in .*queries\.jsonl"),
        (HEADER + "p\ta\t1\nq\ta\t1\np\ta\t0\n", r"line 4: the document 'a' is judged twice for the query 'p'"),
        ("p\ta\t1\nq\ta\t1\n", r"line 1: no header"),
        (HEADER, r"holds no judgements"),
        ("", r"holds no judgements"),
        (HEADER + "p\tz\t1\n", r"none of its documents is in .*corpus\.jsonl"),
    ],
)
def test_judgements_that_are_none_are_named(folder: Path, content: str, words: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(content)
    with pytest.raises(Problem, match=rf"test\.tsv.*{words}"):
        retrieval.load("toy", folder)


def test_an_empty_corpus_and_another_encoding_are_refused(folder: Path) -> None:
    for content, words in [
        (b"", "is empty"),
        ('{"_id": "a", "text": "z"}\n{"_id": "b", "text": "Fluß"}\n'.encode("latin-1"), "line 2 is not UTF-8"),
    ]:
        (folder / "corpus.jsonl").write_bytes(content)
        with pytest.raises(Problem, match=rf"corpus\.jsonl,? {words}"):
            retrieval.load("toy", folder)


@pytest.mark.parametrize("change", ["shorter", "other"])
def test_a_corpus_that_changes_between_its_two_readings_is_refused(tmp_path: Path, change: str) -> None:
    """A figure would be that of other data than its digest names."""
    folder = write(tmp_path / "toy", *drawn(30, 3, 5, 0))
    task = retrieval.load("toy", folder)
    lines = (folder / "corpus.jsonl").read_text().splitlines(keepends=True)
    changed = lines[:-1] if change == "shorter" else [*lines[:-1], '{"_id": "new", "text": "z"}\n']
    (folder / "corpus.jsonl").write_text("".join(changed))
    with pytest.raises(Problem, match=r"corpus\.jsonl has changed"):
        task.evaluate(encode)
