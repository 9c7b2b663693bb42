"""STS: rank correlations by hand, SentEval's files with all their oddities, and the bundled pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stages.tasks import sts
from stages.tasks.metrics import cosine, spearman

Pairs = list[tuple[str, str, str]]  # (sentence, sentence, gold as it stands in the file)


def encode(texts: Sequence[str]) -> np.ndarray:
    """Counts of letters: enough of an encoder for pairs to differ."""
    return np.array([[text.lower().count(letter) + 0.1 for letter in "abcdeilnorst"] for text in texts])


def pairs(count: int, seed: int) -> Pairs:
    generator = np.random.default_rng(seed)
    words = ["ant", "boat", "cedar", "dune", "east", "iron", "lime", "nest", "oar", "rain", "sand", "tide"]
    return [
        (
            " ".join(generator.choice(words, 3)),
            " ".join(generator.choice(words, 3)),
            f"{generator.integers(0, 26) / 5:g}",
        )
        for _ in range(count)
    ]


def write_year(root: Path, name: str, content: dict[str, Pairs], end: str = "\n") -> Path:
    """`STS/STSxx-en-test` with an input and a gold file for each subset."""
    folder = root / "STS" / f"STS{name[3:]}-en-test"
    folder.mkdir(parents=True, exist_ok=True)
    for subset, rows in content.items():
        source = "".join(f"{one}\t{two}{end}" for one, two, _ in rows)
        (folder / f"STS.input.{subset}.txt").write_bytes(source.encode())
        (folder / f"STS.gs.{subset}.txt").write_bytes("".join(f"{gold}{end}" for *_, gold in rows).encode())
    return root


def year(seed: int = 0) -> dict[str, Pairs]:
    return {subset: pairs(8 + 5 * place, seed + place) for place, subset in enumerate(sts.YEARS["sts13"])}


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the smallest; equal values share the mean of their places."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]


def by_hand(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation of the ranks, times 100."""
    a, b = ranks(first), ranks(second)
    middle = (len(a) + 1) / 2
    both = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    return 100 * both / math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), min_size=4, max_size=40))
def test_spearman_with_ties_equals_the_ranks_by_hand(rows: list[tuple[int, int]]) -> None:
    """Ties share their mean rank, on either side; and the figure is symmetric."""
    first, second = [float(one) for one, _ in rows], [two / 2 for _, two in rows]
    assume(len(set(first)) > 1)
    assume(len(set(second)) > 1)
    value, error = spearman(np.array(first), np.array(second))
    assert value == pytest.approx(by_hand(first, second), abs=1e-6)
    assert value == pytest.approx(spearman(np.array(second), np.array(first))[0], abs=1e-9)
    rho = value / 100
    assert error == pytest.approx(100 * (1 - rho**2) * math.sqrt((1 + rho**2 / 2) / (len(rows) - 3)), abs=1e-6)


@pytest.mark.parametrize("gold", [[1.0, 2.0, 3.0], [2.0] * 9, []])
def test_a_correlation_that_does_not_exist_is_refused(gold: list[float]) -> None:
    """Fewer than four pairs, or one side that does not vary."""
    with pytest.raises(ValueError, match="four pairs"):
        spearman(np.arange(len(gold), dtype=float), np.array(gold))


@given(st.lists(st.lists(st.floats(-9, 9), min_size=6, max_size=6), min_size=1, max_size=6))
def test_cosine_is_row_by_row(rows: list[list[float]]) -> None:
    """Each pair of rows alone; a zero row is similar to nothing."""
    first, second = np.array(rows)[:, :3], np.array(rows)[:, 3:]
    for a, b, found in zip(first, second, cosine(first, second), strict=True):
        length = math.hypot(*a) * math.hypot(*b)
        if length == 0 or length > 1e-100:
            assert found == pytest.approx(float(np.dot(a, b)) / length if length else 0.0, abs=1e-9)


def predicted(rows: Pairs) -> list[float]:
    return [float(cosine(encode([one]), encode([two]))[0]) for one, two, _ in rows]


def test_a_years_headline_is_one_correlation_over_all_its_pairs(tmp_path: Path) -> None:
    """ "all", then the plain and the size-weighted mean of the subsets, then each subset."""
    content = year()
    figures = sts.evaluate(sts.load("sts13", write_year(tmp_path, "sts13", content)), encode)
    rows = [row for part in content.values() for row in part]
    each = [by_hand(predicted(part), [float(gold) for *_, gold in part]) for part in content.values()]
    sizes = [len(part) for part in content.values()]
    assert [(figure.subset, figure.name) for figure in figures] == [
        ("", "spearman"),
        ("", "spearman_mean"),
        ("", "spearman_wmean"),
        *((subset, "spearman") for subset in content),
    ]
    assert [figure.value for figure in figures] == pytest.approx(
        [
            by_hand(predicted(rows), [float(gold) for *_, gold in rows]),
            sum(each) / len(each),
            sum(value * size for value, size in zip(each, sizes, strict=True)) / sum(sizes),
            *each,
        ],
        abs=1e-6,
    )
    assert [figure.n for figure in figures] == [sum(sizes)] * 3 + sizes
    assert [figure.error is None for figure in figures] == [False, True, True, False, False, False]
    assert sts.evaluate(sts.load("sts13", tmp_path), encode, subsets=False) == figures[:1]


