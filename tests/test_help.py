"""What `--help` says is part of the contract: it changes when somebody means to change it.

After such a change: MULTICSR_UPDATE_GOLDEN=1 pytest tests/test_help.py, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shell import multicsr

GOLDEN = Path(__file__).with_name("golden")
COMMANDS = (
    "",
    "gen",
    "score",
    "curate",
    "train",
    "eval",
    "inspect",
    "report",
    "search",
    "export",
    "import",
    "merge",
    "store",
    "runs",
    "models",
    "reproduce",
    "data list",
    "data fetch",
    "data verify",
)
GROUPS = ("data",)
EVERYWHERE = ("--db PATH", "--json")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", "100"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)


def shown(command: str) -> str:
    ended = multicsr(*command.split(), "--help")
    assert ended.code == 0
    assert ended.err == ""
    return ended.out


def golden(command: str) -> Path:
    return GOLDEN / f"help-{command.replace(' ', '-') or 'multicsr'}.txt"


@pytest.mark.parametrize("command", COMMANDS + GROUPS)
def test_help_is_the_golden_text(command: str) -> None:
    path, text = golden(command), shown(command)
    if os.environ.get("MULTICSR_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_every_command_has_the_options_that_all_share(command: str) -> None:
    assert all(option in shown(command) for option in EVERYWHERE)
    assert "\x1b" not in shown(command)
    assert max(map(len, shown(command).splitlines())) <= 100


def test_every_golden_text_belongs_to_a_command() -> None:
    assert set(GOLDEN.glob("help-*.txt")) == {golden(command) for command in COMMANDS + GROUPS}


def test_the_bare_command_shows_the_commands() -> None:
    ended = multicsr()
    assert all(command.split(" ")[0] in ended.out + ended.err for command in COMMANDS)
