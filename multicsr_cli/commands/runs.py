"""`multicsr runs`: every run, and the command that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr.command_line import command_line
from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import ListedRun


def command(
    leaderboard: Annotated[bool, typer.Option("--leaderboard", help="Models against tasks instead.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The leaderboard as Markdown.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """List every run: its stage, parent, state, counts, and the command that makes it."""
    if markdown and (json or not leaderboard):
        raise Problem("--markdown goes with --leaderboard, and without --json", "leave one of them out")
    from store.database import Store
    from store.read import runs

    store = Store.open(db, create=False, write=False)
    if leaderboard:
        from multicsr.report import leaderboard as standings
        from multicsr_cli import shown_leaderboard

        shown_leaderboard.show(standings.read(store), json=json, markdown=markdown)
        return
    listed = runs.listed(store)
    if json:
        screen.document({"runs": [_document(store, row) for row in listed]})
        return
    screen.table(
        str(db),
        ("run", "stage", "parent", "state", "done", "command"),
        [
            (row.run.id, row.run.stage, row.run.parent, _state(row.run), row.done, command_line(store, row.run))
            for row in listed
        ],
    )


def _document(store: Store, row: ListedRun) -> dict[str, Any]:
    return {
        "run": row.run.id,
        "stage": row.run.stage,
        "parent": row.run.parent,
        "state": _state(row.run),
        "done": row.done,
        "counts": row.run.counts,
        "started": row.started,
        "finished": row.run.finished,
        "command": command_line(store, row.run),
    }


def _state(run: Run) -> str:
    return "complete" if run.finished else "unfinished"
