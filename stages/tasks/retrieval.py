"""Retrieval in the layout of BEIR: which documents of a corpus answer a query, judged as trec_eval does.

A folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv` or
`qrels/dev.tsv` (a header, then query, document and relevance, joined by tabs). What counts:

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
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from stages.tasks import neighbours, ranking
from stages.tasks.compare import Mean
from stages.tasks.files import Absent, stream
from stages.tasks.task import Encode, Figure
from store.problem import Problem

METRICS = ("ndcg@10", "recall@100", "map")
DEPTH = 1000  # results of a query: average precision sees no more
WINDOW = 4096  # documents in memory at once
PROTOCOL = "BEIR 1: title and text, cosine, ties by descending id, own id excluded, depth 1000"
CQADUPSTACK = "cqadupstack"
FORUMS = (
    *("android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex", "unix"),
    *("webmasters", "wordpress"),
)

Judgements = dict[str, dict[str, int]]  # query -> document -> relevance


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
        return np.array([self._judge(query, found) for query, found in self._results(encode)])

    def _results(self, encode: Encode) -> Iterator[tuple[str, list[str]]]:
        """Each query with the ids of its nearest documents, at most DEPTH, the nearest first."""
        order = np.array(sorted(range(len(self.ids)), key=self.ids.__getitem__, reverse=True))
        ranks = np.empty(len(order), np.int64)  # a document's place among the ids in descending order
        ranks[order] = np.arange(len(order))
        # One more than is judged: the query's own id may be among them.
        _, nearest = neighbours.nearest(encode(list(self.queries.values())), self._windows(encode, ranks), DEPTH + 1)
        for query, row in zip(self.queries, nearest, strict=True):
            found = [identity for rank in row if (identity := self.ids[order[rank]]) != query]
            yield query, found[:DEPTH]

    def _windows(self, encode: Encode, ranks: np.ndarray) -> Iterator[neighbours.Window]:
        """The corpus's vectors, each with the rank of its id. Raises Problem where it is no longer what it was."""
        read = documents(self.corpus)
        for start in range(0, len(ranks), WINDOW):
            rows = list(islice(read, WINDOW))
            if [identity for identity, _ in rows] != self.ids[start : start + WINDOW]:
                raise Problem(f"{self.corpus} has changed while it was read", "run the same command again")
            yield ranks[start : start + WINDOW], encode([text for _, text in rows])

    def _judge(self, query: str, found: list[str]) -> tuple[float, float, float]:
        judged = self.judgements[query]
        relevance, all_relevance = [judged.get(identity, 0) for identity in found], list(judged.values())
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


def found(data: Path) -> tuple[str, ...]:
    """The names of the BEIR folders that `data` holds, directly or under `beir`, or of `data` itself if it is one."""
    return tuple(sorted(_folders(data)))


def load(name: str, data: Path | None, split: str = "test") -> RetrievalTask:
    """The task called `name`. Raises Absent where `data` does not hold it or it has no such split, Problem where it is
    damaged."""
    if data is None:
        raise Absent(f"the task {name} needs data", "give --data DIR, a folder that holds BEIR folders")
    folder = _folders(data).get(name)
    if folder is None:
        raise Absent(f"there is no BEIR folder {name} in {data}", "give --data the folder that holds it")
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
    judgements, first = _judgements(path)
    queries = _queries(folder / "queries.jsonl", judgements)
    for query, line in first.items():
        if query not in queries:
            raise Problem(
                f"{path}, line {line}: the query {query!r} is not in {folder / 'queries.jsonl'}", "restore both files"
            )
    content = hashlib.blake2b(repr((list(queries.items()), judgements)).encode(), digest_size=6)
    places: dict[str, int] = {}
    for line, (identity, text) in enumerate(documents(corpus), start=1):
        _new(identity, places, corpus, line)
        content.update(repr((identity, text)).encode())
    if not places:
        raise Problem(f"{corpus} is empty", "restore the file")
    judged = [(document, relevance) for row in judgements.values() for document, relevance in row.items()]
    if not any(document in places for document, _ in judged):
        raise Problem(f"{path}: none of its documents is in {corpus}", "use files that belong together")
    missing = sum(relevance > 0 and document not in places for document, relevance in judged)
    return Collection(name, corpus, list(places), queries, judgements, missing, content.hexdigest())


