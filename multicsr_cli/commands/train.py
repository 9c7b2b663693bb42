"""`multicsr train`: triplet -> checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr import corpora
from multicsr.names import notes_of, resolve
from multicsr.train import MASK_MODEL, SIGMA, TAU, Means, Settings, make, model_folder
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Dtype, Json, RunName
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.models.training.ranks import Ranks
    from store.database import Store


def command(
    run: RunName = "latest",
    base: Annotated[str, typer.Option(metavar="NAME", help="The encoder to train.")] = Settings.base,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="multicsr, multicsr-released, simcse, simcse-unsup (premises alone), clhaif or claif."
        ),
    ] = Settings.objective,
    clhaif: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="positive, or all: the other columns share 1 - s.", show_default="positive"),
    ] = None,
    mask_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|none",
            help="The frozen encoder that finds false negatives; self: the base, after simcse-unsup on the premises.",
            show_default=MASK_MODEL,
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            metavar="F",
            help="Mask negatives at least this similar.",
            show_default=str(SIGMA),
        ),
    ] = None,
    tau: Annotated[
        float | None,
        typer.Option(parser=options.number, metavar="F", help="Temperature.", show_default=str(TAU)),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Add RankCSE's terms: listnet or listmle.", show_default=False),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The frozen encoder that --rank learns from.", show_default="the mask model"),
    ] = None,
    whiten: Annotated[
        bool, typer.Option("--whiten", help="Whiten the trained vectors by the sentences they were trained on.")
    ] = False,
    whiten_dim: Annotated[
        int | None,
        typer.Option(metavar="N", help="Dimensions that whitening leaves.", show_default="all that vary"),
    ] = None,
    train_batch: Annotated[
        int | None,
        typer.Option(metavar="N", help="Triplets a step.", show_default="32 for an embedded base, else the paper's"),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Texts of a step encoded at once: memory only, at the cost of encoding them twice.",
            show_default="all",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="3; 1 for simcse-unsup where the base is not embedded"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            metavar="F",
            help="Learning rate.",
            show_default="1e-4 for an embedded base, else the paper's",
        ),
    ] = None,
    max_length: Annotated[
        int, typer.Option(metavar="N", help="Tokens a sentence is cut to while training.")
    ] = Settings.max_length,
    pooler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mean, cls, cls_before_pooler, first_last_mean or prompt.",
            show_default="the base's own",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N")] = Settings.seed,
    dev: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="mini, stsb, sickr, or a CSV, TSV or JSONL of your own pairs.")
    ] = Settings.dev,
    eval_every: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Steps between dev measurements.", show_default="a quarter of the steps, at most 125"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also put the trained model here.", show_default=False)
    ] = None,
    joined: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="FILE|RUN",
            help="Also train on a labelled corpus, as `import` reads it, or on another run; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Train an encoder on the triplets of a curate run, or of a gen run as they are."""
    if int(os.environ.get("RANK", "0")) > 0:  # by torchrun
        _follow(device, dtype)
        return
    size = options.batch_size(batch)
    if chunk is not None and chunk < 1:
        raise Problem(f"--chunk must be at least 1, not {chunk}", "give --chunk 64, say")
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Problem(f"--out {out} exists and is not an empty folder", "give a folder that is new or empty")
    from store.database import Store

    store = Store.open(db, create=False)
    parent = store.find(run, ("curate", "gen") if run != "latest" else ("curate",))
    with _met(device, dtype) as ranks:
        told = Settings(
            base=base,
            objective=objective,
            clhaif=clhaif,
            mask_model=mask_model,
            sigma=sigma,
            tau=tau,
            rank=rank,
            teacher=teacher,
            whiten=whiten,
            whiten_dim=whiten_dim,
            train_batch=train_batch,
            epochs=epochs,
            lr=lr,
            max_length=max_length,
            pooler=pooler,
            seed=seed,
            dev=dev,
            eval_every=eval_every,
        )
        means = Means(device, dtype, data, size, chunk, ranks)
        done, work = make(store, parent, told, means, [join(store, name, objective) for name in joined or []])
    if out is not None:
        from stages.models import checkpoint

        made = model_folder(store, done)
        checkpoint.whole(out, lambda target: shutil.copytree(made, target, dirs_exist_ok=True))
    result = summary(store, done, work, out)
    if json:
        screen.document(result)
        return
    apart = ("run", "dev", "masked_share", "whitened", "triplets_from")
    shown = [(key, value) for key, value in result.items() if key not in apart]
    shown += [(f"triplets of {id}", count) for id, count in result.get("triplets_from", {}).items()]
    dev_shown = f"{result['dev']['task']} spearman {result['dev']['spearman']:.2f}"
    if "whitened" in result:
        shown.append(("whitened", "to {dimensions} dimensions, spearman {spearman:.2f}".format(**result["whitened"])))
    masked = f"{100 * result['masked_share']:.3f} % of negatives"
    screen.facts(f"train {done.id}", [*shown, ("dev (chose the step)", dev_shown), ("masked", masked)])
    screen.say(f"next: multicsr eval {done.id}")


@contextmanager
def _met(device: str, dtype: str) -> Iterator[Ranks | None]:
    """The processes that `torchrun` started, met; None for one without others."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    from stages.models.training import ranks

    with ranks.joined(resolve(device, dtype)[0]) as met:
        yield met


def _follow(device: str, dtype: str) -> None:
    """Encode what the leader says; a follower opens no store and shows nothing."""
    from stages.models.training import parts

    with _met(device, dtype) as ranks:
        assert ranks is not None
        parts.follow(ranks, resolve(device, dtype)[0])


def join(store: Store, name: str, objective: str) -> Run:
    """The run behind --with: a file is imported, which by its content is one run however often it is named."""
    from stages.config.train import SCORED
    from stages.files import corpora as stage

    path = Path(name)
    if not path.exists():
        try:
            return store.find(name, ("curate", "gen"))
        except Problem as problem:
            raise Problem(f"--with {name} is no file, and {problem.what}", problem.remedy) from None
    if objective in SCORED:
        raise Problem(
            f"--objective {objective} learns from scores, and --with {name} is a file",
            "`multicsr import` it, score it if it has no scores, curate it, and give that curate run: --with RUN",
        )
    return screen.drive(corpora.job(store, stage.corpus(path), notes_of(file=path))).run


def summary(store: Store, run: Run, work: screen.Work, out: Path | None) -> dict[str, Any]:
    """The JSON document of the contract."""
    folder = str(out or model_folder(store, run))
    return {"run": run.id, "parent": run.parent, **run.counts, "checkpoint": folder, "seconds": round(work.seconds, 3)}
