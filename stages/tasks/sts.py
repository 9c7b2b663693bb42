"""Semantic textual similarity: sentence pairs with gold scores, read in the SentEval layout, judged by Spearman.

The headline of a task is one correlation over all its pairs together ("all"); a task with subsets also has a figure for
each, their mean, and their mean weighted by size. A task knows nothing of models but `encode(list of texts) -> (n, d)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from stages.tasks.compare import Correlation
from stages.tasks.files import Absent, fields, lines, number, senteval_root
from stages.tasks.metrics import cosine, spearman
from stages.tasks.task import Encode, Figure
from store.problem import Problem

YEARS = {
    "sts12": ("MSRpar", "MSRvid", "SMTeuroparl", "surprise.OnWN", "surprise.SMTnews"),
    "sts13": ("FNWN", "headlines", "OnWN"),
    "sts14": ("deft-forum", "deft-news", "headlines", "images", "OnWN", "tweet-news"),
    "sts15": ("answers-forums", "answers-students", "belief", "headlines", "images"),
    "sts16": ("answer-answer", "headlines", "plagiarism", "postediting", "question-question"),
}
GROUP = (*YEARS, "stsb", "sickr")  # the seven whose mean is the field's average
NAMES = (*GROUP, "mini")


@dataclass(frozen=True)
class Subset:
    """Pairs with their gold scores; `name` is '' where a task has no parts."""

    name: str
    first: list[str]
    second: list[str]
    gold: list[float]


@dataclass(frozen=True)
class StsTask:
    """A loaded task. `digest` names its content, so that an evaluation on other data is another run."""

    name: str
    subsets: list[Subset]

    @property
    def digest(self) -> str:
        """Names the pairs, their subsets and gold scores."""
        content = hashlib.blake2b(digest_size=6)
        for subset in self.subsets:
            for row in zip(subset.first, subset.second, subset.gold, strict=True):
                content.update(repr((subset.name, *row)).encode())
        return content.hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every sentence once, in order of appearance."""
        return list(dict.fromkeys(text for subset in self.subsets for text in subset.first + subset.second))

    def evaluate(self, encode: Encode) -> list[Figure]:
        """The headline, and where the task has subsets, means over them and each of them."""
        return evaluate(self, encode)

    def outcome(self, encode: Encode) -> Correlation:
        """The cosine and the gold score of every pair of all subsets."""
        return Correlation(np.concatenate(_predicted(self, encode)), np.concatenate(_gold(self)))


FEWEST_PAIRS = 4  # below that the standard error of a rank correlation is not defined


def load(name: str, data: Path | None, split: str = "test") -> StsTask:
    """The task called `name`. Raises Absent where its files are not under `data`, Problem where they are damaged."""
    return judged(_load(name, data, split))


def _load(name: str, data: Path | None, split: str) -> StsTask:
    if name == "mini":
        return mini(split)
    if data is None:
        raise Absent(f"the task {name} needs data", "give data=DIR, the folder of the SentEval layout")
    root = senteval_root(data)
    if name == "stsb":
        return _stsb(root, split)
    if name == "sickr":
        return _sick(root, split)
    if split != "test":
        raise Absent(f"{name} has no {split} split", "use stsb, sickr or mini as a dev task")
    return _year(root, name)


def mini(split: str) -> StsTask:
    """The bundled graded pairs, written for this project. Its figures are `mini`, never STS-B."""
    text = (files("stages") / "bundled" / "mini.tsv").read_text(encoding="utf-8")
    rows = [row for line in text.splitlines()[1:] if (row := line.split("\t"))[0] == split]
    # Its kinds (paraphrase, negation, ...) span a narrow range of scores each, so a correlation within one says little.
    return StsTask(
        "mini", [Subset("", [row[3] for row in rows], [row[4] for row in rows], [float(row[2]) for row in rows])]
    )


def judged(task: StsTask) -> StsTask:
    """`task`, if a rank correlation over it means something. Raises Problem for too few pairs or one gold score."""
    gold = [score for subset in task.subsets for score in subset.gold]
    if len(gold) < FEWEST_PAIRS or len(set(gold)) < 2:
        raise Problem(
            f"{task.name} has {len(gold)} pairs with {len(set(gold))} different scores: too few to correlate",
            f"give at least {FEWEST_PAIRS} pairs whose scores differ",
        )
    return task


