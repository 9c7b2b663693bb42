"""Transfer tasks: SentEval's files with all their oddities, and its protocol followed fit by fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.probe import one_by_one
from stages.tasks import linear, probe, senteval, transfer
from stages.tasks.files import Absent
from stages.tasks.linear import SEED, Split
from stages.tasks.probe import DECAYS
from store.problem import Problem

# A word or two of each class, and words of all.
WORDS = ("ant", "boat", "cedar", "dune", "east", "iron")
COMMON = ["lime", "nest", "oar", "rain", "sand", "tide", '"quoted', "caf\xe9"]


def encode(texts: Sequence[str]) -> np.ndarray:
    """Counts of letters: enough of an encoder for classes to be found more often than not."""
    letters = "abcdeilnorstu\xe9"
    return np.array([[text.count(letter) / 3 for letter in letters] for text in texts], np.float32)


def texts(count: int, label: int, seed: int) -> list[str]:
    """Texts of a class, whose word is missing from some."""
    generator = np.random.default_rng([seed, label])
    found = []
    for _ in range(count):
        words = [
            *generator.choice(COMMON, generator.integers(2, 6)),
            *([WORDS[label]] if generator.random() < 0.7 else []),
        ]
        found.append(" ".join(generator.permutation(words)))
    return found


def put(path: Path, rows: Sequence[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + end for row in rows).encode(encoding))
    return path


def write(root: Path, name: str, end: str = "\n", size: int = 30) -> Path:
    """The files of a task, `size` items a class in train."""
    if name in senteval.BINARY:
        for label, file in enumerate(senteval.BINARY[name]):
            put(root / file, texts(size + label, label, 0), "latin-1", end)
    elif name == "sst2":
        for seed, (part, count) in enumerate({"train": size, "dev": 14, "test": 17}.items()):
            rows = [f"{text} \t{label}" for label in (0, 1) for text in texts(count, label, seed)]
            put(root / f"SST/binary/sentiment-{part}", rows, end=end)
    elif name == "trec":
        for seed, (file, count) in enumerate({"train_5500": size, "TREC_10": 5}.items()):
            rows = [
                f"{coarse}:fine {text} ?"
                for label, coarse in enumerate(senteval.COARSE)
                for text in texts(count, label, seed)
            ]
            put(root / f"TREC/{file}.label", rows, "latin-1", end)
    else:
        for seed, (part, count) in enumerate({"train": size, "test": 16}.items()):
            rows = [
                f"{label}\t1\t2\t{one}\t{two}"
                for label in (0, 1)
                for one, two in zip(texts(count, 0, seed), texts(count, 1 - label, seed + 7), strict=True)
            ]
            put(
                root / f"MRPC/msr_paraphrase_{part}.txt",
                ["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String", *rows],
                end=end,
            )
    return root


def vectors(items: list[senteval.Item]) -> tuple[np.ndarray, np.ndarray]:
    sides = [encode([item.texts[side] for item in items]) for side in range(len(items[0].texts))]
    if len(sides) == 2:
        sides = [np.concatenate([abs(sides[0] - sides[1]), sides[0] * sides[1]], axis=1)]
    return sides[0], np.array([item.label for item in items])


def folds(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(StratifiedKFold(10, shuffle=True, random_state=SEED).split(np.zeros(len(labels)), labels))


def chosen_decay(features: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """SentEval's inner folds, fit by fit."""
    means = [
        round(
            100
            * float(np.mean([one_by_one(features, labels, Split(*fold), decay, classes)[0] for fold in folds(labels)])),
            2,
        )
        for decay in DECAYS
    ]
    return DECAYS[int(np.argmax(means))]


def refit(features: np.ndarray, labels: np.ndarray, decay: float, classes: int, judged: np.ndarray) -> np.ndarray:
    _, weights = one_by_one(features, labels, linear.held_out(np.arange(len(labels))), decay, classes)
    found: np.ndarray = (judged @ weights[:, :-1].T + weights[:, -1]).argmax(1)
    return found


def test_cross_validation_is_sentevals_nested_loop(tmp_path: Path) -> None:
    """410 fits one after another: the same class for every item."""
    task = transfer.load("mr", write(tmp_path, "mr", size=20))
    features, labels = vectors(task.train)
    expected = np.empty(len(labels), int)
    for rest, fold in folds(labels):
        decay = chosen_decay(features[rest], labels[rest], 2)
        expected[fold] = refit(features[rest], labels[rest], decay, 2, features[fold])
    assert task.predict(encode).tolist() == expected.tolist()
    assert set(expected) == {0, 1}


