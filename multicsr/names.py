"""What flags name, found and checked before a stage begins. Arrow: names -> premises, devices, LLMs.

Raises Problem before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr import server as hosted
from multicsr.server import Reached, Server
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.demonstrations import Shown
    from stages.files.sources import Asked, Source
    from stages.models.catalog import Located


@dataclass(frozen=True)
class Plan:
    """A run ready to be made: its config, its prompts, how to load its LLM on which device, and the flags whose exact
    spelling the config does not keep."""

    config: Any
    prompts: Any
    load: Callable[[], Any]
    device: str
    notes: dict[str, str]
    shown: Shown | None = None


def read_source(premises: str, column: str | None = None, asked: Asked | None = None) -> Source:
    """Check a file of sentences, what comes on standard input, or the bundled premises; `asked` says by which settings it
    was given, where it is not the premises."""
    from stages.files import sources

    asked = asked or sources.PREMISES
    if premises == "bundled":
        return sources.bundled()
    if premises == "-":
        return sources.standard_input(column, asked)
    return sources.source(Path(premises), column, asked=asked)


def notes_of(**flags: str | Path | None) -> dict[str, str]:
    """Flags as typed, for the command that `multicsr runs` shows; files by their full path."""
    found = {}
    for name, value in flags.items():
        if value is not None:
            path = Path(value)
            found[name] = str(path.absolute()) if path.exists() else str(value)
    return found


def reach(name: str, server: Server, device: str, dtype: str, stop: Sequence[str]) -> Reached:
    """Find the LLM called `name`, on this machine or behind a server, which may stop writing at the texts `stop`.

    Raises Problem.
    """
    from stages.models import catalog

    if catalog.is_hosted(name):
        return hosted.reach(name, server, device, dtype, stop)
    if given := server.given():
        raise Problem(f"{given} goes with a hosted LLM, openai:MODEL, and the LLM is {name}", "leave it out")
    found = catalog.locate(name, "llm")
    where, number_format = resolve(device, dtype)
    return Reached(found.fingerprint, where, number_format, None, language_model(found, where, number_format))


def resolve(device: str, dtype: str) -> tuple[str, str]:
    """(device, number format) behind --device and --dtype."""
    if dtype not in ("auto", "float32", "bfloat16"):
        raise Problem(f"--dtype {dtype!r} is not known", "give auto, float32 or bfloat16")
    from stages.models import device as devices

    where = devices.device(device)
    return where, devices.dtype(dtype, where)


def language_model(found: Located, where: str, dtype: str) -> Callable[[], Any]:
    """A function that loads the LLM when it is first needed."""

    def load() -> Any:
        from stages.models import loading

        return loading.language_model(found, where, dtype)

    return load
