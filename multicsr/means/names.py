"""What names mean, found and checked before a stage begins. Arrow: names -> premises, devices, LLMs.

Raises Problem before anything is written or loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.means import server as hosted
from multicsr.means.server import Reached, Server
from store.problem import Problem

if TYPE_CHECKING:
    from stages.files.sources import AskedBy, Source
    from stages.models.catalog import Located
    from store.database import Store


def premises_of(store: Store, premises: str | Path | Iterable[Any] | Source, column: str | None = None) -> Source:
    """The premises that are meant: `bundled`, a file, `-` for standard input, texts, or the name of a source in the store.

    With a `column` the texts are read off rows (a `datasets.Dataset`, say). Raises Problem for what is no sentence.
    """
    from stages.files import texts
    from stages.files.sources import Source

    if isinstance(premises, Source):
        return premises
    if not isinstance(premises, str | Path):
        return texts.source(premises, column)
    stored = None if column is not None or Path(premises).exists() else texts.stored(store, str(premises))
    return stored or read_source(str(premises), column)


def read_source(premises: str, column: str | None = None, asked: AskedBy | None = None) -> Source:
    """Check a file of sentences, what comes on standard input, or the bundled premises; `asked` says by which settings it
    was given, where it is not the premises."""
    from stages.files import sources

    asked = asked or sources.PREMISES
    if premises == "bundled":
        if column is not None:
            raise Problem(f"column {column} goes with a file, and the premises are bundled", "leave it out", "column")
        return sources.bundled()
    if premises == "-":
        return sources.standard_input(column, asked)
    return sources.source(Path(premises), column, asked=asked)


def notes_of(**told: str | Path | None) -> dict[str, str]:
    """Settings as they were told, for the command that makes the run again; files by their full path."""
    notes = {}
    for name, value in told.items():
        if value is not None:
            path = Path(value)
            notes[name] = str(path.absolute()) if path.exists() else str(value)
    return notes


def reach(name: str, server: Server, device: str, dtype: str, stop: Sequence[str]) -> Reached:
    """Find the LLM called `name`, on this machine or behind a server, which may stop writing at the texts `stop`.

    Raises Problem.
    """
    from stages.models import catalog

    if catalog.is_hosted(name):
        return hosted.reach(name, server, device, dtype, stop)
    if given := server.given():
        raise Problem(f"{given} goes with a hosted LLM, openai:MODEL, and the LLM is {name}", "leave it out", given)
    located = catalog.locate(name, "llm")
    where, number_format = resolve(device, dtype)
    return Reached(located.fingerprint, where, number_format, None, language_model(located, where, number_format))


def resolve(device: str, dtype: str) -> tuple[str, str]:
    """(device, number format) that are meant, `auto` by what this machine has. Raises Problem for one that it has not."""
    if dtype not in ("auto", "float32", "bfloat16"):
        raise Problem(f"dtype {dtype!r} is not known", "give auto, float32 or bfloat16", "dtype")
    from stages.models import device as devices

    where = devices.device(device)
    return where, devices.dtype(dtype, where)


def language_model(located: Located, where: str, dtype: str) -> Callable[[], Any]:
    """A function that loads the LLM when it is first needed."""

    def load() -> Any:
        from stages.models import loading

        return loading.language_model(located, where, dtype)

    return load
