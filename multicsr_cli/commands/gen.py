"""`multicsr gen`: premise -> hypotheses."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

import multicsr.gen
from multicsr.job import Made, Means
from multicsr.means.server import Server, cells
from multicsr.means.told import taken_apart
from multicsr.means.workplace import Workplace
from multicsr_cli import documents, options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Db, Device, Json
from stages.config import GenConfig
from store.records import WHOLE, Shard


@options.takes(GenConfig, Server, Workplace)
def command(
    *,
    column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of a CSV, TSV or JSONL file.")] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Write the I-th of N parts, I from 1, to be joined by `merge`."),
    ] = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
    **told: Any,
) -> None:
    """Write an entailment and a contradiction for each premise, by contrastive decoding; or CLAIF's rewrites."""
    workplace, server, told = taken_apart(told)
    means = Means(device, options.batch_size(batch), workplace=workplace)
    part = WHOLE if shard is None else options.shard(shard)
    from store.database import Store

    store = Store.promised(db)
    made = screen.drive(multicsr.gen.job(store, column=column, shard=part, means=means, server=server, **told))
    if not made.run.finished:
        _show_shard(store, made, part, json)
        return
    result = {**documents.of_gen(made), **server.cost(made.run.counts)}
    if json:
        screen.document(result)
        return
    problems = [(name, count) for name, count in made.run.counts.items() if name not in result]
    screen.facts(f"gen {made.run.id}", [*cells(result)[2:], *problems])
    screen.say(f"next: multicsr score {made.run.id}   or   multicsr inspect {made.run.id}")


def _show_shard(store: Any, made: Made, shard: Shard, json: bool) -> None:
    """What a shard has written of a run that others go on with."""
    from store.rows import drafts

    counted = replace(made, run=replace(made.run, counts=drafts.counts(store, made.run)))
    result = {**documents.of_gen(counted), "shard": str(shard)}
    if json:
        screen.document(result)
        return
    screen.facts(f"gen {made.run.id}", list(result.items())[2:])
    screen.say(f"shard {shard} is complete; when all are: multicsr merge STORE… --db PATH")