@pytest.mark.parametrize("name", ["trec", "mrpc"])
def test_folds_of_train_choose_the_decay(tmp_path: Path, name: str) -> None:
    task = transfer.load(name, write(tmp_path, name, size=16))
    features, labels = vectors(task.train)
    assert task.test is not None
    judged, gold = vectors(task.test)
    expected = refit(features, labels, chosen_decay(features, labels, task.classes), task.classes, judged)
    assert task.predict(encode).tolist() == expected.tolist()
    figures = task.evaluate(encode)
    right = float((expected == gold).mean())
    assert figures[0][:4] == ("", "accuracy", pytest.approx(100 * right), len(gold))
    assert figures[0].error == pytest.approx(100 * np.sqrt(right * (1 - right) / len(gold)))
    assert task.correct(encode).tolist() == (expected == gold).tolist()
    if name == "mrpc":
        assert figures[1].name == "f1"
        assert figures[1].value == pytest.approx(100 * f1_score(gold, expected))
    else:
        assert len(figures) == 1


def test_a_dev_set_chooses_the_decay(tmp_path: Path) -> None:
    write(tmp_path, "sst2")
    for split in ("test", "dev"):
        task = transfer.load("sst2", tmp_path, split)
        assert task.dev is not None
        assert task.test is not None
        rows, labels = vectors([*task.train, *task.dev])
        dev = Split(np.arange(len(task.train)), np.arange(len(task.train), len(rows)))
        fits = [one_by_one(rows, labels, dev, decay, 2) for decay in DECAYS]
        _, weights = max(fits, key=lambda fit: fit[0])
        judged, gold = vectors(task.test if split == "test" else task.dev)
        assert task.predict(encode).tolist() == (judged @ weights[:, :-1].T + weights[:, -1]).argmax(1).tolist()
        assert task.gold.tolist() == gold.tolist()


def test_the_dev_split_of_trec_is_its_inner_folds(tmp_path: Path) -> None:
    """Each train item by the probe that did not learn from it; the test set is not even encoded."""
    task = transfer.load("trec", write(tmp_path, "trec", size=16), "dev")
    features, labels = vectors(task.train)
    decay = chosen_decay(features, labels, 6)
    each = [one_by_one(features, labels, Split(*fold), decay, 6)[0] * len(fold[1]) for fold in folds(labels)]
    (figure,) = task.evaluate(encode)
    assert figure.value == pytest.approx(100 * sum(each) / len(labels), abs=1e-6)
    assert figure.n == len(labels)
    assert task.test is not None
    assert not {item.texts[0] for item in task.test} - {item.texts[0] for item in task.train} & set(task.texts)


@pytest.mark.parametrize("name", list(senteval.BINARY))
def test_cross_validated_tasks_have_no_dev_split(tmp_path: Path, name: str) -> None:
    with pytest.raises(Absent, match=f"{name} has no dev split"):
        transfer.load(name, write(tmp_path, name), "dev")


@pytest.mark.parametrize("name", transfer.NAMES)
def test_every_layout_is_read_with_either_line_end(tmp_path: Path, name: str) -> None:
    """Latin-1 bytes, quotes, Windows line ends; every text is encoded once; the content names the task."""
    task = transfer.load(name, write(tmp_path / "unix", name))
    assert task == transfer.load(name, write(tmp_path / "windows", name, "\r\n"))
    assert any("caf\xe9" in text for text in task.texts)
    assert any('"quoted' in text for text in task.texts)
    assert len(set(task.texts)) == len(task.texts)
    assert not any(text != " ".join(text.split()) for text in task.texts)
    other = transfer.load(name, write(tmp_path / "other", name, size=31))
    convex = transfer.load(name, tmp_path / "unix", probe="convex")
    assert len({task.digest, other.digest, convex.digest}) == 3
    headline = convex.evaluate(encode)[0]
    assert headline.name == "accuracy"
    assert headline.n == len(convex.gold)
    assert headline.value > 100 / task.classes


def test_items_stand_in_sentevals_order(tmp_path: Path) -> None:
    """By the number of words, then by class, then as in the files, class 1 before class 0; no word is read as a dot."""
    put(tmp_path / "CR/custrev.neg", ["c d", "", *["x"] * 12, "e  f"], "latin-1")
    put(tmp_path / "CR/custrev.pos", ["a b", *["y\tz w"] * 12], "latin-1")
    task = transfer.load("cr", tmp_path)
    assert [(*item.texts, item.label) for item in task.train] == [
        (".", 0),
        *[("x", 0)] * 12,
        ("c d", 0),
        ("e f", 0),
        ("a b", 1),
        *[("y z w", 1)] * 12,
    ]


def test_a_label_stands_behind_the_last_tab(tmp_path: Path) -> None:
    write(tmp_path, "sst2")
    put(tmp_path / "SST/binary/sentiment-dev", ["one\ttwo \t1", '"three\t0'])
    task = transfer.load("sst2", tmp_path)
    assert task.dev == [senteval.Item(('"three',), 0), senteval.Item(("one two",), 1)]


