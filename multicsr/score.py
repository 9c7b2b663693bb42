"""Scores. Arrow: hypotheses -> scores; here, settings -> a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from multicsr.job import Job, Means
from multicsr.means.names import notes_of, reach, resolve
from multicsr.means.server import NOWHERE, Server
from multicsr.means.workplace import Workplace
from stages.config import ModelScoresConfig, ScoreConfig
from stages.config.words import SCORERS
from stages.settings import complete, settings_of
from stages.stage import Ticks
from stages.texts import prompts as prompt_sets
from stages.texts import similarity
from store.problem import Problem
from store.records import Run
from store.rows import drafts

if TYPE_CHECKING:
    from stages.models.catalog import Located
    from stages.texts.prompts import PromptSet
    from store.database import Store


def job(store: Store, written: Run, *, means: Means = Means(), server: Server = NOWHERE, **told: Any) -> Job:
    """The scoring of the gen run `written`: by its own LLM, server and prompts unless others are told.

    `told` are settings of ScoreConfig, or of ModelScoresConfig with `by` encoder:NAME or nli:NAME. Raises Problem for what
    cannot be, before anything is written.
    """
    if str(told.get("by")).partition(":")[0] in SCORERS:
        return _by_model(store, written, means, server, told)
    from stages.models import catalog

    settings = complete(ScoreConfig, told)
    writer = written.config.get("llm")  # imported triplets have none
    llm = settings.get("llm") or writer or catalog.EMBEDDED["llm"]
    if llm == writer and server.base_url is None:
        server = replace(server, base_url=written.config.get("base_url"))
    prompts = _prompts(store, written, settings.get("prompts"), llm)
    by = settings.get("by") or catalog.prompts_for(llm)[1]
    graded = by == "prompt" and settings["scale"] == similarity.GRADED
    most = prompts.shots(by, graded)  # a question that is not there is refused before any model is looked for
    prompts.with_shots(by, settings.get("shots", most), graded)  # and so are more shots than there are
    reached = reach(llm, server, means.device, settings.get("dtype", "auto"), (similarity.END,))
    config = ScoreConfig(
        **{"directions": "both" if by == "likelihood" else "one", "shots": most}
        | settings
        | {"by": by, "llm": llm, "llm_fingerprint": reached.fingerprint, "prompts": prompts.name}
        | {"prompts_digest": prompts.whole_digest if graded else prompts.digest}
        | {"dtype": reached.dtype, "base_url": reached.base_url}
    )
    notes = notes_of(prompts=settings.get("prompts"))
    return _job(store, written, config, prompts, reached.load, reached.device, means, notes)


def _by_model(store: Store, written: Run, means: Means, server: Server, told: Mapping[str, Any]) -> Job:
    """The scoring by an encoder or a classifier."""
    by = told["by"]
    heard = {setting.name for setting in settings_of(ModelScoresConfig)}
    typed = (name for name, value in told.items() if name not in heard and value is not None and value is not False)
    if unread := next(typed, server.given()):
        raise Problem(f"{unread} has no use with by={by}, which asks no LLM", "leave it out", unread)
    settings = complete(ModelScoresConfig, told)
    kind, _, name = by.partition(":")
    if not name:
        raise Problem(f"by {by} names no model", f"give by={kind}:NAME, a local folder or a hub id", "by")
    find = _encoder if kind == "encoder" else _classifier
    called, located, device, dtype, load = find(store, name, means.device, settings.get("dtype", "auto"))
    config = ModelScoresConfig(by=f"{kind}:{called}", model_fingerprint=located.fingerprint, dtype=dtype)
    return _job(store, written, config, None, load, device, means, {})


# What a model is called, where it lies, the device and number format it works in, and how to load it.
Found = tuple[str, "Located", str, str, Callable[[], Any]]


def _encoder(store: Store, name: str, device: str, dtype: str) -> Found:
    from multicsr.means.encoders import locate
    from stages.models.encoder import pooling

    trained, located = locate(store, name)
    if pooling.pooling_of(located) is None:
        raise Problem(f"{name} does not record how its tokens are pooled", "give an encoder that does")
    where, number_format = resolve(device, "float32" if dtype == "auto" else dtype)

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(located, where)

    return trained.id if trained else name, located, where, number_format, load


def _classifier(store: Store, name: str, device: str, dtype: str) -> Found:
    from stages.models import catalog
    from stages.models.encoder import labels

    located = catalog.locate(name, "classifier")
    labels.columns(located)  # refused before a run is begun
    where, number_format = resolve(device, dtype)

    def load() -> Any:
        from stages.models import loading

        return loading.classifier(located, where, number_format)

    return name, located, where, number_format, load


def _prompts(store: Store, written: Run, name: str | None, llm: str) -> PromptSet:
    """The set that is told; or the one that `llm` wrote the hypotheses with, as it was then; or the one that suits it."""
    from stages.models import catalog

    inherits = name is None and llm == written.config.get("llm")
    kept = drafts.prompt_set(store, written.config["prompts_digest"]) if inherits else None
    if kept is not None:
        return prompt_sets.parse(kept[1], kept[0])
    return prompt_sets.load(name or catalog.prompts_for(llm)[0])


def _job(
    store: Store,
    written: Run,
    config: ScoreConfig | ModelScoresConfig,
    prompts: PromptSet | None,
    load: Callable[[], Any],
    device: str,
    means: Means,
    notes: Mapping[str, str],
) -> Job:
    from stages import score

    means.workplace.refuse(config, device)

    run = partial(score.run, store, config, written, prompts, load, means.batch, device, notes)
    start = partial(_start, means.workplace, device, run)
    return Job(store, "score", score.VERSION, config, written.id, start, f"score by {config.by}", "premises")


def _start(workplace: Workplace, device: str, score: Callable[..., Ticks]) -> Ticks:
    with workplace.opened(device) as engine:
        return (yield from score(engine=engine))
