"""Transfer tasks: sentences with classes, judged by how well a logistic regression on their vectors finds the class.

The protocol is SentEval's (Conneau and Kiela, 2018). The probe's decay is chosen by accuracy on rows that it did not learn
from, and never by the rows that it is judged on:

    mr cr subj mpqa   ten outer folds; in each, ten inner folds of the rest choose the decay, and a probe trained on the rest
                      is judged on the fold. The figure is over all items, each judged once.
    sst2              its dev set chooses; judged on its test set
    trec mrpc         ten folds of the train set choose; a probe trained on all of it is judged on the test set

The files are read in `stages/tasks/senteval.py`. A pair's features are [|u - v|, u · v].
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.tasks import linear, senteval
from stages.tasks import probe as probes
from stages.tasks.compare import Mean
from stages.tasks.files import Absent, senteval_root
from stages.tasks.linear import Split
from stages.tasks.probe import DECAYS
from stages.tasks.senteval import BINARY, COARSE, RESTORE, Item
from stages.tasks.task import Encode, Figure
from store.problem import Problem

NAMES = (*BINARY, "sst2", "trec", "mrpc")


FOLDS = 10
FEWEST = 12  # items of the largest class: nine tenths of them still give each inner fold one
FEWEST_ITEMS = 24  # of all classes: a twentieth of nine tenths of them is one item


@dataclass(frozen=True)
class TransferTask:
    """A loaded task. `dev` and `test` are None where folds of `train` stand in for them."""

    name: str
    probe: str
    split: str
    classes: int
    train: list[Item]
    dev: list[Item] | None
    test: list[Item] | None

    @property
    def digest(self) -> str:
        """Names the items, the probe and the split."""
        content = hashlib.blake2b(repr((self.name, self.probe, self.split)).encode(), digest_size=6)
        for part in (self.train, self.dev, self.test):
            content.update(repr(part and [tuple(item) for item in part]).encode())
        return content.hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every text once, in order of appearance."""
        return list(dict.fromkeys(text for item in self._items for text in item.texts))

    @property
    def gold(self) -> np.ndarray:
        """The classes (n,) of the items that are judged."""
        judged = self.test if self.split == "test" else self.dev
        return np.array([item.label for item in (self.train if judged is None else judged)])

    def evaluate(self, encode: Encode) -> list[Figure]:
        """Accuracy over the judged items with its binomial standard error; for mrpc also F1 of the paraphrases.

        Raises ValueError where a vector is not finite.
        """
        predicted, gold = self.predict(encode), self.gold
        right = float((predicted == gold).mean())
        error = 100 * math.sqrt(right * (1 - right) / len(gold))
        figures = [Figure("", "accuracy", 100 * right, len(gold), error)]
        if self.name == "mrpc":
            figures.append(Figure("", "f1", f1(predicted, gold), len(gold), None))
        return figures

    def outcome(self, encode: Encode) -> Mean:
        """Right or wrong, item by item."""
        return Mean("accuracy", self.correct(encode))

    def correct(self, encode: Encode) -> np.ndarray:
        """Whether each judged item's class is found (n,), in an order that depends on the data only."""
        right: np.ndarray = self.predict(encode) == self.gold
        return right

    def predict(self, encode: Encode) -> np.ndarray:
        """The class (n,) that the probe gives to each judged item."""
        vectors = self._features(encode)
        if not np.isfinite(vectors).all():
            raise ValueError("a vector holds a number that is not finite")
        items = self._items
        labels = np.array([item.label for item in items])
        study = _Study(self.probe, linear.with_ones(vectors), labels, np.eye(self.classes, dtype=np.float32)[labels])
        train, rest = np.arange(len(self.train)), np.arange(len(self.train), len(items))
        if self.dev is not None:
            dev, test = np.split(rest, [len(self.dev)])
            return study.by_dev(train, dev, test if self.split == "test" else dev)
        if self.split == "dev":
            return study.inner(train)
        return study.nested(train) if self.test is None else study.by_folds(train, rest)

    @property
    def _items(self) -> list[Item]:
        """All that is learned from or judged: train, dev, and unless the dev split is asked for, test."""
        return [*self.train, *(self.dev or []), *((self.test or []) if self.split == "test" else [])]

    def _features(self, encode: Encode) -> np.ndarray:
        """(n, d), or (n, 2 d) for pairs."""
        texts = self.texts
        place = {text: row for row, text in enumerate(texts)}
        vectors = encode(texts)
        sides = [
            vectors[[place[text] for text in side]] for side in zip(*(item.texts for item in self._items), strict=True)
        ]
        if len(sides) == 1:
            return sides[0]
        return np.hstack([np.abs(sides[0] - sides[1]), sides[0] * sides[1]])


