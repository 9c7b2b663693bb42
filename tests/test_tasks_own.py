"""Pairs of one's own: the same rows from every format, and every damage named with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks import own
from stages.tasks.sts import StsTask
from store.problem import Problem

Pair = tuple[str, str, float]

PAIRS: list[Pair] = [
    ("A plain sentence.", "Another, with a comma.", 3.5),
    ('He said "no", twice.', '"', 0.0),
    ("Fluß\u2028and Café", "  blanks around  ", 5.0),
    ("a", "b", -1.25),
    ("nan", "1e3", 1e3),
]


def as_csv(rows: Sequence[Sequence[object]], end: str = "\n") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def as_tsv(rows: Sequence[Sequence[object]], end: str = "\n") -> bytes:
    return "".join("\t".join(map(str, row)) + end for row in rows).encode()


def as_jsonl(rows: Sequence[Sequence[object]], end: str = "\n") -> bytes:
    keys = ("sentence1", "sentence2", "score")
    return "".join(json.dumps(dict(zip(keys, row, strict=True))) + end for row in rows).encode()


WRITERS: dict[str, Callable[..., bytes]] = {"csv": as_csv, "tsv": as_tsv, "jsonl": as_jsonl}


def rows_of(task: StsTask) -> list[Pair]:
    (part,) = task.subsets
    return list(zip(part.first, part.second, part.gold, strict=True))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_pairs(tmp_path: Path, suffix: str, mark: bytes, end: str) -> None:
    """Quotes, commas, Windows line ends and a byte order mark change nothing, nor does the format: one digest."""
    path, plain = tmp_path / f"own.{suffix}", tmp_path / "plain.tsv"
    path.write_bytes(mark + WRITERS[suffix](PAIRS, end))
    plain.write_bytes(as_tsv(PAIRS))
    assert rows_of(own.load(path)) == PAIRS
    assert own.load(path).name == f"own.{suffix}"
    assert own.load(path).digest == own.load(plain).digest


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=4, max_size=8))
def test_a_csv_gives_back_whatever_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[Pair]) -> None:
    """Line ends inside a field too."""
    path = tmp_path_factory.mktemp("any") / "any.csv"
    rows = [(one, two, float(place)) for place, (one, two) in enumerate(texts)]
    path.write_bytes(as_csv(rows, "\r\n"))  # the writer quotes the signs of its own line end only
    assert rows_of(own.load(path)) == rows


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize(
    "header",
    [
        ("sentence1", "sentence2", "score"),
        ("score", "id", "Sentence_A", "Sentence_B"),
        ("text2", "text1", "split", " similarity "),
    ],
)
def test_a_header_says_where_the_columns_are(tmp_path: Path, suffix: str, header: tuple[str, ...]) -> None:
    """In any order and any case of letters, with others between them."""
    place = {name.strip().lower(): at for at, name in enumerate(header)}
    rows: list[list[object]] = []
    for one, two, score in PAIRS:
        row: list[object] = ["x"] * len(header)
        for known, value in zip(own.COLUMNS.values(), (one, two, score), strict=True):
            row[next(place[name] for name in known if name in place)] = value
        rows.append(row)
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(WRITERS[suffix]([header, *rows]))
    assert rows_of(own.load(path)) == PAIRS


GOOD = as_tsv(PAIRS)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tsv", GOOD + b"one\ttwo\n", "line 6: 2 fields, not 3"),
        ("a.tsv", GOOD + b"one\ttwo\t3\t4\n", "line 6: 4 fields, not 3"),
        ("a.tsv", GOOD + b"\n" + GOOD, "line 6: 1 fields, not 3"),
        ("a.tsv", GOOD + b"one\t \t3\n", "line 6: a sentence is empty"),
        ("a.tsv", GOOD + b"one\ttwo\tnan\n", "line 6: 'nan' is not a number"),
        ("a.tsv", GOOD + b"one\ttwo\t\n", "line 6: '' is not a number"),
        ("a.tsv", GOOD + "Café\tb\t1\n".encode("latin-1"), "line 6 is not UTF-8"),
        ("a.tsv", b"first\tsecond\tmark\n" + GOOD, "line 1: 'mark' is not a number"),
        ("a.tsv", b"sentence1\tsentence2\tscore\n" + GOOD + b"a\tb\t1\tx\n", "line 7: 4 fields, not 3"),
        ("a.tsv", b"", "has 0 pairs"),
        ("a.csv", as_csv(PAIRS) + b'"never closed,b,3\nc,d,4\n', "line 6: "),
        ("a.csv", as_csv(PAIRS) + b'"closed" early,b,3\n', "line 6: "),
        ("a.csv", b'"over\ntwo lines",b,3\nc,d\n', "line 3: 2 fields, not 3"),
        ("a.csv", as_csv(PAIRS) + b"a, b,c,3\n", "line 6: 4 fields, not 3"),
        ("a.csv", as_csv(PAIRS) + b"a,b,inf\n", "line 6: 'inf' is not a number"),
        ("a.jsonl", as_jsonl(PAIRS) + b'{"sentence1": "cut sh', "line 6 is not JSON"),
        ("a.jsonl", as_jsonl(PAIRS) + b"\n", "line 6 is not JSON"),
        ("a.jsonl", as_jsonl(PAIRS) + b"[1]\n", "line 6 is not a JSON object"),
        ("a.jsonl", as_jsonl(PAIRS) + b'{"sentence1": "a", "score": 1}\n', "line 6: no second sentence"),
        ("a.jsonl", as_jsonl([("a", 3, 1)]), "line 1: sentence2 is 3, not a text"),
        ("a.jsonl", as_jsonl([("a", "b", None)]), "line 1: 'null' is not a number"),
        ("a.jsonl", as_jsonl([("a", "b", True)]), "line 1: 'true' is not a number"),
        ("a.jsonl", as_jsonl([("a", "b", float("nan"))]), "line 1: 'NaN' is not a number"),
    ],
)
def test_what_is_wrong_names_file_and_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Problem) as refused:
        own.load(path)
    assert name in refused.value.what
    assert says in refused.value.what
    assert refused.value.remedy


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("nowhere.csv", "nowhere.tsv", "nowhere.jsonl"):
        with pytest.raises(Problem, match=name):
            own.load(tmp_path / name)