@pytest.mark.parametrize(
    ("name", "file", "place", "row", "says"),
    [
        ("sst2", "SST/binary/sentiment-train", 3, "no label", "line 4: 1 field, not 2"),
        ("sst2", "SST/binary/sentiment-dev", 0, "text\t2", "line 1: the label '2'"),
        ("sst2", "SST/binary/sentiment-test", 5, "text\t", "line 6: the label ''"),
        ("trec", "TREC/train_5500.label", 7, "COLOUR:fine What ?", "line 8: 'COLOUR'"),
        ("trec", "TREC/TREC_10.label", 2, "HUM:ind", "line 3: 'HUM:ind'"),
        ("trec", "TREC/TREC_10.label", 2, "", "line 3: ''"),
        ("mrpc", "MRPC/msr_paraphrase_train.txt", 4, "1\t2\t3\tcut of", "line 5: 4 fields, not 5"),
        ("mrpc", "MRPC/msr_paraphrase_test.txt", 4, "1\t2\t3\ta\tb\tc", "line 5: 6 fields, not 5"),
        ("mrpc", "MRPC/msr_paraphrase_test.txt", 2, "yes\t2\t3\ta\tb", "line 3: the label 'yes'"),
        ("mrpc", "MRPC/msr_paraphrase_test.txt", 0, "1\t2\t3\ta\tb", "line 1: '1' is not the header"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, name: str, file: str, place: int, row: str, says: str) -> None:
    path = write(tmp_path, name) / file
    rows = path.read_text(encoding="latin-1").splitlines()
    rows[place] = row
    put(path, rows, "latin-1")
    with pytest.raises(Problem) as refused:
        transfer.load(name, tmp_path)
    assert not isinstance(refused.value, Absent)
    assert f"{file}, {says}" in refused.value.what


def test_what_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    """Files, --data, classes, items, the probe."""
    for name in transfer.NAMES:
        write(tmp_path, name)
    refusals: list[tuple[str, str, Callable[[Path], object]]] = [
        ("mr", "MR/rt-polarity.pos", Path.unlink),
        ("sst2", "SST/binary/sentiment-dev", Path.unlink),
        ("trec", "TREC/TREC_10.label", Path.unlink),
        ("mrpc", "MRPC/msr_paraphrase_train.txt", Path.unlink),
        ("subj", "SUBJ/subj.objective", lambda path: path.write_text("")),
        ("mpqa", "MPQA/mpqa.neg", lambda path: path.write_text("")),
    ]
    for name, file, spoil in refusals:
        spoil(tmp_path / file)
        with pytest.raises(Problem, match=Path(file).name):
            transfer.load(name, tmp_path)
    for file in ("SST/binary/sentiment-dev", "SST/binary/sentiment-test"):
        write(tmp_path, "sst2")
        (tmp_path / file).write_text("")
        with pytest.raises(Problem, match=f"{file} holds no items"):
            transfer.load("sst2", tmp_path)
    with pytest.raises(Problem, match="needs data"):
        transfer.load("mr", None)
    with pytest.raises(Problem, match="too few"):
        transfer.load("cr", write(tmp_path, "cr", size=8))
    with pytest.raises(Problem, match="'svm'"):
        transfer.load("cr", tmp_path, probe="svm")


def test_the_fewest_items_that_are_read_can_be_judged(tmp_path: Path) -> None:
    """No fold of a fold is empty, with either probe."""
    put(tmp_path / "CR/custrev.neg", texts(12, 0, 0), "latin-1")
    put(tmp_path / "CR/custrev.pos", texts(12, 1, 0), "latin-1")
    for kind in probe.PROBES:
        assert transfer.load("cr", tmp_path, probe=kind).evaluate(encode)[0].n == 24


def test_a_train_set_without_a_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "trec")
    put(tmp_path / "TREC/train_5500.label", [f"HUM:ind {text}" for text in texts(30, 0, 0)])
    with pytest.raises(Problem, match="none of the class ABBR"):
        transfer.load("trec", tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    def broken(given: Sequence[str]) -> np.ndarray:
        found = encode(given)
        found[-1, 0] = value
        return found

    with pytest.raises(ValueError, match="not finite"):
        transfer.load("mr", write(tmp_path, "mr")).evaluate(broken)


def test_f1_without_a_find_is_zero() -> None:
    assert transfer.f1(np.zeros(4, int), np.zeros(4, int)) == 0
    assert transfer.f1(np.array([0, 0, 1]), np.array([0, 1, 0])) == 0
    assert transfer.f1(np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1])) == pytest.approx(200 / 3)


DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "senteval"


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("mr", (10662, 0, 0)), ("sst2", (67349, 872, 1821)), ("trec", (5452, 0, 500)), ("mrpc", (4076, 0, 1725))],
)
def test_the_real_files_have_the_published_sizes(name: str, sizes: tuple[int, int, int]) -> None:
    task = transfer.load(name, DATA)
    assert tuple(len(part or []) for part in (task.train, task.dev, task.test)) == sizes