class _Study(NamedTuple):
    """A probe, the rows it may learn from or be judged on, (n, d + 1), and their classes, also as (n, classes)."""

    probe: str
    table: np.ndarray
    labels: np.ndarray
    truth: np.ndarray

    def by_dev(self, train: np.ndarray, dev: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """The dev set chooses the decay."""
        fitted = self._fit([Split(train, dev)])
        return linear.predict(self.table[judged], fitted.weights[0, _best(fitted.accuracy)[0]])

    def by_folds(self, train: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """Folds of the train set choose the decay; all of it is learned from."""
        decay = _best(self._fit(self._folds(train)).accuracy)
        return linear.predict(self.table[judged], self._again([train], decay)[0])

    def inner(self, train: np.ndarray) -> np.ndarray:
        """The rows of each fold by the probe of the other folds, with the decay that is best over all of them."""
        splits = self._folds(train)
        fitted = self._fit(splits)
        decay = _best(fitted.accuracy)[0]
        predicted = np.empty(len(train), int)
        for split, weights in zip(splits, fitted.weights[:, decay], strict=True):
            predicted[split.dev] = linear.predict(self.table[split.dev], weights)
        return predicted

    def nested(self, rows: np.ndarray) -> np.ndarray:
        """Each outer fold by a probe of the other folds, whose decay inner folds of them choose; all are trained at once."""
        outer = list(linear.folds(self.labels[rows], FOLDS))
        fitted = self._fit([split for rest, _ in outer for split in self._folds(rest)])
        weights = self._again([rest for rest, _ in outer], _best(fitted.accuracy))
        predicted = np.empty(len(rows), int)
        for (_, fold), own in zip(outer, weights, strict=True):
            predicted[fold] = linear.predict(self.table[fold], own)
        return predicted

    def _folds(self, rows: np.ndarray) -> list[Split]:
        return [Split(rows[rest], rows[fold]) for rest, fold in linear.folds(self.labels[rows], FOLDS)]

    def _fit(self, splits: Sequence[Split]) -> linear.Fitted:
        """Every split with every decay."""
        decays = np.tile(DECAYS, (len(splits), 1))
        return probes.fit(self.probe, self.table, self.truth, splits, decays)

    def _again(self, trains: Sequence[np.ndarray], best: np.ndarray) -> np.ndarray:
        """The weights learned from each of `trains` with its own decay: (trains, classes, d + 1).

        Adam has a twentieth held out to choose the epoch; an optimum needs none, and learns from every row.
        """
        splits = [linear.held_out(rows) if self.probe == "adam" else Split(rows, rows) for rows in trains]
        return probes.fit(self.probe, self.table, self.truth, splits, np.array(DECAYS)[best][:, None]).weights[:, 0]


def _best(accuracy: np.ndarray) -> np.ndarray:
    """The decay (by its place) of each group of FOLDS splits, or of one: the best mean accuracy in per cent, rounded to two
    digits as SentEval does; the smallest of equals. accuracy (splits, decays) -> (splits / FOLDS,)."""
    grouped = accuracy.reshape(-1, min(FOLDS, len(accuracy)), accuracy.shape[1])
    place: np.ndarray = (100 * grouped.mean(1)).round(2).argmax(1)
    return place


def f1(predicted: np.ndarray, gold: np.ndarray) -> float:
    """F1 of class 1, times 100; 0 where none of it is found."""
    hits = int(((predicted == 1) & (gold == 1)).sum())
    return 200 * hits / max(1, int((predicted == 1).sum() + (gold == 1).sum()))


def load(name: str, data: Path | None, split: str = "test", probe: str = "adam") -> TransferTask:
    """The task called `name`, one of NAMES. Raises Absent where `data` does not hold it, Problem where it is damaged.

    The dev split of sst2 is its dev set; of trec and mrpc, the folds of the train set that choose the decay. On either the
    epoch and the decay are chosen too, so that it flatters a little.
    """
    if probe not in probes.PROBES:
        raise Problem(f"probe {probe!r} is not known", f"give one of {', '.join(probes.PROBES)}", setting="probe")
    if data is None:
        raise Problem(f"the task {name} needs data", "give data=DIR, the folder of the SentEval layout")
    if name in BINARY and split != "test":
        raise Absent(f"{name} has no {split} split: folds of all its items are its test", "use sst2, trec or mrpc")
    root = senteval_root(data)
    if name in BINARY:
        paths = [root / file for file in BINARY[name]]
        items = _enough(senteval.binary(paths), [path.name for path in paths], paths[0].parent)
        return TransferTask(name, probe, split, 2, items, None, None)
    if name == "sst2":
        folder = root / "SST" / "binary"
        train, dev, test = (senteval.sst(folder / f"sentiment-{part}") for part in ("train", "dev", "test"))
        return TransferTask(name, probe, split, 2, _enough(train, ("0", "1"), folder), dev, test)
    if name == "trec":
        train, test = senteval.trec(root / "TREC" / "train_5500.label"), senteval.trec(root / "TREC" / "TREC_10.label")
        return TransferTask(name, probe, split, len(COARSE), _enough(train, COARSE, root / "TREC"), None, test)
    train, test = (senteval.mrpc(root / "MRPC" / f"msr_paraphrase_{part}.txt") for part in ("train", "test"))
    return TransferTask(name, probe, split, 2, _enough(train, ("0", "1"), root / "MRPC"), None, test)


def _enough(train: list[Item], classes: Sequence[str], folder: Path) -> list[Item]:
    """`train`, if every class occurs in it and folds of its folds have items. `classes`: what the data calls them."""
    counts = np.bincount([item.label for item in train], minlength=len(classes))
    for called, count in zip(classes, counts, strict=True):
        if count == 0:
            raise Problem(f"the train items in {folder} have none of the class {called}", RESTORE)
    if counts.max() < FEWEST or counts.sum() < FEWEST_ITEMS:
        raise Problem(
            f"{folder} holds {counts.sum()} train items: too few for {FOLDS} folds of {FOLDS} folds",
            f"give at least {FEWEST_ITEMS}, and {FEWEST} of a class",
        )
    return train
