"""The command line: the app, its commands, and the one place where a problem becomes an exit code."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from multicsr_cli import screen
from multicsr_cli.commands import (
    curate,
    data,
    evaluate,
    export,
    gen,
    imports,
    inspect,
    merge,
    models,
    report,
    reproduce,
    runs,
    score,
    search,
    store,
    train,
)
from store.problem import Problem

INTERRUPTED = 130  # what a shell expects after Ctrl-C


class Boundary(TyperGroup):
    """Problems the user can mend end here, in two lines and exit 1. Anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            screen.complain(*self._as_typed(problem))
        except sqlite3.Error as error:
            from store.opening import explain

            known = explain(error, ctx.params.get("db"))
            if known is None:
                raise
            screen.complain(known.what, known.remedy)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
                raise
            screen.complain(
                f"{error.filename or 'a file'}: {error.strerror}", "make room or give write permission there"
            )
        except screen.Stopped as stopped:
            screen.say(f"stopped. {stopped}")
            raise typer.Exit(INTERRUPTED) from None
        except KeyboardInterrupt:
            screen.say("stopped. What was written is stored; the same command goes on.")
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(1)

    def _as_typed(self, problem: Problem) -> tuple[str, str]:
        """What and remedy with settings as flags: the one that `what` begins with, and every `name=value`."""
        flags = {name: flag for command in self.commands.values() for name, flag in _flags(command)}
        what = problem.what
        if problem.setting in flags and what.startswith(problem.setting):
            what = flags[problem.setting] + what[len(problem.setting) :]
        told = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, flags))})=(?=\S)(True\b)?")
        spelled = [
            told.sub(lambda match: flags[match[1]] + ("" if match[2] else " "), text) for text in (what, problem.remedy)
        ]
        return spelled[0], spelled[1]


def _flags(command: Any) -> Iterator[tuple[str, str]]:
    """The options of a command, or of a group's commands: Python name, flag."""
    for inner in getattr(command, "commands", {}).values():
        yield from _flags(inner)
    for option in command.params:
        if option.opts[0].startswith("--"):
            yield option.name, option.opts[0]


app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn unlabeled sentences into a sentence-embedding model with the help of a language model (MultiCSR).",
)
app.command("gen", short_help="Write an entailment and a contradiction for each premise.")(gen.command)
app.command("score", short_help="Let the LLM score each hypothesis against its premise.")(score.command)
app.command("curate", short_help="Keep the triplets whose scores fit; free to try again.")(curate.command)
app.command("train", short_help="Train an encoder with false negatives masked.")(train.command)
app.command("eval", short_help="Measure an encoder, or an LLM as scorer, on many tasks.")(evaluate.command)
app.command("inspect", short_help="Browse triplets, and why each was kept or refused.")(inspect.command)
app.command("search", short_help="Show the sentences of a file nearest to a text.")(search.command)
app.command("export", short_help="Write triplets to a file that other trainers read.")(export.command)
app.command("import", short_help="Take triplets made elsewhere.")(imports.command)
app.command("merge", short_help="Join the stores that shards were written into.")(merge.command)
app.command("store", short_help="List the store's tables and views, for those who query it.")(store.command)
app.command("report", short_help="Write one page about a run and all it was made from.")(report.command)
app.command("runs", short_help="List every run and its command; or the leaderboard.")(runs.command)
app.command("models", short_help="List the model aliases and what is installed.")(models.command)
app.command("reproduce", short_help="Run the paper's experiments: tables, plots, reports.")(reproduce.command)
app.add_typer(data.app, name="data")


def main() -> None:
    """The console script."""
    app(prog_name="multicsr")
