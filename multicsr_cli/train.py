"""`multicsr train`: triplet -> checkpoint."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import imports, options, screen
from multicsr_cli.gen import notes_of, resolve
from multicsr_cli.options import DEFAULT_DB, Batch, Data, Db, Device, Dtype, Json, RunName
from store.records import Problem, Run

if TYPE_CHECKING:
    from stages.models.ranks import Ranks
    from stages.tasks.sts import Task
    from store.database import Store

# (triplets a step, learning rate, epochs): the embedded base learns from hundreds of triplets, the papers' from a hundred
# thousand and more. These are for BERT-base. 16 triplets are CLAIF's 32 pairs; the released code's loss is to be compared
# with MultiCSR's, so its recipe is the same.
EMBEDDED_RECIPE = (32, 1e-4, 3)
PAPER_RECIPES = {
    "multicsr": (256, 5e-5, 3),
    "multicsr-released": (256, 5e-5, 3),
    "simcse": (512, 5e-5, 3),
    "simcse-unsup": (64, 3e-5, 1),
    "clhaif": (512, 5e-5, 3),
    "claif": (16, 2e-5, 3),
}
PAIRS_AT_ONCE = 32  # CLAIF's pairs as they are
EMBEDDED_BASES = ("minilm", "minilm-l4")

# Settings of the objectives that read them.
MASK_MODEL, SIGMA, TAU = "minilm", 0.9, 0.05

# Dev measurements in a short training; a long one is measured every 125 steps, as the paper's baselines are.
MEASUREMENTS, LONGEST_INTERVAL = 4, 125


def command(
    run: RunName = "latest",
    base: Annotated[str, typer.Option(metavar="NAME", help="The encoder to train.")] = "minilm-l4",
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="multicsr, multicsr-released, simcse, simcse-unsup (premises alone), clhaif or claif."
        ),
    ] = "multicsr",
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
    max_length: Annotated[int, typer.Option(metavar="N", help="Tokens a sentence is cut to while training.")] = 32,
    pooler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mean, cls, cls_before_pooler, first_last_mean or prompt.",
            show_default="the base's own",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N")] = 0,
    dev: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="mini, stsb, sickr, or a CSV, TSV or JSONL of your own pairs.")
    ] = "mini",
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
        done, work = make(
            store,
            parent,
            joined=[join(store, name, objective) for name in joined or []],
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
            chunk=chunk,
            epochs=epochs,
            lr=lr,
            max_length=max_length,
            pooler=pooler,
            seed=seed,
            dev=dev,
            eval_every=eval_every,
            data=data,
            device=device,
            dtype=dtype,
            batch=size,
            ranks=ranks,
        )
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
    from stages.models import ranks

    with ranks.joined(resolve(device, dtype)[0]) as met:
        yield met


def _follow(device: str, dtype: str) -> None:
    """Encode what the leader says; a follower opens no store and shows nothing."""
    from stages.models import parts

    with _met(device, dtype) as ranks:
        assert ranks is not None
        parts.follow(ranks, resolve(device, dtype)[0])


def make(
    store: Store,
    parent: Run,
    *,
    joined: Sequence[Run] = (),
    base: str = "minilm-l4",
    objective: str = "multicsr",
    clhaif: str | None = None,
    mask_model: str | None = None,
    sigma: float | None = None,
    tau: float | None = None,
    rank: str | None = None,
    teacher: str | None = None,
    whiten: bool = False,
    whiten_dim: int | None = None,
    train_batch: int | None = None,
    chunk: int | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    max_length: int = 32,
    pooler: str | None = None,
    seed: int = 0,
    dev: str = "mini",
    eval_every: int | None = None,
    data: Path | None = None,
    device: str,
    dtype: str,
    batch: int | None = None,
    ranks: Ranks | None = None,
    title: str | None = None,
) -> tuple[Run, screen.Work]:
    """Resolve names and settings, then train what is missing."""
    from stages import train as stage
    from stages.config import MASKED, TrainConfig, refuse_unread
    from stages.models import catalog, pooling
    from store import reviews

    refuse_unread(objective, mask_model, sigma, tau, clhaif, rank, teacher)  # before a model is looked for

    for one in (parent, *joined):
        if not one.finished:
            raise Problem(
                f"{one.stage} run {one.id} is not finished", f"run the same `multicsr {one.stage}` again; it goes on"
            )
    dev_task = dev_pairs(dev, data)
    usual_batch, usual_lr, usual_epochs = EMBEDDED_RECIPE if base in EMBEDDED_BASES else PAPER_RECIPES[objective]
    if parent.config.get("strategy") == "claif":
        usual_batch = PAIRS_AT_ONCE
    train_batch = usual_batch if train_batch is None else train_batch
    epochs = usual_epochs if epochs is None else epochs
    if objective in MASKED:
        mask_model, sigma = mask_model or MASK_MODEL, SIGMA if sigma is None else sigma
    else:
        mask_model = mask_model or "none"
    if tau is None and objective != "claif":
        tau = TAU
    found = catalog.locate(base, "encoder")
    guide = None if mask_model in ("none", "self") else catalog.locate(mask_model, "encoder")
    if rank is not None and teacher is None:
        teacher = MASK_MODEL if mask_model == "none" else mask_model
    taught_by = guide if teacher is None or teacher == mask_model else catalog.locate(teacher, "encoder")
    chosen_pooler = pooler or pooling.pooling_of(found)
    if objective == "simcse-unsup" and pooler is None and chosen_pooler == "cls":
        chosen_pooler = "cls_before_pooler"  # the MLP is trained, and dropped at test
    if chosen_pooler is None:
        raise Problem(
            f"{base} does not record how its tokens are pooled",
            "say it with --pooler: mean, cls, cls_before_pooler, first_last_mean or prompt",
        )
    for model in (guide, taught_by):
        if model is not None and pooling.pooling_of(model) is None:
            raise Problem(f"{model.name} does not record how its tokens are pooled", "give an encoder that does")
    longest = catalog.longest_input(found)
    if longest is not None and max_length > longest:
        raise Problem(f"--max-length {max_length} is more than {base} reads", f"give at most {longest}")
    where, number_format = resolve(device, dtype)
    if eval_every is None:
        count = sum(one.counts["kept" if one.stage == "curate" else "premises"] for one in (parent, *joined))
        steps = math.ceil(count / max(train_batch, 1)) * epochs
        eval_every = min(LONGEST_INTERVAL, max(1, math.ceil(steps / MEASUREMENTS)))
    config = TrainConfig(
        base=base,
        base_fingerprint=found.fingerprint,
        mask_model=mask_model,
        mask_model_fingerprint=guide.fingerprint if guide else None,  # of `self`: once it is there
        sigma=sigma,
        tau=tau,
        train_batch=train_batch,
        epochs=epochs,
        lr=usual_lr if lr is None else lr,
        max_length=max_length,
        pooler=chosen_pooler,
        seed=seed,
        dev=dev_task.name,
        dev_digest=dev_task.digest,
        eval_every=eval_every,
        dtype=number_format,
        reviews_digest=reviews.applied(store, parent, *joined),
        objective=objective,
        clhaif=clhaif,
        rank=rank,
        teacher=teacher,
        teacher_fingerprint=taught_by.fingerprint if rank is not None and taught_by else None,
        whiten=whiten,
        whiten_dim=whiten_dim,
        with_runs=tuple(one.id for one in joined) or None,
    )
    notes = notes_of(dev=dev, data=data)
    if mask_model == "self":
        taught, _ = make(
            store,
            parent,
            joined=joined,
            base=base,
            objective="simcse-unsup",
            chunk=chunk,
            max_length=max_length,
            pooler=None if pooler == "cls" else pooler,
            seed=seed,
            dev=dev,
            data=data,
            device=device,
            dtype=dtype,
            batch=batch,
            ranks=ranks,
            title=f"{title or f'train seed {seed}'}, its mask model",
        )
        guide = catalog.locate(str(model_folder(store, taught)), "encoder")
        config = replace(config, mask_model_fingerprint=guide.fingerprint)
        if teacher == "self":
            taught_by = guide
            config = replace(config, teacher_fingerprint=guide.fingerprint)
        notes["mask_run"] = taught.id

    if ranks is not None:
        notes["ranks"] = str(ranks.count)

    def load_base() -> Any:
        from stages.models import loading, parts

        with_mlp = objective == "simcse-unsup"
        if ranks is not None:
            ranks.say(parts.Load(found, chosen_pooler, seed, with_mlp))
        return loading.trainable(found, where, chosen_pooler, seed, with_mlp)

    def frozen(model: catalog.Located) -> Any:
        from stages.models import loading

        return loading.encoder(model, where)

    loaders = stage.Loaders(
        load_base, partial(frozen, guide) if guide else None, partial(frozen, taught_by) if rank and taught_by else None
    )
    ticks = stage.run(store, config, parent, dev_task, loaders, batch, where, notes=notes, chunk=chunk, ranks=ranks)
    work = screen.drive(ticks, title or f"train seed {seed}", "steps", announce=title is None)
    return store.begin("train", stage.VERSION, config, parent.id), work


def join(store: Store, name: str, objective: str) -> Run:
    """The run behind --with: a file is imported, which by its content is one run however often it is named."""
    from stages import imports as stage
    from stages.config import SCORED

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
    return imports.make(store, stage.corpus(path), notes_of(file=path))[0]


def dev_pairs(name: str, data: Path | None) -> Task:
    """The dev task: a known name (its dev split), or a file of pairs."""
    from stages.tasks import own, sts

    if name in sts.NAMES:
        return sts.load(name, data, "dev")
    if Path(name).is_file():
        return own.load(Path(name))
    raise Problem(
        f"--dev {name!r} is neither a task nor a file",
        "give mini, stsb, sickr, or the path of a CSV, TSV or JSONL file",
    )


def model_folder(store: Store, run: Run) -> Path:
    """Where a finished train run's model lies."""
    from store import training

    found = training.checkpoint(store, run, "model")
    if found is None:
        raise Problem(
            f"the model of train run {run.id} is gone from {store.files}", "restore the folder beside the store"
        )
    return found[1]


def summary(store: Store, run: Run, work: screen.Work, out: Path | None) -> dict[str, Any]:
    """The JSON document of the contract."""
    folder = str(out or model_folder(store, run))
    return {"run": run.id, "parent": run.parent, **run.counts, "checkpoint": folder, "seconds": round(work.seconds, 3)}