def _stsb(root: Path, split: str) -> StsTask:
    path = root / "STS" / "STSBenchmark" / f"sts-{split}.csv"
    rows = fields(path, 7)
    gold = [number(row[4], path, line) for line, row in enumerate(rows, start=1)]
    return StsTask("stsb", [Subset("", [row[5] for row in rows], [row[6] for row in rows], gold)])


def _sick(root: Path, split: str) -> StsTask:
    path = root / "SICK" / {"test": "SICK_test_annotated.txt", "dev": "SICK_trial.txt"}.get(split, "SICK_train.txt")
    rows = fields(path, 4, header=True)
    gold = [number(row[3], path, line) for line, row in enumerate(rows, start=2)]
    return StsTask("sickr", [Subset("", [row[1] for row in rows], [row[2] for row in rows], gold)])


def _year(root: Path, name: str) -> StsTask:
    folder = root / "STS" / f"STS{name.removeprefix('sts')}-en-test"
    subsets = []
    for subset in YEARS[name]:
        source, truth = folder / f"STS.input.{subset}.txt", folder / f"STS.gs.{subset}.txt"
        pairs, scores = fields(source, 2), lines(truth)
        if len(pairs) != len(scores):
            raise Problem(f"{source} has {len(pairs)} lines and {truth} {len(scores)}", "restore both files")
        kept = [
            (pair, number(score, truth, line))
            for line, (pair, score) in enumerate(zip(pairs, scores, strict=True), start=1)
            if score.strip()  # pairs without a gold score are left out
        ]
        subsets.append(
            Subset(subset, [pair[0] for pair, _ in kept], [pair[1] for pair, _ in kept], [gold for _, gold in kept])
        )
    return StsTask(name, subsets)


def evaluate(task: StsTask, encode: Encode, subsets: bool = True) -> list[Figure]:
    """Encode every sentence once and correlate: the headline first, then means and subsets where the task has them."""
    return figures([part.name for part in task.subsets], _predicted(task, encode), _gold(task), subsets)


def figures(
    names: Sequence[str], predicted: Sequence[np.ndarray], gold: Sequence[np.ndarray], subsets: bool = True
) -> list[Figure]:
    """Correlate predicted and gold scores, an array (n,) of each a subset: the headline, means, subsets.

    Subsets too small or too even for a correlation of their own count into the headline only. Raises ValueError where
    not even that one exists.
    """
    value, error = spearman(np.concatenate(predicted), np.concatenate(gold))
    total = sum(map(len, gold))
    overall = [Figure("", "spearman", value, total, error)]
    if len(names) == 1 or not subsets:
        return overall
    parts = [
        Figure(name, "spearman", *_figure(scores, truth))
        for name, scores, truth in zip(names, predicted, gold, strict=True)
        if len(truth) >= FEWEST_PAIRS and np.ptp(truth) > 0 and np.ptp(scores) > 0
    ]
    if parts:
        values, sizes = np.array([part.value for part in parts]), np.array([part.n for part in parts])
        overall.append(Figure("", "spearman_mean", float(values.mean()), total, None))
        overall.append(Figure("", "spearman_wmean", float((values * sizes).sum() / sizes.sum()), total, None))
    return overall + parts


def _predicted(task: StsTask, encode: Encode) -> list[np.ndarray]:
    """The cosine of every pair, an array (n,) a subset; each sentence is encoded once."""
    texts = task.texts
    place = {text: row for row, text in enumerate(texts)}
    vectors = encode(texts)
    return [
        cosine(vectors[[place[text] for text in part.first]], vectors[[place[text] for text in part.second]])
        for part in task.subsets
    ]


def _gold(task: StsTask) -> list[np.ndarray]:
    return [np.array(part.gold) for part in task.subsets]


def _figure(predicted: np.ndarray, gold: np.ndarray) -> tuple[float, int, float]:
    value, error = spearman(predicted, gold)
    return value, len(gold), error
