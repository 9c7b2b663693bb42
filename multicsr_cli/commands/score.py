"""`multicsr score`: hypotheses -> scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr.encoders import locate
from multicsr.names import Plan, notes_of, reach, resolve
from multicsr.server import NOWHERE, Server, cells
from multicsr.workplace import HERE, Workplace
from multicsr_cli import options, screen
from multicsr_cli.options import (
    DEFAULT_DB,
    BaseUrl,
    Batch,
    Db,
    Device,
    Dtype,
    EngineName,
    InFlight,
    Json,
    PriceIn,
    PriceOut,
    RayAddress,
    RunName,
    Timeout,
    Workers,
)
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store


def command(
    run: RunName = "latest",
    by: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="The LLM: prompt or likelihood. Without one: encoder:NAME, or nli:NAME (a classifier).",
            show_default="likelihood for smollm2, else prompt",
        ),
    ] = None,
    llm: Annotated[
        str | None, typer.Option(metavar="NAME", help="The LLM that scores.", show_default="the run's, or smollm2")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Prompt set.", show_default="the one that suits the LLM")
    ] = None,
    directions: Annotated[
        str | None,
        typer.Option(
            metavar="one|both",
            help="With likelihood: premise to hypothesis, or the mean of both ways.",
            show_default="both",
        ),
    ] = None,
    expected: Annotated[
        bool, typer.Option("--expected", help="With prompt: the mean of 0 to 5 under the LLM.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="0-5|0-1", help="With prompt: 0-1 asks for a reason too; stored is 0 to 5.", show_default="0-5"
        ),
    ] = None,
    base_url: BaseUrl = None,
    in_flight: InFlight = None,
    timeout: Timeout = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Let the LLM, or another model, score how similar each hypothesis is to its premise, from 0 to 5."""
    size, server = options.batch_size(batch), Server(base_url, in_flight, timeout, price_in, price_out)
    workplace = Workplace(engine, workers, ray_address)
    from store.database import Store
    from store.rows import drafts

    store = Store.open(db, create=False)
    parent = store.find(run, ("gen",))
    made = plan(
        store,
        parent,
        by=by,
        llm=llm,
        prompts=prompts,
        directions=directions,
        expected=expected,
        scale=scale,
        device=device,
        dtype=dtype,
        server=server,
    )
    workplace.refuse(made.config, made.device)
    if by is None and made.config.by == "likelihood":
        screen.say(
            f"{made.config.llm} is too small to answer with a number: scoring by likelihood (--by prompt asks it anyway)"
        )
    done, work = make(store, parent, made, size, workplace=workplace)
    result = {**summary(done, work), **server.cost(done.counts)}
    if json:
        screen.document(result)
    else:
        screen.facts(f"score {done.id}", cells(result)[1:])
        sweep = "" if drafts.are_rewrites(store, parent) else f"multicsr curate {done.id} --sweep   then   "
        screen.say(f"next: {sweep}multicsr curate {done.id}")


def plan(
    store: Store,
    parent: Run,
    *,
    by: str | None,
    llm: str | None,
    prompts: str | None = None,
    directions: str | None = None,
    expected: bool = False,
    scale: str | None = None,
    device: str,
    dtype: str,
    server: Server = NOWHERE,
) -> Plan:
    """Resolve names and settings into a config; the LLM, its server and prompts of the gen run unless told otherwise."""
    from stages import config as configs
    from stages.config import words

    if by is not None and by.partition(":")[0] in words.SCORERS:
        unread = {
            "llm": llm,
            "prompts": prompts,
            "directions": directions,
            "expected": expected or None,
            "scale": scale,
        }
        typed = [f"--{name}" for name, value in unread.items() if value is not None]
        if flag := next(iter(typed), server.given()):
            raise Problem(f"{flag} has no use with --by {by}, which asks no LLM", "leave it out")
        return _without_llm(store, by, device, dtype)
    from stages.models import catalog
    from stages.texts import prompts as prompt_sets
    from stages.texts import similarity
    from store.rows import drafts

    writer = parent.config.get("llm")  # imported triplets have none
    name = llm or writer or catalog.EMBEDDED["llm"]
    suits, usual = catalog.prompts_for(name)
    inherits = prompts is None and name == writer
    written_with = drafts.prompt_set(store, parent.config["prompts_digest"]) if inherits else None
    if written_with is not None:
        chosen = prompt_sets.parse(written_with[1], written_with[0])
    else:
        chosen = prompt_sets.load(prompts or suits)
    if name == writer and server.base_url is None:
        server = replace(server, base_url=parent.config.get("base_url"))
    reading = by or usual
    graded = scale == "0-1" and reading == "prompt"  # of the other reading the config will not hear
    if graded:
        chosen.graded()  # refused before any model is looked for
    found = reach(name, server, device, dtype, (similarity.END,))
    config = configs.ScoreConfig(
        llm=name,
        llm_fingerprint=found.fingerprint,
        prompts=chosen.name,
        prompts_digest=chosen.whole_digest if graded else chosen.digest,
        by=reading,
        expected=expected,
        scale=scale or "0-5",
        directions=directions or ("both" if reading == "likelihood" else "one"),
        dtype=found.dtype,
        base_url=found.base_url,
    )
    return Plan(config, chosen, found.load, found.device, notes_of(prompts=prompts))


def _without_llm(store: Store, by: str, device: str, dtype: str) -> Plan:
    """The same for encoder:NAME and nli:NAME."""
    from stages.config import ModelScoresConfig
    from stages.models import catalog
    from stages.models.encoder import labels, pooling

    kind, _, name = by.partition(":")
    if not name:
        raise Problem(f"--by {by} names no model", f"give --by {kind}:NAME: a local folder or a hub id")
    trained = None
    if kind == "encoder":
        trained, found = locate(store, name)
        if pooling.pooling_of(found) is None:
            raise Problem(f"{name} does not record how its tokens are pooled", "give an encoder that does")
        where, number_format = resolve(device, "float32" if dtype == "auto" else dtype)
    else:
        found = catalog.locate(name, "classifier")
        labels.columns(found)  # refused before a run is begun
        where, number_format = resolve(device, dtype)
    config = ModelScoresConfig(
        by=f"{kind}:{trained.id if trained else name}", model_fingerprint=found.fingerprint, dtype=number_format
    )

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(found, where) if kind == "encoder" else loading.classifier(found, where, number_format)

    return Plan(config, None, load, where, {})


def make(
    store: Store,
    parent: Run,
    made: Plan,
    batch: int | None,
    title: str | None = None,
    workplace: Workplace = HERE,
) -> tuple[Run, screen.Work]:
    """Score what is missing."""
    from stages import score

    with workplace.opened(made.device) as engine:
        ticks = score.run(store, made.config, parent, made.prompts, made.load, batch, made.device, made.notes, engine)
        work = screen.drive_ticks(ticks, title or f"score by {made.config.by}", "premises", announce=title is None)
    return store.begin("score", score.VERSION, made.config, parent.id), work


def summary(run: Run, work: screen.Work) -> dict[str, Any]:
    """The JSON document of the contract."""
    return {"run": run.id, "parent": run.parent, **run.counts, "seconds": round(work.seconds, 3)}
