"""Triplets in and out: what is written reads back as it was, nothing is lost on the way, and wrong files say where."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from conftest import Piped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow.parquet import read_table
from rows import Made, drafted, scored
from shell import multicsr

from stages import curate
from stages.files import corpora, export
from stages.files.layouts import SHAPES
from stages.stage import COMPLETE, Tick
from store.database import Store
from store.problem import Problem
from store.read import runs
from store.read.triplets import ExportedTriplet, exported
from store.records import Triplet

SIMCSE = """sent0,sent1,hard_neg
"A dog, brown, runs.",A dog runs.,"He said ""no""."
It rains.,Rain falls.,The sky is clear.
"""


def stored(store: Store) -> list[Triplet]:
    """Every imported triplet, in the order of the file."""
    return [
        Triplet(*row)
        for row in store.rows(
            "SELECT premises.text, e.text, c.text FROM drafts AS e JOIN premises ON premises.id = e.premise"
            " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
            " WHERE e.role = 'entailment' ORDER BY premises.position"
        )
    ]


def write(path: Path, rows: list[Triplet], names: tuple[str, ...]) -> Path:
    """A file of triplets in the format of its ending."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
        elif path.suffix == ".csv":
            csv.writer(file).writerows([names, *rows])
        else:
            file.writelines("\t".join(row) + "\n" for row in [names, *rows])
    return path


def everything(store: Store, path: Path, at_once: int = corpora.ROWS_AT_ONCE) -> list[Tick]:
    return list(corpora.run(store, corpora.corpus(path), at_once=at_once))


sentences = st.text(st.sampled_from("abc ,'\"é日|"), min_size=1).map(str.strip).filter(bool)
triplets = st.lists(
    st.tuples(sentences, st.sampled_from(["", "yes", "Ja."]), sentences).map(lambda t: Triplet(*t)), min_size=1
)


