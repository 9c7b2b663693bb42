"""Bitext: the nearest sentence is the translation or it is not, in both directions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tasks import bitext
from store.problem import Problem

TATOEBA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tatoeba"


def encode(texts: Sequence[str]) -> np.ndarray:
    """A text is three signed digits: cosines between few directions, many of them equal."""
    return np.array([[int(part) for part in text.split(",")] for text in texts], dtype=float)


def write(folder: Path, first: Sequence[str], second: Sequence[str], end: str = "\n") -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "tatoeba.aaa-bbb.aaa", folder / "tatoeba.aaa-bbb.bbb")
    for path, rows in zip(files, (first, second), strict=True):
        path.write_bytes("".join(f"{row}{end}" for row in rows).encode())
    return files


def by_hand(asked: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Every sentence against every answer, one cosine at a time: the first of the best must equal the translation."""
    right = []
    for question, translation in zip(asked, answers, strict=True):
        one = encode([question])[0]
        cosines = []
        for answer in answers:
            two = encode([answer])[0]
            lengths = (one @ one) * (two @ two)
            cosines.append(round(float(one @ two) / lengths**0.5, 6) if lengths else 0.0)
        right.append(float(answers[cosines.index(max(cosines))] == translation))
    return right


SIGNS = st.tuples(*[st.sampled_from([-1, 1])] * 4).map(lambda digits: ",".join(map(str, digits)))


