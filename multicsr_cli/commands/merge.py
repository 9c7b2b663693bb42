"""`multicsr merge`: stores -> store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.records import Run


def command(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE", help="Stores that `gen --shard` wrote.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Copy what gen and score runs of other stores have into one, each row once; a run that is whole then is finished.

    Curations, reviews, trainings and measurements are not copied. Run again, it adds nothing.
    """
    from store.database import Store
    from store.rows import merging

    behind = merging.check(stores, db)
    store = Store.open(db)
    added: dict[str, int] = {}
    same: dict[str, int] = {}
    for path, left in zip(stores, behind, strict=True):
        for one in merging.merge(store, path):
            added[one.run] = added.get(one.run, 0) + one.added
            same[one.run] = same.get(one.run, 0) + one.same
        if left:
            tables = ", ".join(f"{count:,} {table}" for table, count in left.items())
            screen.say(f"{path}: not merged: {tables}")
    runs = [store.run(id) for id in added]
    if json:
        rows = [_document(run, added[run.id], same[run.id]) for run in runs]
        screen.document({"db": str(db), "stores": [str(path) for path in stores], "runs": rows})
        return
    screen.table(
        str(db),
        ("run", "stage", "rows added", "there already", "state"),
        [
            (run.id, run.stage, added[run.id], same[run.id], "complete" if run.finished else "unfinished")
            for run in runs
        ],
    )
    _say_next(runs)


def _document(run: Run, added: int, same: int) -> dict[str, Any]:
    return {"run": run.id, "stage": run.stage, "added": added, "same": same, "finished": run.finished is not None}


def _say_next(runs: Sequence[Run]) -> None:
    if not all(run.finished for run in runs):
        screen.say("next: merge the other shards, or write what is missing here: the same command without --shard")
    elif runs:
        onward = "curate" if runs[-1].stage == "score" else "score"
        screen.say(f"next: multicsr {onward} {runs[-1].id}")
