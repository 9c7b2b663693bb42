"""Stage 3, training. Arrow: triplet -> checkpoint.

The encoder learns from the triplets of a curate run (or a gen run, uncurated) with the masked contrastive loss (MultiCSR,
eq. 5-7) or another objective of `stages/models/training/loss.py`: SimCSE without labels from their premises alone, CLHAIF and
CLAIF from their scores too. Other runs may join them, such as a labelled corpus (`config.with_runs`; appendix G): nothing
that comes twice is taken out, since the mask protects equal premises (M is 1 where x_k = x_i). Every so many steps the
encoder is measured on the dev task, and the best measured weights are what is written in the end. The mask model's vectors
are computed once a text, before the first step. Whitening is learned last, from the sentences of the training itself; the dev
task is measured again behind it and chooses nothing any more.

Resume points are taken by the clock, which changes nothing: a training restored from any of them does the same steps
again (see `stages/models/training/fit.py`).
"""

from __future__ import annotations

import math
import shutil
import time
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from stages.config import TrainConfig
from stages.config.train import SCORED
from stages.files.cards import EXAMPLES, model_card
from stages.pace.batches import Batches
from stages.pace.vectors import WINDOW, Vectors
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks import sts
from stages.tasks.whitening import Whitening
from stages.texts.similarity import SCALE
from store.database import Store
from store.problem import Problem
from store.records import Run, Triplet
from store.rows import partners, reviews, training
from store.rows.training import MetricRow, StepRow

VERSION = 2

# Seconds of training that a kill may cost.
RESUME_SECONDS = 60.0


@dataclass(frozen=True)
class Loaders:
    """The models, loaded only when asked for."""

    base: Callable[[], Any]
    mask: Callable[[], Any] | None
    teacher: Callable[[], Any] | None = None


def run(
    store: Store,
    config: TrainConfig,
    parent: Run,
    dev: sts.StsTask,
    loaders: Loaders,
    batch: int | None,
    device: str,
    resume_seconds: float = RESUME_SECONDS,
    notes: Notes | None = None,
    chunk: int | None = None,
    ranks: Any = None,
) -> Ticks:
    """Train on the triplets of `parent`; `batch` is the number of texts encoded at a time outside training steps, None
    for as many as fit; `chunk` is the number within one, None for all of its batch, and `ranks` are the
    processes that share it (`stages/models/training/ranks.py`), None for this one alone."""
    corpora = _corpora(store, parent, config)
    for one in corpora:
        if not one.finished:
            raise Problem(
                f"{one.stage} run {one.id} is not finished", f"run the same `multicsr {one.stage}` again; it goes on"
            )
        if config.objective in SCORED and one.stage != "curate":
            raise Problem(
                f"--objective {config.objective} learns from scores, and {one.stage} run {one.id} has none",
                "give a curate run; `multicsr curate --alpha 0 --beta 5 --gamma -5` keeps every triplet with its scores",
            )
    if reviews.applied(store, *corpora) != config.reviews_digest:
        raise _reviewed_meanwhile(parent)
    if _of_pairs(parent) and config.objective != "claif":
        raise Problem(
            f"curate run {parent.id} keeps pairs, from which only --objective claif learns",
            "train --objective claif, or give a curate run of triplets",
        )
    by_rule = parent.counts.get("kept", parent.counts["premises"])
    if not by_rule and not (config.reviews_digest and _count(store, parent)):
        raise _nothing_kept(parent)  # before the run has a row: there is nothing it could ever resume
    for one in corpora[1:]:
        if next(training.triplets(store, one), None) is None:
            raise Problem(f"--with: {one.stage} run {one.id} holds no triplet", "give a file with both hypotheses")
    sts.judged(dev)
    run = store.begin("train", VERSION, config, parent=parent.id, environment={"device": device, **(notes or {})})
    if run.finished:
        steps = run.counts["steps"]
        yield Tick(steps, steps, COMPLETE)
        return
    counted = Counter[str]()
    for one in corpora:
        counted[one.id] += _count(store, one)
    if not counted[parent.id]:
        raise _nothing_kept(parent)
    with store.only_writer(run):
        batches = Batches(batch, "texts", device)
        yield from _train(store, run, config, parent, counted, dev, loaders, batches, resume_seconds, chunk, ranks)


def _of_pairs(parent: Run) -> bool:
    """Whether a run keeps pairs with their labels (stages/claif/pairs.py) instead of triplets."""
    return bool(parent.config.get("strategy") == "claif")


def _count(store: Store, parent: Run) -> int:
    return int(parent.counts["kept"]) if _of_pairs(parent) else training.count_triplets(store, parent)


def _nothing_kept(parent: Run) -> Problem:
    return Problem(
        f"{parent.stage} run {parent.id} keeps no triplet",
        "lower --alpha or --gamma, or raise --beta; `multicsr curate --sweep` shows what each keeps",
    )


def _reviewed_meanwhile(parent: Run) -> Problem:
    return Problem(
        f"the triplets of {parent.stage} run {parent.id} are being reviewed while they are read",
        "run the same command again; it trains on what the reviews say then",
    )


