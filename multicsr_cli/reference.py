"""The reference of the command line, made from the help of every command: `docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

WIDTH = 100  # of a line of help, whatever the terminal

HEAD = """\
# The command line

What `--help` says of every command. This page is made from it: `make docs`.

Every command takes `--db PATH` (or `MULTICSR_DB`) and `--json`. Results go to stdout, talk to stderr. Exit codes: 0 done,
1 a problem that you can mend, told in two lines, 2 wrong usage, 130 interrupted. The same command is the same run: it goes
on where it stopped, or says that it is complete. A RUN is an id, the unique beginning of one, or `latest`. The same from
Python: [python.md](python.md).
"""


def markdown() -> str:
    """The page: each command with its help, in the order in which the app lists them."""
    from typer.main import get_command

    from multicsr_cli.main import app

    helps = list(_helps(get_command(app), "multicsr"))
    contents = "".join(f"- [`{name}`](#{name.replace(' ', '-')})\n" for name, _ in helps)
    return "\n".join([HEAD, contents, *(f"## {name}\n\n```text\n{text}\n```\n" for name, text in helps)])


def _helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """A command and those below it: (what is typed, its help)."""
    context = command.context_class(command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=WIDTH)
    yield name, command.get_help(context)
    for inner, below in getattr(command, "commands", {}).items():
        yield from _helps(below, f"{name} {inner}", context)


if __name__ == "__main__":
    sys.stdout.write(markdown())
