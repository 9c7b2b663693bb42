"""Retrieval in the layout of BEIR: which documents of a corpus answer a query, judged as trec_eval does. Arrow: checkpoint ->
metric ± error.

The folders are read in `stages/tasks/beir.py`. What counts:

- A document's text is its title, a blank and its text, without outer blanks. Documents are ordered by cosine, ties by
  descending id, as trec_eval orders them. A document with the id of the query is no result of it (BEIR's rule).
- The queries are those of the judgements. One without relevant documents gets 0. A relevant document that is not in the
  corpus is never found, but counts among the relevant ones, as for trec_eval.
- nDCG@10 is the headline; beside it recall@100 and average precision over the first 1000 (`map`). Each is the mean over
  queries x 100, with the standard error of that mean.
- `cqadupstack` is twelve folders in one, and its figures are means over these forums (Thakur et al., 2021, BEIR).

The corpus is read twice, once for its ids and its digest and once for its vectors, and never held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from stages.tasks import neighbours, ranking
from stages.tasks.beir import (
    CQADUPSTACK,
    FORUMS,
    Judgements,
    documents,
    find_folders,
    read_judgements,
    read_queries,
    refuse_repeated,
)
from stages.tasks.compare import Mean
from stages.tasks.files import Absent
from stages.tasks.task import Encode, Figure
from store.problem import Problem

METRICS = ("ndcg@10", "recall@100", "map")
DEPTH = 1000  # results of a query: average precision sees no more
WINDOW = 4096  # documents in memory at once
PROTOCOL = "BEIR 1: title and text, cosine, ties by descending id, own id excluded, depth 1000"


@dataclass(frozen=True)
class Collection:
    """A corpus, of which only the ids are kept, and the judged queries; `name` is '' where a task has no parts."""

    name: str
    corpus: Path
    ids: list[str]  # in the order of the file
    queries: dict[str, str]
    judgements: Judgements
    missing: int  # relevant documents, query by query, that are not in the corpus
    digest: str

    @property
    def texts(self) -> Iterator[str]:
        """The queries, then the documents, read anew each time."""
        yield from self.queries.values()
        yield from (text for _, text in documents(self.corpus))

    def per_query(self, encode: Encode) -> np.ndarray:
        """nDCG@10, recall@100 and average precision of each query in [0, 1], (queries, 3)."""
        return np.array([self._judge(query, documents) for query, documents in self._results(encode)])

    def _results(self, encode: Encode) -> Iterator[tuple[str, list[str]]]:
        """Each query with the ids of its nearest documents, at most DEPTH, the nearest first."""
        order = np.array(sorted(range(len(self.ids)), key=self.ids.__getitem__, reverse=True))
        ranks = np.empty(len(order), np.int64)  # a document's place among the ids in descending order
        ranks[order] = np.arange(len(order))
        # One more than is judged: the query's own id may be among them.
        _, nearest = neighbours.nearest(encode(list(self.queries.values())), self._windows(encode, ranks), DEPTH + 1)
        for query, row in zip(self.queries, nearest, strict=True):
            results = [identity for rank in row if (identity := self.ids[order[rank]]) != query]
            yield query, results[:DEPTH]

    def _windows(self, encode: Encode, ranks: np.ndarray) -> Iterator[neighbours.Window]:
        """The corpus's vectors, each with the rank of its id. Raises Problem where it is no longer what it was."""
        read = documents(self.corpus)
        for start in range(0, len(ranks), WINDOW):
            rows = list(islice(read, WINDOW))
            if [identity for identity, _ in rows] != self.ids[start : start + WINDOW]:
                raise Problem(f"{self.corpus} has changed while it was read", "run the same command again")
            yield ranks[start : start + WINDOW], encode([text for _, text in rows])

    def _judge(self, query: str, results: list[str]) -> tuple[float, float, float]:
        judged = self.judgements[query]
        relevance, all_relevance = [judged.get(identity, 0) for identity in results], list(judged.values())
        return (
            ranking.ndcg(relevance, all_relevance, 10),
            ranking.recall(relevance, all_relevance, 100),
            ranking.average_precision(relevance, all_relevance),
        )


