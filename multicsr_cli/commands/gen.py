"""`multicsr gen`: premise -> hypotheses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr import demonstrations as showing
from multicsr import server as hosted
from multicsr.demonstrations import MASK_MODEL, MIN_SIMILARITY, SHOTS
from multicsr.names import Plan, notes_of, reach, read_source
from multicsr.server import NOWHERE, Server
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
    Timeout,
    Workers,
)
from store.problem import Problem
from store.records import WHOLE, Run, Shard

if TYPE_CHECKING:
    from stages.files.sources import Source
    from store.database import Store

OMEGA = 0.3  # the paper's

# Room for a hypothesis: hypotheses in NLI corpora have 8 words on average, and hardly one has 40.
MAX_TOKENS = 48


def command(
    premises: Annotated[
        str, typer.Option(metavar="bundled|FILE|-", help="Sentences: .txt, .csv, .tsv, .jsonl; - is stdin.")
    ] = "bundled",
    llm: Annotated[
        str, typer.Option(metavar="NAME", help="Alias, hub id, folder or openai:MODEL; see `multicsr models`.")
    ] = "smollm2",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="multicsr, or claif: nine rewrites of each premise, for pairs.")
    ] = "multicsr",
    omega: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            metavar="F",
            help="Weight of the opposite instruction.",
            show_default=f"{OMEGA:g}; 0 with claif",
        ),
    ] = None,
    omega_contradiction: Annotated[
        float | None,
        typer.Option(parser=options.number, metavar="F", help="The same for contradictions.", show_default="omega"),
    ] = None,
    nu: Annotated[
        float, typer.Option(parser=options.number, metavar="F", help="Weight of the instruction without any premise.")
    ] = 0.0,
    column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of a CSV, TSV or JSONL file.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first N distinct premises.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws instructions, and tokens with --sample.")] = 0,
    max_tokens: Annotated[int, typer.Option(metavar="N", help="A hypothesis without end is cut here.")] = MAX_TOKENS,
    sample: Annotated[bool, typer.Option("--sample", help="Draw tokens instead of taking the best.")] = False,
    temperature: Annotated[float, typer.Option(parser=options.number, metavar="F", help="With --sample.")] = 0.7,
    top_p: Annotated[float, typer.Option(parser=options.number, metavar="F", help="With --sample.")] = 0.9,
    prompts: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Prompt set.", show_default="the one that suits the LLM")
    ] = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Labelled triplets or NLI pairs to show, as `import` reads them.", show_default=False
        ),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(metavar="N", help="Nearest of them shown with a premise.", show_default=str(SHOTS)),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            metavar="F",
            help="Only those with a cosine of at least this.",
            show_default=str(MIN_SIMILARITY),
        ),
    ] = None,
    mask_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The encoder of that cosine.", show_default=MASK_MODEL)
    ] = None,
    base_url: BaseUrl = None,
    in_flight: InFlight = None,
    timeout: Timeout = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Write the I-th of N parts, I from 1, to be joined by `merge`."),
    ] = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    engine: EngineName = "local",
    workers: Workers = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Write an entailment and a contradiction for each premise, by contrastive decoding; or CLAIF's rewrites."""
    size, server = options.batch_size(batch), Server(base_url, in_flight, timeout, price_in, price_out)
    workplace = Workplace(engine, workers, ray_address)
    part = WHOLE if shard is None else options.shard(shard)
    source = read_source(premises, column)
    if premises == "bundled" and column:
        raise Problem("--column goes with a file, and --premises is bundled", "leave it out")
    made = plan(
        source,
        llm=llm,
        prompts=prompts,
        method=method,
        omega=omega,
        omega_contradiction=omega_contradiction,
        nu=nu,
        limit=limit,
        seed=seed,
        max_tokens=max_tokens,
        sample=sample,
        temperature=temperature,
        top_p=top_p,
        device=device,
        dtype=dtype,
        server=server,
        demonstrations=demonstrations,
        shots=shots,
        min_similarity=min_similarity,
        mask_model=mask_model,
    )
    if part != WHOLE and made.config.base_url is not None:
        # What each shard spent could not be added up twice, and none is needed.
        raise Problem(
            f"--shard {part} goes with an LLM on this machine, and {llm} is behind a server",
            "leave --shard out; --in-flight N asks for many at a time",
        )
    workplace.refuse(made.config, made.device)
    from store.database import Store

    store = Store.open(db)
    run, work = make(store, source, made, size, shard=part, workplace=workplace)
    if not run.finished:
        _say_shard(store, run, part, work, json)
        return
    result = {**summary(run, work), **server.cost(run.counts)}
    if json:
        screen.document(result)
    else:
        problems = [(name, count) for name, count in run.counts.items() if name not in result]
        screen.facts(f"gen {run.id}", [*hosted.cells(result)[2:], *problems])
        screen.say(f"next: multicsr score {run.id}   or   multicsr inspect {run.id}")


