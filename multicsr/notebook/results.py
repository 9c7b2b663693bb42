"""What the stages give, as a notebook reads it: runs with their triplets, encoders and figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.problem import Problem
from store.read import masked, runs
from store.read.triplets import ExportedTriplet, exported
from store.records import Run
from store.rows import training

if TYPE_CHECKING:
    from datasets import Dataset
    from pandas import DataFrame
    from sentence_transformers import SentenceTransformer

    from multicsr.compare import Compared
    from store.database import Store


class Result(ABC):
    """A run of a store. Equal runs are equal, whoever made them."""

    def __init__(self, store: Store, run: Run) -> None:
        self.store, self.run = store, run

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def stage(self) -> str:
        return self.run.stage

    @property
    def parent(self) -> str | None:
        """The id of the run that this one was made from."""
        return self.run.parent

    @property
    def config(self) -> dict[str, Any]:
        """The settings that the run's id is a hash of."""
        return self.run.config

    @property
    def counts(self) -> dict[str, Any]:
        """What came of it, by the names of `--json`."""
        return self.run.counts

    @property
    def finished(self) -> str | None:
        """When it was finished (UTC, ISO 8601), or None."""
        return self.run.finished

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and (self.id, self.store.path) == (other.id, other.store.path)

    def __hash__(self) -> int:
        return hash((self.id, self.store.path))

    def __repr__(self) -> str:
        told = ", ".join(f"{value:,} {name}" for name, value in self.counts.items() if type(value) is int)
        return f"<{self.stage} {self.id}: {told if self.finished else 'unfinished'}>"

    def to_pandas(self) -> DataFrame:
        """What the run gives, one row each."""
        import pandas

        return pandas.DataFrame(list(self._rows()))

    @abstractmethod
    def _rows(self) -> Iterator[Mapping[str, Any]]:
        """What becomes a table: a mapping a row."""


class Triplets(Result):
    """A run over triplets: premise x, entailment x+, contradiction x-, and the scores a and b where there are some."""

    def triplets(self) -> Dataset:
        """The triplets that one trains on: premise, entailment, contradiction, a, b."""
        return self._dataset("kept", ("premise", "entailment", "contradiction", "a", "b"))

    def rejected(self, reason: str | None = None) -> Dataset:
        """The premises that were dropped, with the reason; those dropped for `reason` alone where one is given."""
        columns = ("premise", "entailment", "contradiction", "a", "b", "reason")
        if runs.view(self.store, self.run).curate is None:
            raise Problem(f"{self.stage} run {self.id} has no decisions", "curate it first")
        return self._dataset("rejected", columns, reason)

    def _dataset(self, which: str, columns: tuple[str, ...], reason: str | None = None) -> Dataset:
        from datasets import Dataset

        rows = [row for row in self._exported(which) if reason is None or row.reason == reason]
        return Dataset.from_dict({name: [getattr(row, name) for row in rows] for name in columns})

    def _exported(self, which: str) -> Iterator[ExportedTriplet]:
        return exported(self.store, runs.view(self.store, self.run), which)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        return (row._asdict() for row in self._exported("all"))


class Written(Triplets):
    """What `gen` gives: a hypothesis of each role for each premise."""


class Scored(Triplets):
    """What `score` gives: how similar each hypothesis is to its premise, from 0 to 5."""


class Curated(Triplets):
    """What `curate` gives: a decision for each premise, with its first reason."""


class Trained(Result):
    """What `train` gives: an encoder."""

    @property
    def checkpoint(self) -> Path:
        """The folder of the model. Raises Problem where it is gone."""
        from multicsr.means.training_encoders import model_folder

        return model_folder(self.store, self.run)

    def encoder(self) -> SentenceTransformer:
        """The trained model, loaded: `encode(texts)` gives an array (len(texts), d)."""
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(self.checkpoint))

    def masked(self) -> Dataset:
        """What the mask removed most often: premise x_i, other_premise x_k, hypothesis, role, cosine by P, times (batches).

        Raises Problem where the training has no mask, or is not finished.
        """
        from datasets import Dataset

        masked.mask(self.run)
        rows = masked.listed(self.store, self.run, limit=masked.count(self.store, self.run))
        return Dataset.from_dict({name: [getattr(row, name) for row in rows] for name in masked.ListedMasked._fields})

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        """The steps: step, epoch, loss, masked share and learning rate."""
        return (row._asdict() for row in training.steps(self.store, self.run))


class Evaluated(Result):
    """What `eval` gives: figures with their standard errors; correlations and accuracies × 100."""

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        return (row._asdict() for row in training.metrics(self.store, self.run))


class ModelComparison:
    """Two models on the same items: a row a task."""

    def __init__(self, rows: list[Compared]) -> None:
        self.rows = rows

    def to_pandas(self) -> DataFrame:
        """task, metric, both values, their difference with its 95 % interval, and p."""
        import pandas

        return pandas.DataFrame([row._asdict() for row in self.rows])


KINDS: dict[str, type[Result]] = {
    "gen": Written,
    "score": Scored,
    "curate": Curated,
    "train": Trained,
    "eval": Evaluated,
}


def result(store: Store, run: Run) -> Result:
    """`run` as what its stage gives."""
    return KINDS[run.stage](store, run)
