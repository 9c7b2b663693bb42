"""What a shell or a notebook tells a stage, taken apart. Arrow: names and values -> workplace, server, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from multicsr.means.server import Server
from multicsr.means.workplace import Workplace
from stages.settings import settings_of


class Told(NamedTuple):
    """`settings` are those of the stage itself."""

    workplace: Workplace
    server: Server
    settings: dict[str, Any]


def taken_apart(told: Mapping[str, Any]) -> Told:
    """Raises Problem for a workplace or a server that cannot be."""
    parts = [
        {setting.name: told[setting.name] for setting in settings_of(kind) if setting.name in told}
        for kind in (Workplace, Server)
    ]
    rest = {name: value for name, value in told.items() if name not in parts[0] and name not in parts[1]}
    return Told(Workplace(**parts[0]), Server(**parts[1]), rest)
