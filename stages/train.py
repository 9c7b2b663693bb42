"""Stage 3, training. Arrow: triplet -> checkpoint.

The encoder learns from the triplets of a curate run (or a gen run, uncurated) with the masked contrastive loss (MultiCSR,
eq. 5-7) or another objective of `stages/models/training/loss.py`: SimCSE without labels from their premises alone, CLHAIF and
CLAIF from their scores too. Other runs may join them, such as a labelled corpus (`config.with_runs`; appendix G): nothing
that comes twice is taken out, since the mask finds what is no negative. The mask model's vectors are computed once a text,
before the first step; what the mask will remove is told then, and what it removed is kept, pair by pair. The best measured
weights are what is written in the end. Whitening is learned last, from the sentences of the training itself; the dev task is
measured again behind it and chooses nothing any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from stages.config import TrainConfig
from stages.course import frozen, masking
from stages.course.examples import Examples
from stages.course.frozen import Frozen
from stages.course.steps import Course, Pace, remove
from stages.files.cards import EXAMPLES, model_card
from stages.pace.batches import Batches
from stages.pace.vectors import WINDOW
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.tasks import sts
from stages.tasks.whitening import Whitening
from store.database import Store
from store.problem import Problem
from store.records import Run, as_config, run_id
from store.rows import masked, training

VERSION = 3

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
    known = store.known(run_id("train", VERSION, parent.id, as_config(config)))
    if known is not None and known.finished:
        steps = known.counts["steps"]
        yield Tick(steps, steps, COMPLETE)
        return known
    examples = Examples.of(store, parent, config)
    sts.judged(dev)
    counted = examples.count()  # a run without an example must not begin: there is nothing it could ever resume
    run = store.begin("train", VERSION, config, parent=parent.id, environment={"device": device, **(notes or {})})
    pace = Pace(Batches(batch, "texts", device), chunk, ranks, resume_seconds)
    with store.only_writer(run):
        course = yield from _prepared(store, run, config, examples, counted.total(), dev, loaders, pace)
        yield from course.ticks()
        return (yield from _written(course, examples, counted))


def _prepared(
    store: Store,
    run: Run,
    config: TrainConfig,
    examples: Examples,
    count: int,
    dev: sts.StsTask,
    loaders: Loaders,
    pace: Pace,
) -> Generator[Tick, None, Course]:
    """Everything that a training's first step needs, or the next where it goes on."""
    from stages.models.training import fit

    recipe = fit.Recipe(**{field.name: getattr(config, field.name) for field in fields(fit.Recipe)})
    total, mask, teacher = recipe.total(count), None, None
    if loaders.mask is not None:
        assert config.mask_model_fingerprint is not None
        guide = Frozen("mask model", config.mask_model_fingerprint, loaders.mask)
        mask = fit.MaskVectors(*(yield from frozen.vectors(store, guide, examples, count, pace.batches)))
        recipe, news, warning = masking.settle(config, recipe, mask, examples)
        yield Tick(0, total, "mask", warning=warning, news=news)
    if loaders.teacher is not None:
        assert config.teacher_fingerprint is not None
        guide = Frozen("teacher", config.teacher_fingerprint, loaders.teacher)
        teacher = yield from frozen.vectors(store, guide, examples, count, pace.batches)
    yield Tick(0, total, "loading the encoder")
    encoder = loaders.base()
    if config.whiten_dim is not None and config.whiten_dim > encoder.width:
        raise Problem(
            f"whiten_dim {config.whiten_dim} is more than the {encoder.width} dimensions of {config.base}",
            "give at most as many",
            "whiten_dim",
        )
    going = fit.Training(encoder, examples, mask, recipe, examples.labels(), teacher, pace.chunk, pace.ranks)
    return Course(store, run, config, dev, going, pace)


def _written(course: Course, examples: Examples, counted: Counter[str]) -> Ticks:
    """Write the model of a training that took all its steps, with its card, and finish the run."""
    from stages.models import checkpoint

    store, run, total, encoder = course.store, course.run, course.going.total, course.going.encoder
    encoder.load_state_dict(course.best)
    top = training.best_step(store, run, course.dev.name, "spearman")
    assert top is not None
    yield Tick(total, total, "counting what was masked")
    pairs, duplicates = masking.removed(course.going)
    masked.add(store, run, examples.corpora, pairs)
    counts = {
        "triplets": counted.total(),
        **({"triplets_from": dict(counted)} if course.config.with_runs else {}),
        "steps": total,
        "masked_share": training.masked_share(store, run),
        "duplicates_masked": duplicates,
        **({} if course.going.recipe.sigma is None else {"sigma": course.going.recipe.sigma}),
        "best_step": top.step,
        "dev": {"task": course.dev.name, "spearman": top.value},
    }
    if course.config.whiten:
        yield Tick(total, total, "whitening")
        counts["whitened"] = _whiten(course, examples)
    yield Tick(total, total, "writing the model")
    folder = store.files / "models" / run.id
    # Its lineage is the line to its parent; the runs that join it come before.
    line = [row for one in (*examples.corpora[1:], run) for row in training.recipe(store, one)]
    checkpoint.save(encoder, folder, model_card(run, counts, line, list(islice(examples, EXAMPLES))))
    training.add_checkpoint(store, run, "model", top.step, folder)
    run = store.finish(run, counts)
    remove(training.forget_resume_points(store, run))
    return run


def _whiten(course: Course, examples: Examples) -> dict[str, Any]:
    """Whiten the encoder's vectors by those of its training's own sentences; what is left, and the dev figure then."""
    encoder, batches = course.going.encoder, course.pace.batches
    texts = (text for example in examples for text in example)
    windows = iter(lambda: list(islice(texts, WINDOW)), [])
    try:
        learned = Whitening.learn((batches.encode(encoder, window) for window in windows), course.config.whiten_dim)
    except ValueError as error:
        raise Problem(f"whiten: {error}", "give a smaller whiten_dim, or train on more triplets", "whiten") from None
    encoder.whiten(learned.mean, learned.matrix)
    headline = sts.evaluate(course.dev, lambda texts: batches.encode(encoder, texts), subsets=False)[0]
    return {"dimensions": learned.matrix.shape[1], "spearman": headline.value}
