"""`multicsr score`: hypotheses -> scores."""

from __future__ import annotations

from typing import Any

import multicsr.score
from multicsr.job import Means
from multicsr.means.server import Server, cells
from multicsr.means.told import taken_apart
from multicsr.means.workplace import Workplace
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Db, Device, Json, RunName
from stages.config import ScoreConfig


@options.takes(ScoreConfig, Server, Workplace)
def command(
    run: RunName = "latest",
    *,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
    **told: Any,
) -> None:
    """Let the LLM, or another model, score how similar each hypothesis is to its premise, from 0 to 5."""
    workplace, server, told = taken_apart(told)
    means = Means(device, options.batch_size(batch), workplace=workplace)
    from store.database import Store
    from store.rows import drafts

    store = Store.open(db, create=False)
    written = store.find(run, ("gen",))
    wanted = multicsr.score.job(store, written, means=means, server=server, **told)
    if "by" not in told and wanted.config["by"] == "likelihood":
        small = f"{wanted.config['llm']} is too small to answer with a number"
        screen.say(f"{small}: scoring by likelihood (--by prompt asks it anyway)")
    made = screen.drive(wanted)
    done = made.run
    result = {"run": done.id, "parent": done.parent, **done.counts, "seconds": round(made.seconds, 3)}
    result |= server.cost(done.counts)
    if json:
        screen.document(result)
        return
    screen.facts(f"score {done.id}", cells(result)[1:])
    sweep = "" if drafts.are_rewrites(store, written) else f"multicsr curate {done.id} --sweep   then   "
    screen.say(f"next: {sweep}multicsr curate {done.id}")
