"""What a training is told, resolved and made. Arrow: names and settings -> TrainConfig and models -> checkpoint.

`Settings` are part of the result and so of the run's id, `Means` are not: the same training by other means is the same run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multicsr.names import notes_of, resolve
from multicsr_cli import screen
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.config import TrainConfig
    from stages.models.catalog import Located
    from stages.models.training.ranks import Ranks
    from stages.tasks.sts import StsTask
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


@dataclass(frozen=True)
class Settings:
    """What the flags of `train` say; None is left to the objective, the base or the number of triplets."""

    base: str = "minilm-l4"
    objective: str = "multicsr"
    clhaif: str | None = None
    mask_model: str | None = None
    sigma: float | None = None
    tau: float | None = None
    rank: str | None = None
    teacher: str | None = None
    whiten: bool = False
    whiten_dim: int | None = None
    train_batch: int | None = None
    epochs: int | None = None
    lr: float | None = None
    max_length: int = 32
    pooler: str | None = None
    seed: int = 0
    dev: str = "mini"
    eval_every: int | None = None


@dataclass(frozen=True)
class Means:
    """Where and how it is computed: `batch` texts at a time outside training steps, `chunk` within one (None: as many as
    fit, and all); `ranks` are the processes that share it."""

    device: str
    dtype: str
    data: Path | None = None
    batch: int | None = None
    chunk: int | None = None
    ranks: Ranks | None = None


class _Models(NamedTuple):
    """The encoders of a training. Of a mask model or teacher called `self` there is none before it is trained."""

    base: Located
    guide: Located | None
    teacher: Located | None


def make(
    store: Store,
    parent: Run,
    told: Settings,
    means: Means,
    joined: Sequence[Run] = (),
    title: str | None = None,
) -> tuple[Run, screen.Work]:
    """Resolve names and settings, then train what is missing. Raises Problem for what cannot be meant."""
    from stages import train as stage
    from stages.models import catalog

    # Before a model is looked for, which takes longer.
    for one in (parent, *joined):
        if not one.finished:
            raise Problem(
                f"{one.stage} run {one.id} is not finished", f"run the same `multicsr {one.stage}` again; it goes on"
            )
    dev, full = dev_pairs(told.dev, means.data), _completed(told, (parent, *joined))
    models = _located(full)
    config = _config(store, full, models, dev, means, (parent, *joined))
    notes = notes_of(dev=told.dev, data=means.data)
    if full.mask_model == "self":
        taught, _ = make(store, parent, _of_its_mask(told), means, joined, f"{title or _titled(told)}, its mask model")
        guide = catalog.locate(str(model_folder(store, taught)), "encoder")
        models = models._replace(guide=guide, teacher=guide if full.teacher == "self" else models.teacher)
        config = replace(
            config,
            mask_model_fingerprint=guide.fingerprint,
            teacher_fingerprint=models.teacher.fingerprint if models.teacher else None,
        )
        notes["mask_run"] = taught.id
    if means.ranks is not None:
        notes["ranks"] = str(means.ranks.count)
    ticks = stage.run(
        store,
        config,
        parent,
        dev,
        _loaders(config, models, means),
        means.batch,
        resolve(means.device, means.dtype)[0],
        notes=notes,
        chunk=means.chunk,
        ranks=means.ranks,
    )
    work = screen.drive_ticks(ticks, title or _titled(told), "steps", announce=title is None)
    return store.begin("train", stage.VERSION, config, parent.id), work


def _titled(told: Settings) -> str:
    return f"train seed {told.seed}"


def _completed(told: Settings, corpora: Sequence[Run]) -> Settings:
    """What was left out, filled in."""
    from stages.config.train import MASKED

    recipe = EMBEDDED_RECIPE if told.base in EMBEDDED_BASES else PAPER_RECIPES[told.objective]
    train_batch, lr, epochs = recipe
    if corpora[0].config.get("strategy") == "claif":
        train_batch = PAIRS_AT_ONCE
    train_batch = train_batch if told.train_batch is None else told.train_batch
    epochs = epochs if told.epochs is None else told.epochs
    mask_model, sigma, teacher = told.mask_model or "none", told.sigma, told.teacher
    if told.objective in MASKED:
        mask_model, sigma = told.mask_model or MASK_MODEL, SIGMA if sigma is None else sigma
    if told.rank is not None and teacher is None:
        teacher = MASK_MODEL if mask_model == "none" else mask_model
    eval_every = told.eval_every
    if eval_every is None:
        count = sum(one.counts["kept" if one.stage == "curate" else "premises"] for one in corpora)
        steps = math.ceil(count / max(train_batch, 1)) * epochs
        eval_every = min(LONGEST_INTERVAL, max(1, math.ceil(steps / MEASUREMENTS)))
    return replace(
        told,
        mask_model=mask_model,
        sigma=sigma,
        tau=TAU if told.tau is None and told.objective != "claif" else told.tau,
        teacher=teacher,
        train_batch=train_batch,
        lr=lr if told.lr is None else told.lr,
        epochs=epochs,
        eval_every=eval_every,
    )


def _located(full: Settings) -> _Models:
    from stages.models import catalog
    from stages.models.encoder import pooling

    base = catalog.locate(full.base, "encoder")
    guide = None if full.mask_model in (None, "none", "self") else catalog.locate(full.mask_model, "encoder")
    if full.teacher is None:
        teacher = None
    elif full.teacher == full.mask_model != "none":
        teacher = guide
    else:
        teacher = catalog.locate(full.teacher, "encoder")
    for model in (guide, teacher):
        if model is not None and pooling.pooling_of(model) is None:
            raise Problem(f"{model.name} does not record how its tokens are pooled", "give an encoder that does")
    longest = catalog.longest_input(base)
    if longest is not None and full.max_length > longest:
        raise Problem(f"--max-length {full.max_length} is more than {full.base} reads", f"give at most {longest}")
    return _Models(base, guide, teacher)


def _config(
    store: Store, full: Settings, models: _Models, dev: StsTask, means: Means, corpora: Sequence[Run]
) -> TrainConfig:
    from stages.config import TrainConfig
    from store.rows import reviews

    assert full.mask_model is not None
    assert full.train_batch is not None
    assert full.epochs is not None
    assert full.lr is not None
    assert full.eval_every is not None
    return TrainConfig(
        base=full.base,
        base_fingerprint=models.base.fingerprint,
        mask_model=full.mask_model,
        mask_model_fingerprint=models.guide.fingerprint if models.guide else None,  # of `self`: once it is there
        sigma=None if full.mask_model == "none" else full.sigma,
        tau=full.tau,
        train_batch=full.train_batch,
        epochs=full.epochs,
        lr=full.lr,
        max_length=full.max_length,
        pooler=_pooler(full, models.base),
        seed=full.seed,
        dev=dev.name,
        dev_digest=dev.digest,
        eval_every=full.eval_every,
        dtype=resolve(means.device, means.dtype)[1],
        reviews_digest=reviews.applied(store, *corpora),
        objective=full.objective,
        clhaif=(full.clhaif or "positive") if full.objective == "clhaif" else None,
        rank=full.rank,
        teacher=full.teacher,
        teacher_fingerprint=models.teacher.fingerprint if models.teacher else None,
        whiten=full.whiten,
        whiten_dim=full.whiten_dim,
        with_runs=tuple(one.id for one in corpora[1:]),
    )


def _pooler(full: Settings, base: Located) -> str:
    from stages.models.encoder import pooling

    chosen = full.pooler or pooling.pooling_of(base)
    if full.objective == "simcse-unsup" and full.pooler is None and chosen == "cls":
        return "cls_before_pooler"  # the MLP is trained, and dropped at test
    if chosen is None:
        raise Problem(
            f"{full.base} does not record how its tokens are pooled",
            "say it with --pooler: mean, cls, cls_before_pooler, first_last_mean or prompt",
        )
    return chosen


def _of_its_mask(told: Settings) -> Settings:
    """The training whose model is the mask called `self`: the base, after unsupervised SimCSE on the same premises."""
    return Settings(
        base=told.base,
        objective="simcse-unsup",
        max_length=told.max_length,
        pooler=None if told.pooler == "cls" else told.pooler,
        seed=told.seed,
        dev=told.dev,
    )


def _loaders(config: TrainConfig, models: _Models, means: Means) -> Any:
    from stages.train import Loaders

    where = resolve(means.device, means.dtype)[0]
    with_mlp = config.objective == "simcse-unsup"

    def load_base() -> Any:
        from stages.models import loading
        from stages.models.training import parts

        if means.ranks is not None:
            means.ranks.say(parts.Load(models.base, config.pooler, config.seed, with_mlp))
        return loading.trainable(models.base, where, config.pooler, config.seed, with_mlp)

    def frozen(model: Located) -> Any:
        from stages.models import loading

        return loading.encoder(model, where)

    def loader(model: Located | None) -> Callable[[], Any] | None:
        return partial(frozen, model) if model else None

    return Loaders(load_base, loader(models.guide), loader(models.teacher))


def dev_pairs(name: str, data: Path | None) -> StsTask:
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
    from store.rows import training

    found = training.checkpoint(store, run, "model")
    if found is None:
        raise Problem(
            f"the model of train run {run.id} is gone from {store.files}", "restore the folder beside the store"
        )
    return found[1]
