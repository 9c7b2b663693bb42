"""Folders in the layout of BEIR, read. Arrow: a folder -> documents, queries, judgements.

A folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv` or
`qrels/dev.tsv` (a header, then query, document and relevance, joined by tabs). CQADupStack is twelve such folders in one.
Whatever is wrong is a Problem that names file and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from stages.tasks.files import stream
from store.problem import Problem

CQADUPSTACK = "cqadupstack"
FORUMS = (
    *("android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex", "unix"),
    *("webmasters", "wordpress"),
)

Judgements = dict[str, dict[str, int]]  # query -> document -> relevance


def find_folders(data: Path) -> dict[str, Path]:
    """The BEIR folders of `data`, by their names in lower case. Raises Problem where two have the same."""
    if not data.is_dir():
        raise Problem(f"the data folder {data} does not exist", "give data=DIR, a folder that holds BEIR folders")
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


def documents(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each document of a corpus, as it is encoded."""
    for line, row in _objects(path):
        title = _string(row, "title", path, line) if row.get("title") is not None else ""
        yield _string(row, "_id", path, line), f"{title} {_string(row, 'text', path, line)}".strip()


def read_queries(path: Path, judgements: Judgements) -> dict[str, str]:
    """The texts of the judged queries, in the order of the judgements."""
    texts: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, row in _objects(path):
        identity, text = _string(row, "_id", path, line), _string(row, "text", path, line)
        refuse_repeated(identity, lines, path, line)
        if identity in judgements:
            texts[identity] = text
    return {query: texts[query] for query in judgements if query in texts}


def read_judgements(path: Path) -> tuple[Judgements, dict[str, int]]:
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


def refuse_repeated(identity: str, lines: dict[str, int], path: Path, line: int) -> None:
    """Note the line of an `_id`. Raises Problem where an earlier line has it."""
    if identity in lines:
        raise Problem(
            f"{path}, line {line}: the _id {identity!r} stands on line {lines[identity]} already", "keep one of the two"
        )
    lines[identity] = line


def _is_task(folder: Path) -> bool:
    if folder.resolve().name.lower() == CQADUPSTACK:
        return any(map(_is_collection, _inside(folder)))
    return _is_collection(folder)


def _is_collection(folder: Path) -> bool:
    """Whether this is meant as a BEIR folder; one without the other file is damaged, not none."""
    return any((folder / name).is_file() for name in ("corpus.jsonl", "queries.jsonl"))


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