@dataclass(frozen=True)
class RetrievalTask:
    """One folder, or the forums of CQADupStack."""

    name: str
    collections: list[Collection]

    @cached_property
    def digest(self) -> str:
        """Names the protocol, and the texts and judgements of every collection."""
        parts = [(collection.name, collection.digest) for collection in self.collections]
        return hashlib.blake2b(repr((PROTOCOL, parts)).encode(), digest_size=6).hexdigest()

    @property
    def note(self) -> str:
        """What a reader of the figures must know, or ''."""
        missing = sum(collection.missing for collection in self.collections)
        return (
            f"{self.name}: the corpus lacks {missing} of the relevant documents; they count as not found"
            if missing
            else ""
        )

    @property
    def texts(self) -> Iterator[str]:
        """Every text that is encoded; a stream, for a corpus may be larger than memory."""
        for collection in self.collections:
            yield from collection.texts

    def per_query(self, encode: Encode) -> list[np.ndarray]:
        """The METRICS of each query of each collection in [0, 1], (queries, 3) each."""
        return [collection.per_query(encode) for collection in self.collections]

    def items(self, encode: Encode) -> np.ndarray:
        """nDCG@10 of each query, (n,), weighted so that its mean is the headline, in which every forum counts the same."""
        parts = [part[:, 0] for part in self.per_query(encode)]
        even = sum(map(len, parts)) / len(parts)
        return np.concatenate([part * (even / len(part)) for part in parts])

    def outcome(self, encode: Encode) -> Mean:
        """`items` again, for comparing two models."""
        return Mean("ndcg@10", self.items(encode))

    def evaluate(self, encode: Encode) -> list[Figure]:
        """nDCG@10, recall@100 and map: the mean over queries, or over forums; then those of each forum."""
        outcomes = self.per_query(encode)
        means = [100 * part.mean(0) for part in outcomes]
        errors = [100 * part.std(0, ddof=1) / np.sqrt(len(part)) if len(part) > 1 else None for part in outcomes]
        total = sum(map(len, outcomes))
        figures = _figures("", np.mean(means, axis=0), total, _error_of_mean(errors))
        if len(self.collections) > 1:
            for collection, mean, part, error in zip(self.collections, means, outcomes, errors, strict=True):
                figures += _figures(collection.name, mean, len(part), error)
        return figures


def names_in(data: Path) -> tuple[str, ...]:
    """The names of the BEIR folders that `data` holds, directly or under `beir`, or of `data` itself if it is one."""
    return tuple(sorted(find_folders(data)))


def load(name: str, data: Path | None, split: str = "test") -> RetrievalTask:
    """The task called `name`. Raises Absent where `data` does not hold it or it has no such split, Problem where it is
    damaged."""
    if data is None:
        raise Absent(f"the task {name} needs data", "give data=DIR, a folder that holds BEIR folders")
    folder = find_folders(data).get(name)
    if folder is None:
        raise Absent(f"there is no BEIR folder {name} in {data}", "give data=DIR, the folder that holds it")
    if name != CQADUPSTACK:
        return RetrievalTask(name, [collection("", folder, split)])
    missing = [forum for forum in FORUMS if not (folder / forum).is_dir()]
    if missing:
        raise Problem(f"{folder} lacks the forums {', '.join(missing)}", "restore them: the mean is over all twelve")
    return RetrievalTask(name, [collection(forum, folder / forum, split) for forum in FORUMS])


def collection(name: str, folder: Path, split: str) -> Collection:
    """Read one folder. Raises Absent for a split it does not have, Problem with file and line for what is damaged."""
    path, corpus = folder / "qrels" / f"{split}.tsv", folder / "corpus.jsonl"
    for needed in (corpus, folder / "queries.jsonl"):
        if not needed.exists():  # the folder is here, so this is no absent task
            raise Problem(f"there is no {needed}", "restore the file")
    judgements, first = read_judgements(path)
    queries = read_queries(folder / "queries.jsonl", judgements)
    for query, line in first.items():
        if query not in queries:
            raise Problem(
                f"{path}, line {line}: the query {query!r} is not in {folder / 'queries.jsonl'}", "restore both files"
            )
    content = hashlib.blake2b(repr((list(queries.items()), judgements)).encode(), digest_size=6)
    places: dict[str, int] = {}
    for line, (identity, text) in enumerate(documents(corpus), start=1):
        refuse_repeated(identity, places, corpus, line)
        content.update(repr((identity, text)).encode())
    if not places:
        raise Problem(f"{corpus} is empty", "restore the file")
    judged = [(document, relevance) for row in judgements.values() for document, relevance in row.items()]
    if not any(document in places for document, _ in judged):
        raise Problem(f"{path}: none of its documents is in {corpus}", "use files that belong together")
    missing = sum(relevance > 0 and document not in places for document, relevance in judged)
    return Collection(name, corpus, list(places), queries, judgements, missing, content.hexdigest())


def _error_of_mean(errors: list[np.ndarray | None]) -> np.ndarray | None:
    """The standard error of the mean over collections, of which each has its own: they share no query."""
    known = [error for error in errors if error is not None]
    return np.sqrt(np.square(known).sum(0)) / len(errors) if len(known) == len(errors) else None


def _figures(subset: str, values: np.ndarray, n: int, errors: np.ndarray | None) -> list[Figure]:
    return [
        Figure(subset, metric, float(values[place]), n, None if errors is None else float(errors[place]))
        for place, metric in enumerate(METRICS)
    ]
