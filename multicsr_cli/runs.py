"""`multicsr runs`: every run, and the command that makes it."""

from __future__ import annotations

import inspect
import shlex
from typing import TYPE_CHECKING, Any

from multicsr_cli import curate, gen, score, screen, train
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store

COMMANDS: dict[str, Any] = {
    "gen": gen.command,
    "score": score.command,
    "curate": curate.command,
    "train": train.command,
}

# Config fields that no flag sets: they name the content behind a flag's value.
DERIVED = ("_fingerprint", "_digest")


def command(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List every run: its stage, parent, state, counts, and the command that makes it."""
    from store import browse
    from store.database import Store

    store = Store.open(db, create=False, write=False)
    listed = browse.runs(store)
    if json:
        screen.document(
            {
                "runs": [
                    {
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
                    for row in listed
                ]
            }
        )
        return
    screen.table(
        str(db),
        ("run", "stage", "parent", "state", "done", "command"),
        [
            (row.run.id, row.run.stage, row.run.parent, _state(row.run), row.done, command_line(store, row.run))
            for row in listed
        ],
    )


def _state(run: Run) -> str:
    return "complete" if run.finished else "unfinished"


def command_line(store: Store, run: Run) -> str:
    """The command that makes (or resumes) a run; settings that are the command's own defaults are left out."""
    from store import browse

    words: list[str] = ["multicsr", run.stage]
    if run.stage == "eval":
        words += [run.config["model"], "--tasks", ",".join(run.config["tasks"])]
        return shlex.join(words)
    if run.parent:
        words.append(run.parent)
    defaults = inspect.signature(COMMANDS[run.stage]).parameters
    for name, value in run.config.items():
        if name == "premises" and not str(value).startswith("bundled@"):
            words += ["--premises", browse.source_path(store, value)]
        elif name != "premises" and (name not in defaults or value != defaults[name].default):
            words += _flag(name, value)
    return shlex.join(words)


def _flag(name: str, value: Any) -> list[str]:
    if name.endswith(DERIVED) or value is None or value is False:
        return []
    flag = f"--{name.replace('_', '-')}"
    return [flag] if value is True else [flag, f"{value:g}" if isinstance(value, float) else str(value)]