def _corpora(store: Store, parent: Run, config: TrainConfig) -> list[Run]:
    """The runs whose triplets are trained on, in the order in which they are read."""
    return [parent, *(store.run(id) for id in config.with_runs or ())]


def _triplets(store: Store, parent: Run, config: TrainConfig) -> Iterator[Triplet]:
    """The triplets that `config` names. Raises Problem where a review changed them before all were read."""
    corpora = _corpora(store, parent, config)
    for one in corpora:
        yield from training.triplets(store, one)
    if reviews.applied(store, *corpora) != config.reviews_digest:
        raise _reviewed_meanwhile(parent)


def _examples(store: Store, parent: Run, config: TrainConfig) -> Iterator[tuple[str, ...]]:
    """The texts of each example: a triplet, its premise alone, or a pair."""
    if _of_pairs(parent):
        for premise, partner, _ in partners.pairs(store, parent):
            yield premise, partner
        return
    for triplet in _triplets(store, parent, config):
        yield (triplet.premise,) if config.objective == "simcse-unsup" else triplet


def _labels(store: Store, parent: Run, config: TrainConfig) -> np.ndarray | None:
    """What the objective learns similarities from, else None: the LLM's a/5 and b/5 of each triplet, (n, 2), or the label of
    each pair, (n, 1)."""
    if config.objective not in SCORED:
        return None
    if _of_pairs(parent):
        return np.array([[label] for *_, label in partners.pairs(store, parent)], dtype=np.float32)
    found = array("f")
    for one in _corpora(store, parent, config):
        for scores in training.similarities(store, one):
            for score in scores:
                if score is None:
                    raise Problem(
                        f"curate run {one.id} keeps a triplet without a score: a person's word counts more than its rule",
                        "take that review back in `multicsr inspect`, or train another --objective",
                    )
                found.append(score / SCALE)
    return np.frombuffer(found, dtype=np.float32).reshape(-1, 2)


def _train(
    store: Store,
    run: Run,
    config: TrainConfig,
    parent: Run,
    counted: Counter[str],
    dev: sts.StsTask,
    loaders: Loaders,
    batches: Batches,
    resume_seconds: float,
    chunk: int | None,
    ranks: Any,
) -> Ticks:
    from stages.models import checkpoint
    from stages.models.encoder.model import autocast
    from stages.models.training import fit

    mask, count = None, counted.total()
    if loaders.mask is not None:
        frozen = _Frozen("mask model", config.mask_model_fingerprint, loaders.mask, batches)
        texts = (text for triplet in _triplets(store, parent, config) for text in triplet)
        mask = fit.MaskVectors(*(yield from _vectors(store, texts, count, 3, frozen)))
    teacher = None
    if loaders.teacher is not None:
        frozen = _Frozen("teacher", config.teacher_fingerprint, loaders.teacher, batches)
        texts = (text for example in _examples(store, parent, config) for text in example)
        teacher = yield from _vectors(store, texts, count, 1 if config.objective == "simcse-unsup" else 3, frozen)
    recipe = fit.Recipe(
        config.tau,
        config.sigma,
        config.train_batch,
        config.epochs,
        config.lr,
        config.max_length,
        config.seed,
        config.dtype,
        config.objective,
        config.clhaif,
        config.rank,
    )
    total = fit.steps_in(count, config.train_batch, config.epochs)
    yield Tick(0, total, "loading the encoder")
    encoder = loaders.base()
    if config.whiten_dim is not None and config.whiten_dim > encoder.width:
        raise Problem(
            f"--whiten-dim {config.whiten_dim} is more than the {encoder.width} dimensions of {config.base}",
            "give at most as many",
        )
    labels = _labels(store, parent, config)
    going = fit.Training(encoder, _examples(store, parent, config), mask, recipe, labels, teacher, chunk, ranks)
    best: dict[str, Any] = {}
    resume = training.checkpoint(store, run, "resume")
    if resume is not None:
        state = checkpoint.load_state(resume[1], encoder.device)
        best = state.pop("best")
        going.restore(state)
    saved_at, unsaved = time.monotonic(), list[StepRow]()
    yield Tick(going.step, total, "training")
    best_value = _best_before(store, run, dev, going.step)
    for step in _taken(going, config, chunk):
        if not math.isfinite(step.loss):
            tau = "" if config.tau is None else f"tau {config.tau:g}, "
            raise Problem(
                f"the loss is {step.loss} at step {step.step} ({tau}lr {config.lr:g})",
                f"train with {'a larger --tau or ' if tau else ''}a smaller --lr",
            )
        unsaved.append(StepRow(*_fields(step)))
        measured = step.step % config.eval_every == 0 or step.step == total
        if not measured:
            yield Tick(step.step, total, f"loss {step.loss:.3f}", step.step)
            continue
        try:
            with autocast(config.dtype, encoder.device):
                headline = sts.evaluate(dev, lambda texts: batches.encode(encoder, texts), subsets=False)[0]
        except ValueError:
            raise Problem(
                f"at step {step.step} the encoder gives every dev sentence the same vector", "train with a smaller --lr"
            ) from None
        if headline.value > best_value:
            best_value = headline.value
            best = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
        metric = MetricRow(dev.name, "", headline.name, step.step, headline.value, headline.n, headline.error)
        training.add_progress(store, run, unsaved, [metric])
        unsaved = []
        if time.monotonic() - saved_at >= resume_seconds and step.step < total:
            folder = store.files / "runs" / run.id / f"step-{step.step}"
            checkpoint.save_state({**going.state(), "best": best}, folder)
            _remove(training.add_checkpoint(store, run, "resume", step.step, folder))
            saved_at = time.monotonic()
        yield Tick(step.step, total, f"dev {headline.value:.2f}", step.step, batches.take_warning())

    encoder.load_state_dict(best)
    top = training.best_step(store, run, dev.name, "spearman")
    assert top is not None
    counts = {
        "triplets": count,
        **({"triplets_from": dict(counted)} if config.with_runs else {}),
        "steps": total,
        "masked_share": training.masked_share(store, run),
        "best_step": top.step,
        "dev": {"task": dev.name, "spearman": top.value},
    }
    if config.whiten:
        yield Tick(total, total, "whitening")
        counts["whitened"] = _whiten(encoder, _examples(store, parent, config), config, dev, batches)
    yield Tick(total, total, "writing the model")
    folder = store.files / "models" / run.id
    examples = list(islice(_examples(store, parent, config), EXAMPLES))
    # Its lineage is the line to its parent; the runs that join it come before.
    line = [row for one in _corpora(store, parent, config)[1:] for row in training.recipe(store, one)]
    checkpoint.save(encoder, folder, model_card(run, counts, [*line, *training.recipe(store, run)], examples))
    training.add_checkpoint(store, run, "model", top.step, folder)
    store.finish(run, counts)
    _remove(training.forget_resume_points(store, run))