def documents(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each document of a corpus, as it is encoded."""
    for line, row in _objects(path):
        title = _string(row, "title", path, line) if row.get("title") is not None else ""
        yield _string(row, "_id", path, line), f"{title} {_string(row, 'text', path, line)}".strip()


def _queries(path: Path, judgements: Judgements) -> dict[str, str]:
    """The texts of the judged queries, in the order of the judgements."""
    texts: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, row in _objects(path):
        identity, text = _string(row, "_id", path, line), _string(row, "text", path, line)
        _new(identity, lines, path, line)
        if identity in judgements:
            texts[identity] = text
    return {query: texts[query] for query in judgements if query in texts}


def _judgements(path: Path) -> tuple[Judgements, dict[str, int]]:
    """The relevance of the judged documents of each query, and the line on which each query is first named."""
    judgements: Judgements = {}
    first: dict[str, int] = {}
    for line, text in enumerate(stream(path), start=1):
        row = text.split("\t")
        if len(row) != 3:
            raise Problem(f"{path}, line {line}: {len(row)} fields, not 3", "restore the file")
        query, document, relevance = row
        whole = re.fullmatch(r"[+-]?[0-9]+", relevance)
        if line == 1:
            if whole:
                raise Problem(f"{path}, line 1: no header", "put query-id, corpus-id and score before it")
            continue
        if not whole:
            raise Problem(f"{path}, line {line}: the relevance {relevance!r} is no integer", "restore the file")
        if document in judgements.setdefault(query, {}):
            raise Problem(
                f"{path}, line {line}: the document {document!r} is judged twice for the query {query!r}",
                "keep one of the judgements",
            )
        judgements[query][document] = int(relevance)
        first.setdefault(query, line)
    if not judgements:
        raise Problem(f"{path} holds no judgements", "restore the file")
    return judgements, first


def _objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Each line of a JSONL file with its number."""
    for line, text in enumerate(stream(path), start=1):
        try:
            row = json.loads(text)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise Problem(f"{path}, line {line}: no JSON object: {text[:40]!r}", "restore the file")
        yield line, row


def _string(row: dict[str, object], key: str, path: Path, line: int) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        wrong = f"{key} is {value!r}, not a string" if key in row else f"there is no {key}"
        raise Problem(f"{path}, line {line}: {wrong}", "restore the file")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Problem(f"{path}, line {line}: {key} holds half a character", "restore the file") from None
    return value


def _new(identity: str, lines: dict[str, int], path: Path, line: int) -> None:
    if identity in lines:
        raise Problem(
            f"{path}, line {line}: the _id {identity!r} stands on line {lines[identity]} already", "keep one of the two"
        )
    lines[identity] = line


def _folders(data: Path) -> dict[str, Path]:
    """The BEIR folders of `data`, by their names in lower case. Raises Problem where two have the same."""
    if not data.is_dir():
        raise Problem(f"the data folder {data} does not exist", "give --data a folder that holds BEIR folders")
    places = [data] if _is_task(data) else [*_inside(data), *_inside(data / "beir")]
    folders: dict[str, Path] = {}
    for folder in places:
        if not _is_task(folder):
            continue
        name = folder.resolve().name.lower()
        if name in folders:
            raise Problem(f"{folders[name]} and {folder} are both called {name}", "rename one of them")
        folders[name] = folder
    return folders


def _is_task(folder: Path) -> bool:
    if folder.resolve().name.lower() == CQADUPSTACK:
        return any(map(_is_collection, _inside(folder)))
    return _is_collection(folder)


def _is_collection(folder: Path) -> bool:
    """Whether this is meant as a BEIR folder; one without the other file is damaged, not none."""
    return any((folder / name).is_file() for name in ("corpus.jsonl", "queries.jsonl"))


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _error_of_mean(errors: list[np.ndarray | None]) -> np.ndarray | None:
    """The standard error of the mean over collections, of which each has its own: they share no query."""
    known = [error for error in errors if error is not None]
    return np.sqrt(np.square(known).sum(0)) / len(errors) if len(known) == len(errors) else None


def _figures(subset: str, values: np.ndarray, n: int, errors: np.ndarray | None) -> list[Figure]:
    return [
        Figure(subset, metric, float(values[place]), n, None if errors is None else float(errors[place]))
        for place, metric in enumerate(METRICS)
    ]
