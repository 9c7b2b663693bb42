"""The command line for tests: run in this process (torch is loaded once), or as a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rows import dump

BIN = Path(sys.executable).with_name("multicsr")


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)


def multicsr(*args: object, stdin: bytes = b"") -> Ended:
    """Run a command here. An exception that is no exit comes through: it would have been a traceback."""
    out, err, code, before = io.StringIO(), io.StringIO(), 0, sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            _command()(args=[str(arg) for arg in args], prog_name="multicsr")
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    finally:
        sys.stdin = before
    return Ended(code, out.getvalue(), err.getvalue())


@cache
def _command() -> Callable[..., Any]:
    """The app as typer calls it, without reading the signatures of all commands anew each time."""
    from typer.main import get_command

    from multicsr_cli.main import app

    return get_command(app)


def start(*args: object, **kwargs: Any) -> subprocess.Popen[str]:
    """Start a command as a process, on one thread, without network."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(BIN), *(str(arg) for arg in args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **kwargs,
    )


def process(*args: object, **kwargs: Any) -> Ended:
    """Run a command as a process to its end."""
    going = start(*args, **kwargs)
    out, err = going.communicate()
    return Ended(going.returncode, out, err)


def refused(db: Path, *args: object, **kwargs: Any) -> Ended:
    """A wrong input: exit 1, one line what, one line what to do, nothing else, and the store as it was."""
    before, files = dump(db), sorted(db.parent.iterdir())
    ended = multicsr(*args, "--db", db, **kwargs)
    assert_problem(ended)
    assert dump(db) == before
    if before is None:
        assert sorted(db.parent.iterdir()) == files  # neither a store nor its folder was made
    return ended


def assert_problem(ended: Ended) -> None:
    lines = ended.err.splitlines()
    assert ended.code == 1, (ended.code, ended.err)
    assert sum(line.startswith("error: ") for line in lines) == 1, ended.err
    assert sum(line.startswith("  try: ") for line in lines) == 1, ended.err
    assert "Traceback" not in ended.err
    assert "None" not in ended.err, ended.err
    assert "\x1b" not in ended.err
    assert ended.out == ""
