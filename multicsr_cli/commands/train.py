"""`multicsr train`: triplet -> checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import multicsr.train
from multicsr.job import Means
from multicsr.means import ranks, training_encoders
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Json, RunName
from stages.config import TrainConfig


@options.takes(TrainConfig)
def command(
    run: RunName = "latest",
    *,
    chunk: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Texts of a step encoded at once: memory only, at the cost of encoding them twice.",
            show_default="all",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also put the trained model here.", show_default=False)
    ] = None,
    data: Data = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
    **told: Any,
) -> None:
    """Train an encoder on the triplets of a curate run, or of a gen run as they are."""
    if ranks.follows():  # started by torchrun
        ranks.follow(device)
        return
    size = options.batch_size(batch)
    multicsr.train.refuse_taken(out)
    from store.database import Store

    store = Store.open(db, create=False)
    parent = store.find(run, multicsr.train.SOURCES if run != "latest" else ("curate",))
    with ranks.met(device) as met:
        means = Means(device=device, batch=size, chunk=chunk, ranks=met)
        made = screen.drive(multicsr.train.job(store, parent, data=data, means=means, **told))
    done = made.run
    if out is not None:
        multicsr.train.copy_model(store, done, out)
    folder = str(out or training_encoders.model_folder(store, done))
    result = {"run": done.id, "parent": done.parent, **done.counts, "checkpoint": folder}
    result["seconds"] = round(made.seconds, 3)
    screen.document(result) if json else _show(result)


def _show(result: dict[str, Any]) -> None:
    apart = ("run", "dev", "sigma", "masked_share", "duplicates_masked", "whitened", "triplets_from")
    shown = [(key, value) for key, value in result.items() if key not in apart]
    shown += [(f"triplets of {id}", count) for id, count in result.get("triplets_from", {}).items()]
    dev = f"{result['dev']['task']} spearman {result['dev']['spearman']:.2f}"
    if "whitened" in result:
        shown.append(("whitened", "to {dimensions} dimensions, spearman {spearman:.2f}".format(**result["whitened"])))
    masked = f"{100 * result['masked_share']:.3f} % of negatives"
    masked += f", from σ {result['sigma']:.3f} on" if "sigma" in result else ""
    masked += f"; {again:,} were the own entailment again" if (again := result["duplicates_masked"]) else ""
    screen.facts(f"train {result['run']}", [*shown, ("dev (chose the step)", dev), ("masked", masked)])
    screen.say(f"next: multicsr eval {result['run']}")