@given(triplets, st.sampled_from([".csv", ".tsv", ".jsonl"]), st.sampled_from(sorted(SHAPES)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_every_triplet_of_a_file_is_stored_once_also_of_a_premise_that_comes_again(
    tmp_path: Path, made: list[Triplet], suffix: str, shape: str
) -> None:
    store = Store.memory()
    everything(store, write(tmp_path / f"t{suffix}", made, SHAPES[shape]))
    assert stored(store) == made
    (run,) = store.rows("SELECT id FROM runs")
    counts = store.run(run[0]).counts
    assert counts["premises"] == len(made)
    unusable = [text for row in made for text in row[1:] if not any(character.isalnum() for character in text)]
    assert counts.get("empty", 0) == len(unusable)
    layers = dict(store.rows("SELECT name, rows FROM sources"))
    assert sum(layers.values()) == len(made)
    assert len(layers) == max(Counter(row.premise for row in made).values())
    store.close()


def test_stopped_and_started_again_equals_uninterrupted(store: Store, tmp_path: Path) -> None:
    made = [Triplet(f"Sentence {n % 4}.", f"It is {n}.", f"It is not {n}.") for n in range(11)]
    path = write(tmp_path / "t.csv", made, SHAPES["simcse"])
    stopped = corpora.run(store, corpora.corpus(path), at_once=3)
    assert [tick.done for tick in islice(stopped, 3)] == [0, 3, 6]
    stopped.close()
    assert [tick.done for tick in everything(store, path, 3)] == [6, 9, 11]
    whole = Store.memory()
    everything(whole, path)
    (run,) = store.rows("SELECT id FROM runs")
    assert drafted(store, store.run(run[0])) == drafted(whole, whole.run(run[0]))
    assert [tick.note for tick in everything(store, path)] == [COMPLETE]


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_change_nothing(tmp_path: Path, store: Store) -> None:
    plain, other = tmp_path / "t.csv", tmp_path / "windows" / "t.csv"
    other.parent.mkdir()
    plain.write_text(SIMCSE, encoding="utf-8")
    lines = SIMCSE.splitlines()
    other.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([lines[0], "", *lines[1:], ""]).encode())
    assert corpora.corpus(plain).name == corpora.corpus(other).name
    everything(store, other)
    assert stored(store)[0] == Triplet("A dog, brown, runs.", "A dog runs.", 'He said "no".')


@pytest.mark.parametrize(
    ("name", "content", "columns", "says"),
    [
        ("t.csv", b"", None, "no columns premise, entailment, contradiction or anchor"),
        ("t.csv", b"sentence1,sentence2,score\nA,B,x\n", None, "line 2: the score 'x' is not a number from 0 to 5"),
        (
            "t.jsonl",
            b'{"text_a": "A", "text_b": "B", "label": 2}\n',
            None,
            "line 1: the score '2' is not a number from 0 to 1",
        ),
        ("t.csv", b"text_a,text_b,label\nA,B,nan\n", None, "the score 'nan' is not a number from 0 to 1"),
        ("t.csv", b"sent0,sent1,hard_neg\n", None, "holds no triplet"),
        ("t.csv", b"premise,hypothesis,label\nA,B,maybe\n", None, "line 2: the label 'maybe' is not known"),
        ("t.csv", b"premise,hypothesis,label\nA,B,0\nC,D,2\n", None, "holds no triplet"),
        ("t.csv", b"sent0,sent1\nA,B\n", None, "has no columns"),
        ("t.csv", b"sent0,sent1,hard_neg\nA,B,C\nA,B\n", None, "line 3: 2 fields, not 3"),
        ("t.csv", b"sent0,sent1,hard_neg\n,B,C\n", None, "line 2 has no premise"),
        ("t.csv", b"sent0,sent1,hard_neg\nA,B,\xff\n", None, "line 2 is not UTF-8"),
        ("t.csv", b"x,y,z\nA,B,C\n", ["x", "y"], "x,y are not three columns"),
        ("t.csv", b"x,y,z\nA,B,C\n", ["x", "y", "w"], "has no columns x, y, w"),
        ("t.jsonl", b'{"sent0": "A", "sent1": "B", "hard_neg": 3}\n', None, "line 1: hard_neg is 3, not a text"),
        ("t.jsonl", b'{"sent0": "A"\n', None, "line 1 is not JSON"),
        ("t.txt", b"A\tB\tC\n", None, "t.txt is neither .csv nor .tsv nor .jsonl"),
    ],
)
def test_what_is_no_triplet_is_refused_with_its_line(
    tmp_path: Path, name: str, content: bytes, columns: list[str] | None, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Problem) as refused:
        corpora.corpus(tmp_path / name, columns)
    assert says in refused.value.what


def test_what_is_exported_is_what_the_views_say(store: Store) -> None:
    """Against a plain selection: kept triplets with their roles as decided, rejected ones with their first reason."""
    made = [Made(f"x {n}", f"yes {n}", f"no {n}", a=n % 6, b=(n * 5) % 6) for n in range(40)]
    _, score, _ = scored(store, [*made, Made("x", "", "no", e_problem="empty")])
    config = curate.CurateConfig(alpha=2.0, beta=3.0, gamma=0.0, swap_reversed=True)
    list(curate.run(store, config, score))
    (run,) = store.rows("SELECT id FROM runs WHERE stage = 'curate'")
    shown = runs.view(store, store.run(run[0]))
    kept, rejected, every = (list(exported(store, shown, which)) for which in ("kept", "rejected", "all"))
    assert [row[:5] for row in kept] == store.rows(
        "SELECT premise, entailment, contradiction, a, b FROM triplets WHERE run = ? ORDER BY premise_id", run
    )
    assert any(row.entailment.startswith("no") for row in kept)  # roles changed places
    reasons = Counter(row.reason for row in rejected)
    assert reasons == store.run(run[0]).counts["reasons"]
    assert sorted(every, key=repr) == sorted(kept + rejected, key=repr)
    alone = runs.view(store, store.parent(score))
    assert [row.premise for row in exported(store, alone, "kept")] == [row.x for row in made]
    assert list(exported(store, alone, "all"))[-1].reason == "empty"


def test_an_export_imported_again_is_the_same_corpus(copied: Piped, tmp_path: Path) -> None:
    """Out as SimCSE's file, in as a gen run: the same triplets, which then train."""
    for format in ("csv", "jsonl"):
        out = tmp_path / f"t.{format}"
        said = multicsr(
            "export", "--shape", "simcse", "--format", format, "--out", out, "--db", copied.db, "--json"
        ).json
        kept = Store.open(copied.db).rows(
            "SELECT premise, entailment, contradiction FROM triplets WHERE run = ?", [copied.run("curate")]
        )
        assert said["rows"] == len(kept) > 0
        assert [row.triplet for row in corpora.corpus(out).triplets()] == kept
        other = tmp_path / f"{format}.db"
        run = multicsr("import", out, "--db", other, "--json").json["run"]
        assert Store.open(other).run(run).counts["premises"] == len(kept)
        again = multicsr("import", out, "--db", other)
        assert again.code == 0
        assert "complete already" in again.err
        (listed,) = multicsr("runs", "--db", other, "--json").json["runs"]
        assert listed["command"] == f"multicsr import {out}"


def test_an_imported_corpus_is_scored_curated_and_shown(copied: Piped, tmp_path: Path, tiny_llm: Path) -> None:
    path, db = tmp_path / "t.csv", tmp_path / "s.db"
    path.write_text(SIMCSE, encoding="utf-8")
    multicsr("import", path, "--db", db)
    likelihood = ("--by", "likelihood", "--dtype", "float32", *copied.commands["score"][3:5])
    assert multicsr("score", "--llm", tiny_llm, *likelihood, "--db", db, "--json").json["scored"] == 4
    assert multicsr("curate", "--alpha", 0, "--beta", 5, "--gamma", -5, "--db", db, "--json").json["kept"] == 2
    rows = multicsr("inspect", "--db", db, "--json").json["rows"]
    assert [row["premise"] for row in rows] == ["A dog, brown, runs.", "It rains."]


def test_scores_that_come_with_triplets_are_a_score_run(copied: Piped, tmp_path: Path) -> None:
    """Out with scores, in again: the same scores on the same triplets, so the same curation keeps the same."""
    out, db = tmp_path / "t.jsonl", tmp_path / "other.db"
    multicsr("export", "--rows", "all", "--scores", "--format", "jsonl", "--out", out, "--db", copied.db)
    said = multicsr("import", out, "--db", db, "--json").json
    both = "SELECT premises.text, role, value FROM scores JOIN premises ON premises.id = premise ORDER BY 1, 2"
    assert Store.open(db).rows(both) == Store.open(copied.db).rows(both)
    assert said["scored"] == copied.said["score"].json["scored"]
    curated = multicsr("curate", "--alpha", 0, "--beta", 5, "--gamma", -5, "--db", db, "--json").json
    assert curated["parent"] == said["score"]
    assert curated["kept"] == copied.said["curate"].json["kept"]
    listed = multicsr("runs", "--db", db, "--json").json["runs"]
    assert [row["command"] for row in listed[:2]] == [f"multicsr import {out}"] * 2


@pytest.mark.parametrize(
    ("names", "top"), [(("text_a", "text_b", "label"), 1), (("sentence1", "sentence2", "score"), 5)]
)
def test_pairs_with_a_score_keep_it_on_the_scale_of_all_scores(
    store: Store, tmp_path: Path, names: tuple[str, ...], top: int
) -> None:
    """CLAIF's pairs: a premise has as many rewrites as lines, counted in their order, wherever they stand."""
    path = tmp_path / "t.jsonl"
    rows = [("It rains.", "Rain falls.", 0.9 * top), ("It rains.", "Cats sleep.", 0), ("A dog runs.", "A dog.", None)]
    rows.append(("It rains.", "It pours.", 0.5 * top))
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    source = corpora.corpus(path)
    everything(store, path)
    (gen,) = store.rows("SELECT id FROM runs")
    stopped = corpora.run_scores(store, source, store.run(gen[0]), at_once=2)
    assert [tick.done for tick in islice(stopped, 2)] == [0, 2]
    stopped.close()
    assert [tick.done for tick in corpora.run_scores(store, source, store.run(gen[0]), at_once=2)] == [2, 4]
    found = store.rows(
        "SELECT premises.text, drafts.role, drafts.text, value FROM scores JOIN premises ON premises.id = scores.premise"
        " JOIN drafts ON drafts.premise = scores.premise AND drafts.role = scores.role"
        " ORDER BY drafts.id"
    )
    assert found == [
        ("It rains.", "rewrite-0", "Rain falls.", 4.5),
        ("It rains.", "rewrite-1", "Cats sleep.", 0.0),
        ("A dog runs.", "rewrite-0", "A dog.", None),
        ("It rains.", "rewrite-2", "It pours.", 2.5),
    ]
    assert store.run(gen[0]).counts == {"premises": 2, "hypotheses": 4}
    assert [tick.note for tick in corpora.run_scores(store, source, store.run(gen[0]))] == [COMPLETE]


LABELS = [("entailment", "0"), ("neutral", "1"), ("contradiction", "2"), ("-", "-1"), ("", "")]


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 4)), min_size=1),
    st.sampled_from([("sentence1", "sentence2", "gold_label"), ("premise", "hypothesis", "label")]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_labelled_pairs_are_joined_by_their_premise_and_the_rest_is_counted(
    tmp_path: Path, made: list[tuple[str, int]], names: tuple[str, str, str], as_numbers: bool
) -> None:
    """Against the slow way: of each premise the k-th entailment with the k-th contradiction."""
    path = tmp_path / "pairs.jsonl"
    rows = [(premise, f"{n} says so.", LABELS[label][as_numbers]) for n, (premise, label) in enumerate(made)]
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    halves = {
        (premise, label): [row[1] for row, (x, y) in zip(rows, made, strict=True) if (x, y) == (premise, label)]
        for premise in "xyz"
        for label in range(5)
    }
    joined = [Triplet(x, e, c) for x in "xyz" for e, c in zip(halves[x, 0], halves[x, 2], strict=False)]
    if not joined:
        with pytest.raises(Problem, match="holds no triplet"):
            corpora.corpus(path)
        return
    source = corpora.corpus(path)
    assert sorted(row.triplet for row in source.triplets()) == sorted(joined)
    counted = Counter(label for _, label in made)
    left_out = {
        "neutral": counted[1],
        "unlabelled": counted[3] + counted[4],
        "unpaired": counted[0] + counted[2] - 2 * len(joined),
    }
    assert source.left_out == {name: count for name, count in left_out.items() if count}
    store = Store.memory()
    list(corpora.run(store, source))
    (run,) = store.rows("SELECT id FROM runs")
    counts = store.run(run[0]).counts
    assert counts == {"premises": len(joined), "hypotheses": 2 * len(joined), **source.left_out}
    store.close()


def test_every_format_holds_the_same_rows(copied: Piped, tmp_path: Path) -> None:
    flags = ("--rows", "all", "--scores", "--shape", "sentence-transformers", "--db", copied.db)
    names = ["anchor", "positive", "negative", "a", "b", "verdict", "reason"]
    for format in ("csv", "jsonl", "hf"):
        said = multicsr("export", "--format", format, "--out", tmp_path / f"t.{format}", *flags, "--json").json
        assert said["columns"] == names
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    with (tmp_path / "t.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [[row[name] for name in names] for row in table] == [
        ["" if line[name] is None else str(line[name]) for name in names] for line in lines
    ]
    assert (tmp_path / "t.hf" / "train.jsonl").read_text() == (tmp_path / "t.jsonl").read_text()
    assert f"`{copied.run('curate')}`" in (tmp_path / "t.hf" / "README.md").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert multicsr("export", "--out", "-", *flags).out == (tmp_path / "t.csv").read_text()


def test_parquet_holds_them_too(copied: Piped, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    multicsr("export", "--format", "parquet", "--scores", "--out", out, "--db", copied.db)
    multicsr("export", "--format", "jsonl", "--scores", "--out", tmp_path / "t.jsonl", "--db", copied.db)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert read_table(out).to_pylist() == lines


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def rows() -> Iterator[ExportedTriplet]:
        yield ExportedTriplet("x", "y", "z", None, None, None, None)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        export.write(rows(), export.columns("simcse", False, False), "csv", tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_figure_is_an_empty_field(store: Store) -> None:
    file = io.StringIO()
    row = ExportedTriplet("x", "y", "z", None, 0.0, None, None)
    assert export.csv_rows([row], export.columns("multicsr", True, False), file) == 1
    assert file.getvalue() == "premise,entailment,contradiction,a,b\nx,y,z,,0.0\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--format", "xml"), "--format 'xml' is not known"),
        (("--shape", "other"), "--shape 'other' is not known"),
        (("--rows", "some"), "--rows 'some' is not known"),
        (("--out", "/no/such/folder/t.csv"), "the folder /no/such/folder does not exist"),
        (("--out", "-", "--format", "hf"), "--out - writes CSV or JSONL"),
    ],
)
def test_wrong_exports_are_refused(refuse, args: tuple[str, ...], says: str) -> None:  # type: ignore[no-untyped-def]
    refuse("export", *args, says=says)


def test_exports_that_the_run_cannot_give_are_refused(refuse, copied: Piped, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    refuse("export", copied.run("gen"), "--rows", "rejected", says="has no decisions")
    refuse("export", copied.run("gen"), "--scores", says="has no scores")
    refuse("export", "--out", tmp_path, says="is there already")