def test_every_sentence_is_encoded_once(tmp_path: Path) -> None:
    """One call, no sentence twice."""
    calls: list[list[str]] = []

    def recording(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return encode(texts)

    sts.evaluate(sts.load("sts13", write_year(tmp_path, "sts13", year())), recording)
    assert len(calls) == 1
    assert sorted(set(calls[0])) == sorted(calls[0])


def test_pairs_with_an_empty_gold_field_are_left_out(tmp_path: Path) -> None:
    """Also the first and the last pair; the others keep their scores."""
    content = year()
    for rows in content.values():
        for place in (0, 3, len(rows) - 1):
            rows[place] = (*rows[place][:2], "" if place else "  ")
    found = sts.load("sts13", write_year(tmp_path, "sts13", content))
    assert [list(zip(part.first, part.second, part.gold, strict=True)) for part in found.subsets] == [
        [(one, two, float(gold)) for one, two, gold in rows if gold.strip()] for rows in content.values()
    ]


def test_quotes_commas_and_letters_of_any_kind_are_plain_text(tmp_path: Path) -> None:
    """Files are split at tabs and line feeds, never quoted, and no other sign ends a line."""
    content = year()
    odd = ['"an open quote', 'two "quoted" words', "a, b; c", "  blanks  ", "Fluß\u2028next", "form\x0cfeed", "'"]
    content["FNWN"] = [(text, f"{text}!", "2.5") for text in odd]
    part = sts.load("sts13", write_year(tmp_path, "sts13", content)).subsets[0]
    assert part.first == odd
    assert part.second == [f"{text}!" for text in odd]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    """The same pairs, and so the same digest."""
    content = year()
    content["OnWN"][2] = (*content["OnWN"][2][:2], "")
    plain = sts.load("sts13", write_year(tmp_path / "unix", "sts13", content))
    write_year(tmp_path / "windows", "sts13", content, "\r\n")
    for path in (tmp_path / "windows").rglob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = sts.load("sts13", tmp_path / "windows")
    assert found == plain
    assert found.digest == plain.digest


def test_a_digest_names_the_content(tmp_path: Path) -> None:
    """One score or one letter changed is another task."""
    content = year()
    digests = {sts.load("sts13", write_year(tmp_path / "0", "sts13", content)).digest}
    one, two, gold = content["OnWN"][4]
    for number, row in enumerate([(one, two, f"{gold}1"), (one, two + ".", gold), (two + "?", one, gold)]):
        changed = {**content, "OnWN": [*content["OnWN"][:4], row, *content["OnWN"][5:]]}
        digests.add(sts.load("sts13", write_year(tmp_path / f"{number + 1}", "sts13", changed)).digest)
    assert len(digests) == 4


@pytest.mark.parametrize("level", ["", "downstream", "data/downstream", "senteval/downstream"])
def test_data_may_name_any_level_of_the_layout(tmp_path: Path, level: str) -> None:
    """The folder of the tasks, or one from which SentEval's own levels lead there."""
    write_year(tmp_path / level, "sts13", year())
    assert sts.load("sts13", tmp_path).name == "sts13"


def stsb(rows: Pairs) -> str:
    return "".join(f"main\timages\t2012\t{n:04}\t{gold}\t{one}\t{two}\n" for n, (one, two, gold) in enumerate(rows))


def sick(rows: Pairs) -> str:
    head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    return head + "".join(f"{n}\t{one}\t{two}\t{gold}\tNEUTRAL\n" for n, (one, two, gold) in enumerate(rows))


@pytest.mark.parametrize(
    ("name", "split", "file", "write"),
    [
        ("stsb", "dev", "STS/STSBenchmark/sts-dev.csv", stsb),
        ("stsb", "test", "STS/STSBenchmark/sts-test.csv", stsb),
        ("sickr", "test", "SICK/SICK_test_annotated.txt", sick),
        ("sickr", "dev", "SICK/SICK_trial.txt", sick),
    ],
)
def test_single_file_tasks_read_their_columns(
    tmp_path: Path, name: str, split: str, file: str, write: Callable[[Pairs], str]
) -> None:
    """The right columns of the right file, quotes left alone; the header of SICK is no pair."""
    rows = [*pairs(9, 1), ('a "quote', '"', "5.000")]
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(write(rows), encoding="utf-8")
    (part,) = sts.load(name, tmp_path, split).subsets
    expected = [(one, two, float(gold)) for one, two, gold in rows]
    assert list(zip(part.first, part.second, part.gold, strict=True)) == expected
