"""Training. Arrow: triplet -> checkpoint; here, names and settings -> a job."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multicsr import corpora
from multicsr.job import Job, Means, behind, heard
from multicsr.means import chosen, training_encoders
from multicsr.means.names import notes_of, resolve
from multicsr.means.training_encoders import model_folder
from stages.config import TrainConfig
from stages.config.recipes import usual
from stages.config.train import SCORED, SELF
from stages.settings import complete
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from multicsr.means.training_encoders import Encoders
    from stages.tasks.sts import StsTask
    from store.database import Store

SOURCES = ("curate", "gen")  # the stages whose triplets are trained on


class TrainingCorpus(NamedTuple):
    """Triplets that are trained on: a run, or what an import that is still to be made, `first`, will be."""

    run: Run
    first: Job | None = None


def job(store: Store, parent: Run, *, data: Path | None = None, means: Means = Means(), **told: Any) -> Job:
    """The training of an encoder on the triplets of the curate or gen run `parent`. `told` are settings of TrainConfig.

    `with_runs` in it may be files, names of runs or Runs; a file is imported first. What is not told follows from the
    objective, the base, the number of triplets and what `data` holds. With mask_model="self" the mask model is trained
    first, as a run of its own. `data` holds the dev task in the SentEval layout, where it is not bundled or a file. Raises
    Problem for a setting that is out of range or not read, and for what cannot be found.
    """
    whole = complete(TrainConfig, told)
    parent = _known(store, parent.id)
    joined = [_joined(store, one, whole["objective"]) for one in whole["with_runs"]]
    return _training(store, [TrainingCorpus(parent), *joined], whole, data, means)


def _known(store: Store, name: str) -> Run:
    """The complete run called `name`, if it has triplets."""
    from stages.course.examples import refuse_unfinished

    run = store.find(name, SOURCES)
    refuse_unfinished(run)
    return run


def _joined(store: Store, named: str | Path | Run, objective: str) -> TrainingCorpus:
    """The triplets of a run, or of a file, which by its content is one run however often it is named."""
    if isinstance(named, Run):
        return TrainingCorpus(_known(store, named.id))
    if not Path(named).exists():
        try:
            return TrainingCorpus(_known(store, str(named)))
        except Problem as problem:
            raise Problem(f"with_runs {named} is no file, and {problem.what}", problem.remedy, "with_runs") from None
    if objective in SCORED:
        raise Problem(
            f"with_runs {named} is a file, and objective={objective} learns from scores",
            "`multicsr import` it, score it if it has no scores, curate it, and join that curate run",
            "with_runs",
        )
    from stages.files.corpora import corpus

    source = corpus(Path(named))
    first = corpora.job(store, source)
    made = first.made()
    if made is not None:
        return TrainingCorpus(made)
    return TrainingCorpus(
        Run(first.id, "gen", first.version, None, first.config, None, {"premises": source.rows}), first
    )


def _training(
    store: Store, read: Sequence[TrainingCorpus], whole: Mapping[str, Any], data: Path | None, means: Means
) -> Job:
    """The job of a training on the corpora that are `read`, with what its settings leave open filled in."""
    from stages import train as stage
    from stages.course.examples import PAIRS, kept_by

    runs = [one.run for one in read]
    examples = sum(one.counts["kept" if one.stage == "curate" else "premises"] for one in runs)
    fitting = chosen.choose(whole["base"], chosen.any_labelled(store, runs[1:]), data)
    full = usual(whole, examples, kept_by(runs[0]) is PAIRS, fitting.guide, fitting.dev)
    dev = dev_pairs(full["dev"], data)
    guide = _mask_training(store, read, whole, data, means) if full["mask_model"] == SELF else None
    models = training_encoders.find(store, full, guide)
    where, dtype = resolve(means.device, full.get("dtype", "auto"))
    config = _config(store, {**full, "dtype": dtype}, dev, models, runs)
    notes = notes_of(dev=full["dev"], data=data, mask_run=guide.id if guide else None)
    if means.ranks is not None:
        notes["ranks"] = str(means.ranks.count)
    loaders = models.loaders(config, where, means.ranks)
    settled: dict[str, Any] = {"notes": notes, "chunk": means.chunk, "ranks": means.ranks}
    start = partial(stage.run, store, config, runs[0], dev, loaders, means.batch, where, **settled)
    start = partial(heard, fitting.said(whole, full), start)
    wanted = Job(store, "train", stage.VERSION, config, runs[0].id, start, f"train seed {config.seed}", "steps")
    parts = [("import of a corpus", one.first) for one in read if one.first is not None]
    return behind([*parts, *([("its mask model", guide)] if guide else [])], wanted)


def _config(store: Store, full: Mapping[str, Any], dev: StsTask, models: Encoders, runs: Sequence[Run]) -> TrainConfig:
    """The settings with what was found for them."""
    from store.rows import reviews

    found = {
        "pooler": models.pooler(full.get("pooler"), full["objective"]),
        "dev": dev.name,
        "with_runs": tuple(one.id for one in runs[1:]),
        **models.fingerprints(),
        "dev_digest": dev.digest,
        "reviews_digest": reviews.applied(store, *runs),
    }
    return TrainConfig(**{**full, **found})


def _mask_training(
    store: Store, read: Sequence[TrainingCorpus], whole: Mapping[str, Any], data: Path | None, means: Means
) -> Job:
    """The training whose model is the mask called self: the base, after unsupervised SimCSE on the same premises."""
    same = ("base", "max_length", "pooler", "seed", "dev", "dtype", "with_runs")
    told = {name: whole[name] for name in same if name in whole}
    if told.get("pooler") == "cls":
        del told["pooler"]  # which is cls_before_pooler while it is trained
    return _training(store, read, complete(TrainConfig, {**told, "objective": "simcse-unsup"}), data, means)


def dev_pairs(name: str, data: Path | None) -> StsTask:
    """The dev task: a known name (its dev split), or a file of pairs."""
    from stages.tasks import own, sts

    if name in sts.NAMES:
        return sts.load(name, data, "dev")
    if Path(name).is_file():
        return own.load(Path(name))
    raise Problem(
        f"dev {name!r} is neither a task nor a file",
        "give mini, stsb, sickr, or the path of a CSV, TSV or JSONL file",
        "dev",
    )


def refuse_taken(out: Path | None) -> None:
    """Raise Problem for a folder that a model cannot be put into, since something is there."""
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Problem(f"out {out} exists and is not an empty folder", "give a folder that is new or empty", "out")


def copy_model(store: Store, run: Run, out: Path) -> None:
    """Put a finished train run's model into the folder `out` too, whole."""
    from stages.models import checkpoint

    made = model_folder(store, run)
    checkpoint.whole(out, lambda target: shutil.copytree(made, target, dirs_exist_ok=True))
