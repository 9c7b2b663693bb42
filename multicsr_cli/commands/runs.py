"""`multicsr runs`: every run, and the command that makes it."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import screen
from multicsr_cli.commands import curate, evaluate, gen, imports, score, train
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store

COMMANDS: dict[str, Any] = {
    "gen": gen.command,
    "import": imports.command,
    "score": score.command,
    "curate": curate.command,
    "train": train.command,
    "eval": evaluate.command,
}

# Flags whose value is a file or a name in it: noted with the run, since the config holds the content instead.
NOTED = ("premises", "column", "prompts", "demonstrations", "dev", "task", "data", "probe", "whiten", "whiten_column")

# The two files of --bitext.
TRANSLATIONS = ("bitext_first", "bitext_second")

# Config fields that no flag sets: they name the content behind a flag's value.
DERIVED = ("_fingerprint", "_digest")


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
        from multicsr.report import leaderboard as board

        board.show(board.read(store), json=json, markdown=markdown)
        return
    listed = runs.listed(store)
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
    from stages.tasks.bitext import called
    from store.read import runs

    noted = runs.environment(store, run)
    settings = {**run.config, **{flag: noted[flag] for flag in NOTED if flag in noted}}
    if "prompts" in settings:
        settings["prompts"] = noted.get("prompts")  # a set that was not named follows from the LLM, or the parent run
    name = "import" if settings.get("method") == "import" else run.stage
    if name == "import":
        settings = {flag: noted[flag] for flag in ("file", "columns") if flag in noted}
    words: list[str] = ["multicsr", name]
    if name == "import":
        words.append(settings.pop("file"))
    elif run.stage == "eval":
        words += ["--scorer"] if "by" in settings else []  # an encoder has no reading
        words.append(settings.pop("model"))
        translations = [noted[flag] for flag in TRANSLATIONS if flag in noted]
        words += ["--bitext", *translations] if translations else []
        own = {Path(settings.get("task", "")).name, *([called(*map(Path, translations))] if translations else [])}
        settings["tasks"] = ",".join(task for task in settings["tasks"] if task not in own) or None
    elif run.parent:
        words.append(run.parent)
    for joined in settings.pop("with_runs", []):
        words += ["--with", joined]
    defaults = inspect.signature(COMMANDS[name]).parameters
    for name, value in settings.items():
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        if value != default and value is not None and value is not False and not name.endswith(DERIVED):
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)
