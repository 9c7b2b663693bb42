"""Generation. Arrow: premise -> hypotheses; here, settings -> a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.job import Job, Means
from multicsr.means.demonstrations import Lent, lend
from multicsr.means.names import notes_of, premises_of, reach
from multicsr.means.server import NOWHERE, Server
from multicsr.means.workplace import Workplace
from stages.config import GenConfig
from stages.config.gen import TEMPERATURE, TOP_P
from stages.methods import METHODS, Method
from stages.settings import complete
from stages.stage import Tick, Ticks
from stages.texts import prompts as prompt_sets
from store.problem import Problem
from store.records import WHOLE, Shard
from store.rows import premises as rows

if TYPE_CHECKING:
    from stages.files.sources import Source
    from store.database import Store


USUAL = "multicsr"  # the method, unless another is told


def job(
    store: Store,
    premises: str | Path | Iterable[Any] | Source = "bundled",
    *,
    column: str | None = None,
    shard: Shard = WHOLE,
    means: Means = Means(),
    server: Server = NOWHERE,
    **told: Any,
) -> Job:
    """The writing of hypotheses for `premises`; those that are not in the store are imported first.

    `premises` are `bundled`, a file, `-` for standard input, texts, or rows with texts in `column`; the texts name the run,
    so the same texts go on with it. With a `shard`, only its part is written and the run stays open for the others.
    `told` are settings of GenConfig. Raises Problem for what cannot be, before anything is written.
    """
    from stages import gen
    from stages.models import catalog

    method, settings = _settings(told)
    source = premises_of(store, premises, column)
    lent = lend(settings, means.device)
    prompts = prompt_sets.load(settings.get("prompts") or catalog.prompts_for(settings["llm"])[0])
    method.refuse(prompts)
    reached = reach(settings["llm"], server, means.device, settings.get("dtype", "auto"), prompts.stop)
    if shard != WHOLE and reached.base_url is not None:
        # What each shard spent could not be added up twice, and none is needed.
        raise Problem(
            f"shard {shard} goes with an LLM on this machine, and {settings['llm']} is behind a server",
            "leave it out; in_flight=N asks for many at a time",
            "shard",
        )
    config = GenConfig(
        **settings
        | {"premises": source.name, "prompts": prompts.name, "prompts_digest": method.digest(prompts)}
        | {"llm_fingerprint": reached.fingerprint, "dtype": reached.dtype, "base_url": reached.base_url}
        | (lent.settings if lent else {})
    )
    means.workplace.refuse(config, reached.device)
    typed = {"column": source.column if source.column_given else None, "prompts": settings.get("prompts")}
    notes = notes_of(premises=source.shown, demonstrations=settings.get("demonstrations"), **typed)
    write = partial(gen.run, store, config, prompts, reached.load, means.batch, reached.device, notes, shard=shard)
    start = partial(_start, store, source, means.workplace, reached.device, lent, config, write)
    title = method.title.format(omega=config.omega) + ("" if shard == WHOLE else f", shard {shard}")
    return Job(store, "gen", gen.version(config), config, None, start, title, "premises")


def _settings(told: Mapping[str, Any]) -> tuple[Method, dict[str, Any]]:
    """The method that is told, and what is told over what it and the others usually are.

    Raises Problem for what is not known, is out of range or is not read.
    """
    told = {name: value for name, value in told.items() if value is not None}
    method = METHODS.get(told.get("method", USUAL), METHODS[USUAL])  # one that is not known is refused with all others
    if told.get("sample") is False and method.usual["sample"]:
        raise Problem(
            f"sample False has no use with method={told['method']}, which always draws", "leave it out", "sample"
        )
    settings = complete(GenConfig, {**method.usual, **told})
    drawn = {"temperature": TEMPERATURE, "top_p": TOP_P} if settings["sample"] else {}
    usual = {"omega_contradiction": settings["omega"], **drawn}
    return method, settings | {name: value for name, value in usual.items() if settings.get(name) is None}


def _start(
    store: Store,
    source: Source,
    workplace: Workplace,
    device: str,
    lent: Lent | None,
    config: GenConfig,
    write: Callable[..., Ticks],
) -> Ticks:
    """Import the premises that are not in the store, then write what is missing of the run, or of one shard of it."""
    yield from _import(store, source)
    with workplace.opened(device) as engine:
        return (yield from write(demonstrations=lent and lent.opened(store, config), engine=engine))


def _import(store: Store, source: Source) -> Iterator[Tick]:
    if rows.is_imported(store, source.name):
        return
    note = "importing premises"
    for done in rows.add(store, source.name, str(source.path), source.digest, source.rows, source.texts()):
        yield Tick(done, source.rows, note)
    repeated = rows.duplicates(store, source.name)
    if repeated or source.blank:
        left_out = f"{source.path.name}: {repeated:,} repeated and {source.blank:,} blank lines left out"
        yield Tick(0, 0, "", warning=left_out)