@given(st.lists(st.tuples(SIGNS, SIGNS), min_size=1, max_size=12))
def test_accuracies_are_those_of_every_pair_by_hand(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """With ties and repeated sentences; each direction, their mean, and the errors."""
    first, second = [one for one, _ in rows], [two for _, two in rows]
    task = bitext.pair(*write(tmp_path_factory.mktemp("bitext"), first, second))
    there, back = by_hand(first, second), by_hand(second, first)
    assert task.correct(encode).T.tolist() == [there, back]
    figures = task.evaluate(encode)
    assert [(figure.subset, figure.name) for figure in figures] == [
        ("", "accuracy"),
        ("aaa-bbb", "accuracy"),
        ("bbb-aaa", "accuracy"),
    ]
    both = [(a + b) / 2 for a, b in zip(there, back, strict=True)]
    assert task.items(encode).tolist() == both
    outcome = task.outcome(encode)
    assert outcome.metric == "accuracy"
    assert outcome.resampled(np.ones((outcome.n, 1), dtype=int))[0] == pytest.approx(task.evaluate(encode)[0].value)
    n = len(rows)
    assert [figure.n for figure in figures] == [n] * 3
    for figure, right in zip(figures, (both, there, back), strict=True):
        assert figure.value == pytest.approx(100 * statistics.fmean(right))
        assert figure.error == pytest.approx(100 * statistics.pstdev(right) / n**0.5, abs=1e-9)
    share = statistics.fmean(there)
    assert figures[1].error == pytest.approx(100 * (share * (1 - share) / n) ** 0.5, abs=1e-9)  # the binomial's


def test_a_copy_of_the_translation_is_right_and_of_two_that_tie_the_earlier_is_found(tmp_path: Path) -> None:
    """Lines 1 and 3 have the same translation; lines 2 and 4 have two that no vector tells apart."""
    first, second = ["1,0,0", "0,1,0", "2,0,0", "0,2,0"], ["1,0,0", "0,1,0", "1,0,0", "0,3,0"]
    assert bitext.pair(*write(tmp_path, first, second)).correct(encode)[:, 0].tolist() == [1, 1, 1, 0]


def test_every_sentence_is_encoded_once(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def recording(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return encode(texts)

    task = bitext.pair(*write(tmp_path, ["1,0", "1,0", "0,1"], ["0,1", "1,1", "1,1"]))
    task.evaluate(recording)
    assert calls == [["1,0", "0,1", "1,1"]] == [task.texts]


def test_aligned_files_are_found_by_their_names(tmp_path: Path) -> None:
    """In the folder, or in its `tatoeba`; Windows line ends and a byte order mark change nothing."""
    plain = bitext.pair(*write(tmp_path, ["1,0", "0,1"], ["1,1", "1,-1"]))
    for path in write(tmp_path / "data" / "tatoeba", ["1,0", "0,1"], ["1,1", "1,-1"], "\r\n"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (tmp_path / "notes.en-de.txt").write_text("no side of a pair")
    assert bitext.names_in(tmp_path) == bitext.names_in(tmp_path / "data") == ("tatoeba.aaa-bbb",)
    found = bitext.load("tatoeba.aaa-bbb", tmp_path / "data")
    assert found == plain
    assert found.digest == plain.digest
    write(tmp_path / "data", ["1,0"], ["1,1"])
    with pytest.raises(Problem, match="have the same name"):
        bitext.names_in(tmp_path / "data")


def test_any_two_files_are_a_pair(tmp_path: Path) -> None:
    """Named after the files; the two sides never have the same name, since a figure is known by its direction."""
    names = [
        ("sw.txt", "en.txt"),
        ("a/x.txt", "b/x.txt"),
        ("a/t.aa-bb.aa", "b/t.aa-bb.aa"),
        ("t.aa-bb.bb", "t.aa-bb.aa"),
    ]
    wanted = [
        ("sw.txt+en.txt", "sw.txt-en.txt", "en.txt-sw.txt"),
        ("x.txt+x.txt", "first-second", "second-first"),
        ("t.aa-bb.aa+t.aa-bb.aa", "first-second", "second-first"),
        ("t.aa-bb", "bb-aa", "aa-bb"),
    ]
    for files, (name, there, back) in zip(names, wanted, strict=True):
        for path in files:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text("1,0\n0,1\n")
        task = bitext.pair(tmp_path / files[0], tmp_path / files[1])
        assert task.name == name
        assert [figure.subset for figure in task.evaluate(encode)] == ["", there, back]


def test_the_digest_names_sentences_order_and_sides(tmp_path: Path) -> None:
    one, two = ["1,0", "0,1"], ["1,1", "1,-1"]
    tasks = [
        bitext.pair(*write(tmp_path / "1", one, two)),
        bitext.pair(*write(tmp_path / "2", two, one)),
        bitext.pair(*write(tmp_path / "3", one, two[::-1])),
        bitext.pair(*write(tmp_path / "4", one, two)[::-1]),
    ]
    assert len({task.digest for task in tasks}) == 4


def test_files_that_are_not_aligned_are_refused_with_file_and_line(tmp_path: Path) -> None:
    """Unequal, empty, with an empty line, in another encoding, or not there."""
    files = write(tmp_path, ["1,0", "0,1"], ["1,1", "1,-1"])
    first, second = files
    for content, words in [
        (b"1,0\n", r"aaa has 2 lines and .*bbb 1"),
        (b"", r"bbb is empty"),
        (b"1,0\n \n", r"bbb, line 2: the line is empty"),
        (b"\n1,0\n", r"bbb, line 1: the line is empty"),
        (b"1,0\n0,1\n\n", r"bbb, line 3: the line is empty"),
        ("1,0\nFluß\n".encode("latin-1"), r"bbb, line 2 is not UTF-8"),
    ]:
        second.write_bytes(content)
        for load in (lambda: bitext.pair(*files), lambda: bitext.load("tatoeba.aaa-bbb", tmp_path)):
            with pytest.raises(Problem, match=words):
                load()
    for missing in (second, first):
        missing.unlink()
        if first.exists():
            assert bitext.names_in(tmp_path) == ("tatoeba.aaa-bbb",)
            with pytest.raises(Problem, match=f"there is no .*{missing.name}"):
                bitext.load("tatoeba.aaa-bbb", tmp_path)
    assert bitext.names_in(tmp_path) == ()
    for name, data, split, words in [
        ("tatoeba.aaa-bbb", tmp_path, "test", "no aligned files tatoeba.aaa-bbb"),
        ("tatoeba.aaa-bbb", tmp_path, "dev", "no dev split"),
        ("tatoeba.aaa-bbb", tmp_path / "nowhere", "test", "nowhere does not exist"),
        ("tatoeba.aaa-bbb", None, "test", "needs data"),
    ]:
        with pytest.raises(Problem, match=words):
            bitext.load(name, data, split)


@pytest.mark.skipif(not TATOEBA.is_dir(), reason="the real data are not beside the repository")
def test_the_swahili_file_is_read() -> None:
    """390 pairs, as its README says."""
    (name,) = bitext.names_in(TATOEBA.parent)
    task = bitext.load(name, TATOEBA.parent)
    assert (name, task.sides, len(task.first)) == ("tatoeba.swh-eng", ("swh", "eng"), 390)
    assert bitext.load(name, TATOEBA) == task
