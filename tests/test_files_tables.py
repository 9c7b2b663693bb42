"""One reader: the same rows from every format, each known by its line, and what is no row named by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from stages.files import corpora, sources, tables
from store.problem import Problem
from store.records import Triplet

ROWS = [("A dog runs.", "1"), ('He said "no", twice.', "2"), ("Caf\u00e9\u2028au lait", "3")]


def written(folder: Path, suffix: str, names: Sequence[str] = ("text", "n")) -> Path:
    path = folder / f"t{suffix}"
    if suffix == ".csv":
        quoted = [",".join('"' + text.replace('"', '""') + '"' for text in row) for row in [names, *ROWS]]
        path.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    elif suffix == ".tsv":
        path.write_text("".join("\t".join(row) + "\n" for row in [names, *ROWS]), encoding="utf-8")
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in ROWS))
    else:
        table = pyarrow.table({name: list(column) for name, column in zip(names, zip(*ROWS, strict=True), strict=True)})
        pyarrow.parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """Columns in the order in which they were chosen; the header of a CSV or TSV is a line, a row of the others is not."""
    first = 2 if suffix in (".csv", ".tsv") else 1
    chosen = tables.records(written(tmp_path, suffix), lambda there, _: list(reversed(there)))
    assert list(chosen) == [(line, [number, text]) for line, (text, number) in enumerate(ROWS, start=first)]
    source = sources.source(written(tmp_path, suffix))
    assert [text for _, text in source.texts()] == [text for text, _ in ROWS]


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_a_column_is_known_in_any_case_of_letters(tmp_path: Path, suffix: str) -> None:
    assert sources.source(written(tmp_path, suffix, (" Sentence", "n"))).rows == len(ROWS)
    assert sources.source(written(tmp_path, suffix, ("WORDS", "n")), "words").rows == len(ROWS)


def test_a_name_that_several_columns_have_is_none_of_them() -> None:
    """As it is written it is one of them."""
    assert tables.column("text", ["Text", "TEXT"]) is None
    assert tables.column("Text", ["TEXT", "Text"]) == "Text"


def test_a_row_is_named_by_the_line_it_begins_on(tmp_path: Path) -> None:
    """Also behind a field that goes over several lines, and behind a blank line."""
    path = tmp_path / "t.csv"
    path.write_text('text,note\n"A dog runs.","over\ntwo lines"\n\nIt rains.,\n')
    assert [line for line, _ in tables.records(path, lambda there, _: ["text"])] == [2, 4, 5]
    assert list(sources.source(path).texts()) == [(2, "A dog runs."), (5, "It rains.")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "text,n\nA dog, brown, runs.,1\n", "line 2: 4 fields, not 2"),
        ("t.tsv", "text\tn\nA dog\truns.\t1\n", "line 2: 3 fields, not 2"),
        ("t.csv", 'n,text\n1,"never closed\n2,and all that follows\n', "line 2: "),
        ("t.csv", 'n,text\n1,"closed" early\n', "line 2: "),
        ("t.tsv", "n\ttext\n1\n", "line 2: 1 fields, not 2"),
    ],
)
def test_a_row_of_another_shape_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    """A separator within a text would make another sentence of what stands behind it."""
    (tmp_path / name).write_text(content)
    with pytest.raises(Problem) as refused:
        sources.source(tmp_path / name)
    assert says in refused.value.what


def test_what_stands_behind_the_chosen_columns_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("text\tn\nA dog runs.\n")
    assert sources.source(tmp_path / "t.tsv").rows == 1


def test_objects_of_several_kinds_are_each_read_by_their_own_names(tmp_path: Path) -> None:
    """The third has the keys of the first again."""
    path = tmp_path / "t.jsonl"
    first, second = {"sent0": "x", "sent1": "y", "hard_neg": "z"}, {"anchor": "a", "positive": "b", "negative": "c"}
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, second, first)))
    triplets = [row.triplet for row in corpora.corpus(path).triplets()]
    assert triplets == [Triplet("x", "y", "z"), Triplet("a", "b", "c"), Triplet("x", "y", "z")]


def test_numbers_and_nulls_of_a_parquet_file_are_scores(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {"premise": ["p", "q"], "entailment": ["e", "e"], "contradiction": ["c", "c"], "a": [4.5, None]}
    pyarrow.parquet.write_table(pyarrow.table(columns | {"b": [1, 0]}), path)
    assert [row.scores for row in corpora.corpus(path).triplets()] == [(4.5, 1.0), (None, 0.0)]
    pyarrow.parquet.write_table(pyarrow.table(columns | {"b": [1, 9]}), path)
    with pytest.raises(Problem, match=r"t\.parquet, row 2: the score '9'"):
        corpora.corpus(path)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("text\nA dog runs.\n")
    with pytest.raises(Problem, match="is no Parquet file"):
        sources.source(path)