def _say_shard(store: Store, run: Run, shard: Shard, work: screen.Work, json: bool) -> None:
    """What a shard has written of a run that others go on with."""
    from store.rows import drafts

    result = {**summary(replace(run, counts=drafts.counts(store, run)), work), "shard": str(shard)}
    if json:
        screen.document(result)
        return
    screen.facts(f"gen {run.id}", list(result.items())[2:])
    screen.say(f"shard {shard} is complete; when all are: multicsr merge STORE… --db PATH")


def plan(
    source: Source,
    *,
    llm: str,
    prompts: str | None,
    omega: float | None,
    omega_contradiction: float | None,
    nu: float = 0.0,
    limit: int | None,
    seed: int,
    max_tokens: int = MAX_TOKENS,
    sample: bool = False,
    temperature: float = 0.7,
    top_p: float = 0.9,
    device: str,
    dtype: str,
    server: Server = NOWHERE,
    demonstrations: Path | None = None,
    shots: int | None = None,
    min_similarity: float | None = None,
    mask_model: str | None = None,
    method: str = "multicsr",
) -> Plan:
    """Resolve names and settings into a config. Raises Problem before anything is written."""
    from stages import config as configs
    from stages.claif import rewrites as rewriting
    from stages.models import catalog
    from stages.texts import prompts as prompt_sets

    shown, lent = None, dict[str, Any]()
    if demonstrations is not None:
        shown, lent = showing.lent(demonstrations, shots, min_similarity, mask_model or MASK_MODEL, device)
    for flag, value in (("shots", shots), ("min-similarity", min_similarity), ("mask-model", mask_model)):
        if demonstrations is None and value is not None:
            raise Problem(f"--{flag} {value} goes with --demonstrations", "leave it out, or give --demonstrations FILE")
    chosen = prompt_sets.load(prompts or catalog.prompts_for(llm)[0])
    rewrites = method == "claif"
    if rewrites and (chosen.rewrite is None or chosen.fill is None):
        raise rewriting.without_rewrites(chosen)
    if omega is None:
        omega = 0.0 if rewrites else OMEGA
    found = reach(llm, server, device, dtype, chosen.stop)
    config = configs.GenConfig(
        premises=source.name,
        llm=llm,
        llm_fingerprint=found.fingerprint,
        prompts=chosen.name,
        prompts_digest=chosen.whole_digest if rewrites else chosen.digest,
        omega=omega,
        omega_contradiction=omega if omega_contradiction is None else omega_contradiction,
        limit=limit,
        seed=seed,
        max_tokens=max_tokens,
        sample=sample or rewrites,
        temperature=temperature if sample or rewrites else None,
        top_p=top_p if sample or rewrites else None,
        dtype=found.dtype,
        base_url=found.base_url,
        nu=nu,
        **lent,
        method=method,
    )
    column = source.column if source.column_given else None
    notes = notes_of(premises=source.shown, column=column, prompts=prompts, demonstrations=demonstrations)
    return Plan(config, chosen, found.load, found.device, notes, shown)


def make(
    store: Store,
    source: Source,
    made: Plan,
    batch: int | None,
    title: str | None = None,
    shard: Shard = WHOLE,
    workplace: Workplace = HERE,
) -> tuple[Run, screen.Work]:
    """Import the premises that are not in the store, then write what is missing of the run, or of one shard of it.

    A caller of many runs gives each a `title`; one that is complete then passes in silence.
    """
    from stages import gen
    from stages.stage import Tick
    from store.rows import premises

    if not premises.is_imported(store, source.name):
        reading = premises.add(store, source.name, str(source.path), source.digest, source.rows, source.texts())
        screen.drive_ticks((Tick(done, source.rows, "") for done in reading), "import", "premises")
        repeated = premises.duplicates(store, source.name)
        if repeated or source.blank:
            screen.say(f"{source.path.name}: {repeated:,} repeated and {source.blank:,} blank lines left out")
    shown = showing.opened(store, made.config, made.shown) if made.shown else None
    what = "gen claif" if made.config.method == "claif" else f"gen ω {made.config.omega:g}"
    name = what if shard == WHOLE else f"{what}, shard {shard}"
    with workplace.opened(made.device) as engine:
        ticks = gen.run(
            store, made.config, made.prompts, made.load, batch, made.device, made.notes, shown, shard, engine
        )
        work = screen.drive_ticks(ticks, title or name, "premises", announce=title is None)
    return store.begin("gen", gen.VERSION, made.config, None), work


def summary(run: Run, work: screen.Work) -> dict[str, Any]:
    """The JSON document of the contract."""
    return {
        "run": run.id,
        "stage": run.stage,
        "premises": run.counts["premises"],
        "done": run.counts["premises"],
        "hypotheses": run.counts["hypotheses"],
        "seconds": round(work.seconds, 3),
        "premises_per_second": round(work.rate, 3),
    }