def _whiten(
    encoder: Any, examples: Iterator[tuple[str, ...]], config: TrainConfig, dev: sts.StsTask, batches: Batches
) -> dict[str, Any]:
    """Whiten the encoder's vectors by those of its training's own sentences; what is left, and the dev figure then."""
    texts = (text for example in examples for text in example)
    windows = iter(lambda: list(islice(texts, WINDOW)), [])
    try:
        learned = Whitening.learn((batches.encode(encoder, window) for window in windows), config.whiten_dim)
    except ValueError as error:
        raise Problem(f"--whiten: {error}", "give a smaller --whiten-dim, or train on more triplets") from None
    encoder.whiten(learned.mean, learned.matrix)
    headline = sts.evaluate(dev, lambda texts: batches.encode(encoder, texts), subsets=False)[0]
    return {"dimensions": learned.matrix.shape[1], "spearman": headline.value}


def _taken(going: Any, config: TrainConfig, chunk: int | None) -> Iterator[Any]:
    """The steps of a training. Their batch is part of what is trained, so it is not halved where memory runs out."""
    from stages.models import memory

    try:
        yield from going.steps()
    except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
        if not memory.ran_out(error):
            raise
        raise Problem(
            f"memory ran out at step {going.step + 1} with {config.train_batch} triplets of up to {config.max_length}"
            " tokens at once (--train-batch, --max-length)",
            f"give {'--chunk 64, say' if chunk is None else f'a smaller --chunk than {chunk}'} (the result is the same), or a"
            " --device with more memory",
        ) from error


def _best_before(store: Store, run: Run, dev: sts.StsTask, step: int) -> float:
    """The best dev figure up to `step`; later ones belong to steps that a kill undid and that are taken again."""
    before = [row.value for row in training.metrics(store, run) if row.task == dev.name and row.step <= step]
    return max(before, default=-np.inf)


@dataclass(frozen=True)
class _Frozen:
    """A model whose vectors a training reads: called `name` on screen, loaded only if one of them is not in the cache."""

    name: str
    fingerprint: str | None
    load: Callable[[], Any]
    batches: Batches


def _vectors(
    store: Store, texts: Iterator[str], count: int, width: int, frozen: _Frozen
) -> Generator[Tick, None, list[np.ndarray]]:
    """The vectors of `count` examples of `width` texts each, scaled to length 1: (count, d) for each place in an example.

    They are too many for memory, so they lie in a file that batches read their rows from. It has no name and goes with
    the process, however that ends; a training that is resumed writes it again from the cache.
    """
    from stages.models.encoder.model import normalised

    assert frozen.fingerprint is not None
    done, total = 0, width * count
    yield Tick(done, total, frozen.name)
    with TemporaryFile(dir=store.files) as file:
        for rows in Vectors(store, frozen.fingerprint, frozen.load, frozen.batches).windows(texts):
            file.write(normalised(rows).tobytes())
            done += len(rows)
            yield Tick(done, total, frozen.name, warning=frozen.batches.take_warning())
        file.flush()
        every = np.memmap(file, dtype=np.float32, mode="r").reshape(count, width, -1)
    return [every[:, place] for place in range(width)]


def _fields(step: Any) -> tuple[int, int, float, float, float]:
    return step.step, step.epoch, step.loss, step.masked_share, step.lr


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
