"""Merging: the shards of a run, each in a store of its own, become one store. Arrow: stores -> store.

What LLMs made is copied: runs, sources, premises, prompts, drafts, scores. What follows from it is not: curating is free, and
a training or a measurement belongs to the whole run. Row ids are local to a store, so a premise is known by its source and
its position there, a prompt by its text. One transaction a store, by SQL over both files, so memory does not grow with them;
a merge that was killed or is run again finds what it copied and adds the rest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from store.database import Store
from store.opening import explain
from store.problem import Problem
from store.records import Run
from store.rows import drafts, premises, scores

# Every table is in one of the two; tests/test_merge.py compares them with the schema.
MERGED = ("runs", "sources", "premises", "prompt_sets", "prompts", "drafts", "scores")
NOT_MERGED = (
    "pairs",
    "rules",
    "repeats",
    "partners",
    "reviews",
    "judgements",
    "steps",
    "masked",
    "checkpoints",
    "metrics",
)

STAGES = ("gen", "score")

# The first row of a run that both stores have and not the same. `:run` is the run.
DIFFERENT = {
    "gen": """
        SELECT source, position, theirs.role FROM other.drafts AS theirs JOIN placed ON placed.theirs = theirs.premise
        JOIN main.drafts AS ours ON ours.run = :run AND ours.premise = placed.ours AND ours.role = theirs.role
        JOIN main.premises ON premises.id = placed.ours
        WHERE theirs.run = :run
        AND (ours.text, ours.raw, ours.problem, ours.masked) IS NOT (theirs.text, theirs.raw, theirs.problem, theirs.masked)
        LIMIT 1
    """,
    "score": """
        SELECT source, position, theirs.role FROM other.scores AS theirs JOIN placed ON placed.theirs = theirs.premise
        JOIN main.scores AS ours ON ours.run = :run AND ours.premise = placed.ours AND ours.role = theirs.role
        JOIN main.premises ON premises.id = placed.ours
        WHERE theirs.run = :run AND (ours.value, ours.reply) IS NOT (theirs.value, theirs.reply) LIMIT 1
    """,
}

# The rows of a run that are not here yet.
COPY = {
    "gen": """
        INSERT INTO main.drafts (run, premise, role, text, raw, problem, prompt, masked, tokens)
        SELECT :run, placed.ours, role, theirs.text, raw, problem, asked.id, masked, tokens
        FROM other.drafts AS theirs JOIN placed ON placed.theirs = theirs.premise
        JOIN other.prompts ON prompts.id = theirs.prompt JOIN main.prompts AS asked ON asked.text = prompts.text
        WHERE theirs.run = :run AND NOT EXISTS
            (SELECT 1 FROM main.drafts WHERE run = :run AND premise = placed.ours AND role = theirs.role)
    """,
    "score": """
        INSERT INTO main.scores (run, premise, role, value, reply)
        SELECT :run, placed.ours, role, value, reply
        FROM other.scores AS theirs JOIN placed ON placed.theirs = theirs.premise
        WHERE theirs.run = :run AND NOT EXISTS
            (SELECT 1 FROM main.scores WHERE run = :run AND premise = placed.ours AND role = theirs.role)
    """,
}
COUNT = {
    "gen": "SELECT count(*) FROM other.drafts WHERE run = ?",
    "score": "SELECT count(*) FROM other.scores WHERE run = ?",
}


@dataclass(frozen=True)
class Merged:
    """What a store gave to one run: rows that were new and rows that were there already."""

    run: str
    stage: str
    added: int
    same: int


def check(paths: Sequence[Path], target: Path) -> list[dict[str, int]]:
    """Refuse what cannot be merged before anything is written; for each store, the rows that will stay behind by table."""
    for path in paths:
        if not path.exists():
            raise Problem(f"there is no store at {path}", "give the files that `multicsr gen --shard` wrote")
        if target.exists() and path.samefile(target):
            raise Problem(f"{path} is the store that is merged into", "leave it out, or give another db=PATH")
    behind = []
    for path in paths:
        store = Store.open(path, create=False, write=False)
        counted = {table: int(store.one(f"SELECT count(*) FROM {table}")[0]) for table in NOT_MERGED}
        behind.append({table: count for table, count in counted.items() if count})
        store.close()
    return behind


def merge(store: Store, path: Path) -> list[Merged]:
    """Copy what the store at `path` has and `store` lacks, all or nothing.

    Raises Problem where both have a row and not the same, and where a run of either is being written.
    """
    other = Store.open(path, create=False, write=False)
    try:
        runs = [
            other.run(id) for (id,) in other.rows("SELECT id FROM runs WHERE stage IN (?, ?) ORDER BY rowid", STAGES)
        ]
    finally:
        other.close()  # before it is attached: the last to leave tidies its journal away, which a reader cannot
    with ExitStack() as held:
        for run in runs:
            if not run.finished:
                held.enter_context(other.only_writer(run))
            held.enter_context(store.only_writer(run))
        with _attached(store, path), store.writing() as connection:
            _sources(connection, path)
            _premises(connection, path)
            _prompts(connection)
            merged = [_run(connection, path, run) for run in runs]
        for run in runs:
            _finish_if_whole(store, store.run(run.id))
    return merged


@contextmanager
def _attached(store: Store, path: Path) -> Iterator[None]:
    try:
        store.connection.execute("ATTACH ? AS other", [str(path.resolve())])
        store.connection.execute("CREATE TEMP TABLE placed (theirs INTEGER PRIMARY KEY, ours INTEGER NOT NULL) STRICT")
    except sqlite3.Error as error:
        raise explain(error, path) or error from error
    try:
        yield
    finally:
        store.connection.execute("DROP TABLE placed")
        store.connection.execute("DETACH other")


def _sources(connection: sqlite3.Connection, path: Path) -> None:
    clash = connection.execute(
        "SELECT name FROM main.sources AS ours JOIN other.sources AS theirs USING (name) WHERE ours.digest <> theirs.digest"
    ).fetchone()
    if clash:
        raise _conflict(path, f"source {clash[0]} has another content there", "merge stores made from the same file")
    connection.execute(
        "INSERT INTO main.sources (name, path, digest, rows) SELECT name, path, digest, rows FROM other.sources"
        " WHERE name NOT IN (SELECT name FROM main.sources)"
    )


def _premises(connection: sqlite3.Connection, path: Path) -> None:
    """Add the premises that are not here; `placed` then tells the id here of each id there."""
    (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM main.premises").fetchone()
    connection.execute(
        "INSERT OR IGNORE INTO main.premises (source, position, text) SELECT source, position, text FROM other.premises"
        " WHERE source IN (SELECT name FROM main.sources WHERE imported IS NULL) ORDER BY id"
    )
    connection.execute(
        "INSERT INTO main.premises_fts (rowid, text) SELECT id, text FROM main.premises WHERE id > ?", [before]
    )
    connection.execute(
        "INSERT INTO placed SELECT theirs.id, ours.id FROM other.premises AS theirs JOIN main.premises AS ours"
        " ON ours.source = theirs.source AND ours.position = theirs.position AND ours.text = theirs.text"
    )
    clash = connection.execute(
        "SELECT source, position FROM other.premises WHERE id NOT IN (SELECT theirs FROM placed) LIMIT 1"
    ).fetchone()
    if clash:
        raise _conflict(
            path, f"position {clash[1]} of source {clash[0]} has another text there", "look at both premises"
        )
    connection.execute(
        "UPDATE main.sources SET imported = theirs.imported, rows = theirs.rows, duplicates = theirs.duplicates"
        " FROM other.sources AS theirs"
        " WHERE theirs.name = sources.name AND sources.imported IS NULL AND theirs.imported NOTNULL"
    )


def _prompts(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR IGNORE INTO main.prompt_sets SELECT * FROM other.prompt_sets")
    connection.execute("INSERT OR IGNORE INTO main.prompts (text) SELECT text FROM other.prompts ORDER BY id")


def _run(connection: sqlite3.Connection, path: Path, run: Run) -> Merged:
    """Add the rows of one run; where it is finished there, it is finished here."""
    different = connection.execute(DIFFERENT[run.stage], {"run": run.id}).fetchone()
    if different:
        source, position, role = different
        raise _conflict(
            path,
            f"{run.stage} run {run.id} has another {role} there for position {position} of source {source}",
            "let one store write a premise, or compute in float32",
        )
    known = (
        connection.execute("INSERT OR IGNORE INTO main.runs SELECT * FROM other.runs WHERE id = ?", [run.id]).rowcount
        == 0
    )
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM main.drafts").fetchone()
    added = connection.execute(COPY[run.stage], {"run": run.id}).rowcount
    connection.execute(
        "INSERT INTO main.drafts_fts (rowid, text) SELECT id, text FROM main.drafts WHERE id > ?", [last]
    )
    if known and added and run.config.get("base_url"):
        # What a run spent is counted once a run, not once a row: what these rows took of it cannot be told.
        raise _conflict(
            path,
            f"{run.stage} run {run.id} asked a server from several stores, and what it spent cannot be added up",
            "go on in one store: in_flight=N asks for many at a time",
        )
    connection.execute(
        "UPDATE main.runs SET finished = theirs.finished, counts = theirs.counts FROM other.runs AS theirs"
        " WHERE runs.id = ? AND theirs.id = runs.id AND runs.finished IS NULL AND theirs.finished NOTNULL",
        [run.id],
    )
    (there,) = connection.execute(COUNT[run.stage], [run.id]).fetchone()
    return Merged(run.id, run.stage, added, there - added)


def _finish_if_whole(store: Store, run: Run) -> None:
    """Finish a run whose last missing row has come."""
    if run.finished:
        return
    if run.stage == "score":
        if store.parent(run).finished and not scores.missing(store, run, after=0, limit=1):
            store.finish(run, scores.counts(store, run))
        return
    source = run.config.get("premises")  # an imported corpus is finished where it was imported
    if source is None or not premises.is_imported(store, source):
        return
    if drafts.done(store, run) == premises.count(store, source, run.config["limit"]):
        store.finish(run, drafts.counts(store, run))


def _conflict(path: Path, what: str, remedy: str) -> Problem:
    return Problem(f"{path} cannot be merged: {what}", f"{remedy}; nothing of {path.name} was taken")
