"""Stage 3 with a tiny real encoder: killed anywhere and run again, it ends with the same steps, figures and weights."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from conftest import PREMISES
from driven import finished
from narrow import memory_for
from rows import GEN, Made, add_drafts, add_premises, scored

from stages import curate, train
from stages.config import CurateConfig, TrainConfig
from stages.models import catalog, loading
from stages.models.encoder.model import normalised
from stages.models.training import fit
from stages.models.training.recipe import batches
from stages.tasks import sts
from stages.tasks.sts import StsTask, Subset
from store.database import Store
from store.problem import Problem
from store.read import masked as reading
from store.records import Run
from store.rows import reviews, training

CPU = torch.device("cpu")
DEV = StsTask("dev", [Subset("", PREMISES[:8], PREMISES[1:9], [0.5, 1.0, 4.0, 3.5, 2.0, 5.0, 0.0, 1.5])])
CONFIG = TrainConfig(
    base="bert",
    base_fingerprint="b" * 12,
    mask_model="bert",
    mask_model_fingerprint="m" * 12,
    sigma=0.97,
    own="place",
    tau=0.05,
    train_batch=4,
    epochs=2,
    lr=1e-3,
    max_length=16,
    pooler="mean",
    seed=0,
    dev="dev",
    dev_digest=DEV.digest,
    eval_every=2,
    dtype="float32",
)
UNMASKED = replace(CONFIG, mask_model="none", mask_model_fingerprint=None, sigma=None, own=None)
MADE = [Made(text, text.replace(" the ", " a "), f"Never: {text.lower()}") for text in PREMISES]
STEPS = 6  # ceil(10 triplets / 4) * 2 epochs


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


@pytest.fixture(scope="module")
def loaders(tiny_encoder: Path) -> Callable[[TrainConfig], train.Loaders]:
    torch.set_num_threads(1)
    found = catalog.locate(str(tiny_encoder), "encoder")

    def make(config: TrainConfig) -> train.Loaders:
        mask = None if config.mask_model == "none" else lambda: loading.encoder(found, CPU, "mean")
        return train.Loaders(lambda: loading.trainable(found, CPU, config.pooler, config.seed), mask)

    return make


Loaded = Callable[[TrainConfig], train.Loaders]


def generated(store: Store) -> Run:
    gen = store.begin("gen", 1, GEN, None)
    if not gen.finished:
        add_drafts(store, gen, zip(add_premises(store, PREMISES), MADE, strict=True))
    return store.run(gen.id)


def ticks(store: Store, config: TrainConfig, loaders: train.Loaders, **kwargs: Any) -> Any:
    return train.run(store, config, generated(store), DEV, loaders, kwargs.pop("batch", 8), "cpu", **kwargs)


def trained(store: Store, config: TrainConfig, loaders: train.Loaders, **kwargs: Any) -> Run:
    return finished(ticks(store, config, loaders, **kwargs))


def result(store: Store, run: Run) -> tuple[Any, ...]:
    """All that a training leaves: steps, dev figures, counts, and the bytes of the weights."""
    found = training.checkpoint(store, run, "model")
    assert found is not None
    weights = (found[1] / "model.safetensors").read_bytes()
    return training.steps(store, run), training.metrics(store, run), store.run(run.id).counts, found[0], weights


@pytest.fixture
def whole(tmp_path: Path, loaders: Loaded) -> tuple[Any, ...]:
    """An uninterrupted training."""
    opened = Store.open(tmp_path / "whole.db")
    return result(opened, trained(opened, CONFIG, loaders(CONFIG)))


def test_a_training_leaves_its_curve_its_figures_and_one_model(file_store: Store, loaders: Loaded) -> None:
    run = trained(file_store, CONFIG, loaders(CONFIG))
    steps, metrics, counts, best, _ = result(file_store, run)
    assert [(step.step, step.epoch) for step in steps] == [(n + 1, n // 3) for n in range(STEPS)]
    assert [step.lr for step in steps] == pytest.approx([1e-3 * (1 - n / STEPS) for n in range(STEPS)])
    assert all(0 <= step.masked_share <= 1 and step.loss > 0 for step in steps)
    assert [(row.task, row.name, row.step, row.n) for row in metrics] == [("dev", "spearman", n, 8) for n in (2, 4, 6)]
    top = max(metrics, key=lambda row: (row.value, -row.step))
    assert (counts["best_step"], counts["dev"]) == (top.step, {"task": "dev", "spearman": top.value})
    assert best == top.step
    assert counts["triplets"] == len(PREMISES)
    assert counts["steps"] == STEPS
    assert counts["masked_share"] == pytest.approx(np.mean([step.masked_share for step in steps]))
    assert 0 < counts["masked_share"] < 1
    assert sorted(path.name for path in file_store.files.glob("*/*") if "lock" not in path.name) == [run.id]
    assert training.checkpoint(file_store, run, "resume") is None


def test_the_model_written_is_the_one_of_the_best_step(file_store: Store, loaders: Loaded) -> None:
    run = trained(file_store, CONFIG, loaders(CONFIG))
    found = training.checkpoint(file_store, run, "model")
    assert found is not None
    encoder = loading.encoder(catalog.locate(str(found[1]), "encoder"), CPU)  # the folder records its pooling
    figure = sts.evaluate(DEV, lambda texts: encoder.encode(texts, 8))[0]
    assert figure.value == run.counts["dev"]["spearman"]


@pytest.mark.parametrize(
    ("count", "resume_seconds"), [(count, 0.0) for count in range(1, 12)] + [(count, 1e9) for count in (4, 7, 11)]
)
def test_killed_after_any_tick_and_run_again_equals_a_training_without_a_break(
    whole: tuple[Any, ...], file_store: Store, loaders: Loaded, count: int, resume_seconds: float
) -> None:
    going = ticks(file_store, CONFIG, loaders(CONFIG), resume_seconds=resume_seconds)
    seen = list(itertools.islice(going, count))
    going.close()
    run = file_store.begin("train", train.VERSION, CONFIG, generated(file_store).id)
    assert run.finished is None
    point = training.checkpoint(file_store, run, "resume")
    measured = [step for step in (2, 4) if step <= seen[-1].done and seen[-1].total == STEPS]
    assert (point[0] if point else None) == (measured[-1] if measured and not resume_seconds else None)
    again = list(ticks(file_store, CONFIG, loaders(CONFIG), resume_seconds=resume_seconds))
    assert again[-1].done == again[-1].total == STEPS
    assert next(tick.done for tick in again if tick.fresh) == (point[0] if point else 0) + 1
    assert result(file_store, run) == whole
    assert list(file_store.files.glob("runs/*/*")) == []  # resume points go when the model is there


def test_killed_twice_with_resume_points_is_still_the_same(
    whole: tuple[Any, ...], file_store: Store, loaders: Loaded
) -> None:
    for count in (7, 4, 3, 4):
        going = ticks(file_store, CONFIG, loaders(CONFIG), resume_seconds=0.0)
        list(itertools.islice(going, count))
        going.close()
    assert result(file_store, trained(file_store, CONFIG, loaders(CONFIG))) == whole


def test_killed_between_the_model_and_its_mark_is_the_same(
    whole: tuple[Any, ...], file_store: Store, loaders: Loaded
) -> None:
    run = trained(file_store, CONFIG, loaders(CONFIG))
    with file_store.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL, counts = '{}' WHERE id = ?", [run.id])
    assert result(file_store, trained(file_store, CONFIG, loaders(CONFIG))) == whole


def test_the_batch_and_the_clock_change_nothing(whole: tuple[Any, ...], file_store: Store, loaders: Loaded) -> None:
    run = trained(file_store, CONFIG, loaders(CONFIG), batch=1, resume_seconds=0.0)
    assert result(file_store, run) == whole


def test_mask_vectors_are_computed_once_for_all_trainings(file_store: Store, loaders: Loaded) -> None:
    first = trained(file_store, CONFIG, loaders(CONFIG))
    other = replace(CONFIG, seed=1)
    second = trained(file_store, other, train.Loaders(loaders(other).base, never))
    assert first.id != second.id
    assert result(file_store, first)[-1] != result(file_store, second)[-1]
    with pytest.raises(AssertionError, match="for nothing"):  # another mask model is another set of vectors
        trained(file_store, replace(other, mask_model_fingerprint="n" * 12), train.Loaders(loaders(other).base, never))


def test_a_complete_training_loads_nothing(file_store: Store, loaders: Loaded) -> None:
    run = trained(file_store, CONFIG, loaders(CONFIG))
    before = result(file_store, run)
    found = list(ticks(file_store, CONFIG, train.Loaders(never, never)))
    assert [(tick.done, tick.total, tick.note) for tick in found] == [(STEPS, STEPS, "complete")]
    assert result(file_store, run) == before


def test_without_a_mask_model_nothing_is_masked(file_store: Store, loaders: Loaded) -> None:
    run = trained(file_store, UNMASKED, loaders(UNMASKED))
    assert run.counts["masked_share"] == 0
    assert not (file_store.files / "vectors.db").exists()


def test_sigma_1_masks_what_no_mask_masks_and_a_low_one_masks_more(file_store: Store, loaders: Loaded) -> None:
    shares = [
        trained(file_store, config, loaders(config)).counts["masked_share"]
        for config in (replace(CONFIG, sigma=sigma, epochs=1) for sigma in (1.0, 0.97, -1.0))
    ]
    assert shares[0] < shares[1] < shares[2]
    assert 0 <= shares[0] < 0.1


def test_the_last_batch_of_an_epoch_takes_every_triplet_once(file_store: Store, loaders: Loaded) -> None:
    """3 steps of 4, 4 and 2 triplets: with a batch as large as the data there is one step an epoch."""
    config = replace(UNMASKED, train_batch=100, eval_every=100)
    run = trained(file_store, config, loaders(config))
    assert [step.epoch for step in training.steps(file_store, run)] == [0, 1]
    assert [row.step for row in training.metrics(file_store, run)] == [2]


def test_a_curate_run_trains_on_what_it_keeps(file_store: Store, loaders: Loaded) -> None:
    _, score, _ = scored(file_store, [replace(one, a=4.0 - n % 2, b=1.0) for n, one in enumerate(MADE)])
    kept, none = CurateConfig(alpha=3.5, beta=3.0, gamma=1.0), CurateConfig(alpha=5.0, beta=3.0, gamma=1.0)
    runs = [finished(curate.run(file_store, config, score)) for config in (kept, none)]
    run = finished(train.run(file_store, UNMASKED, runs[0], DEV, loaders(UNMASKED), 8, "cpu"))
    assert run.counts["triplets"] == runs[0].counts["kept"] == 5
    with pytest.raises(Problem, match="keeps no triplet"):
        list(train.run(file_store, UNMASKED, runs[1], DEV, train.Loaders(never, never), 8, "cpu"))


def test_an_unfinished_parent_is_refused(file_store: Store) -> None:
    gen = file_store.begin("gen", 1, GEN, None)
    with pytest.raises(Problem, match="not finished"):
        list(train.run(file_store, CONFIG, gen, DEV, train.Loaders(never, never), 8, "cpu"))
    assert file_store.one("SELECT count(*) FROM runs WHERE stage = 'train'") == (0,)


@pytest.mark.parametrize("count", [0, 3])
def test_a_dev_task_too_small_to_correlate_is_a_problem(file_store: Store, loaders: Loaded, count: int) -> None:
    short = StsTask("short", [Subset("", PREMISES[:count], PREMISES[1 : count + 1], [1.0, 2.0, 3.0][:count])])
    with pytest.raises(Problem, match="short"):
        list(train.run(file_store, UNMASKED, generated(file_store), short, loaders(UNMASKED), 8, "cpu"))


def test_a_dev_task_whose_gold_is_constant_is_a_problem(file_store: Store, loaders: Loaded) -> None:
    flat = StsTask("flat", [Subset("", PREMISES[:8], PREMISES[1:9], [3.0] * 8)])
    with pytest.raises(Problem, match="flat"):
        list(train.run(file_store, UNMASKED, generated(file_store), flat, loaders(UNMASKED), 8, "cpu"))


def test_a_training_whose_loss_is_no_number_is_a_problem(file_store: Store, loaders: Loaded) -> None:
    """A temperature this small divides cosines to infinity; whoever asks for it can mend it."""
    config = replace(UNMASKED, tau=1e-40)
    with pytest.raises(Problem, match="loss"):
        trained(file_store, config, loaders(config))


def test_encoding_goes_on_with_half_where_memory_runs_out(file_store: Store, loaders: Loaded) -> None:
    """The mask model's vectors and the dev figures, with encoders that read four texts at once."""
    loads = loaders(CONFIG)
    assert loads.mask is not None
    mask = loads.mask()
    with memory_for(mask, 4) as refused:
        told = [tick.warning for tick in ticks(file_store, CONFIG, train.Loaders(loads.base, lambda: mask), batch=None)]
    assert refused
    assert [warning for warning in told if warning] == ["memory ran out with 6 texts at once; going on with 3"]


def test_a_training_step_that_does_not_fit_names_its_batch(file_store: Store, loaders: Loaded) -> None:
    """The batch of a training is part of what is trained: it is not halved behind the user's back. In chunks it fits."""
    base = loaders(UNMASKED).base()
    with memory_for(base, 11), pytest.raises(Problem, match=r"step 1 with 4 triplets .*train_batch") as refused:
        trained(file_store, UNMASKED, train.Loaders(lambda: base, None))
    assert "chunk=64" in refused.value.remedy
    with memory_for(base, 8), pytest.raises(Problem, match="step 1") as refused:
        trained(file_store, UNMASKED, train.Loaders(lambda: base, None), chunk=9)
    assert "a smaller chunk than 9" in refused.value.remedy
    with memory_for(base, 8):
        assert trained(file_store, UNMASKED, train.Loaders(lambda: base, None), chunk=8).finished


def test_chunks_are_no_part_of_what_is_trained(file_store: Store, loaders: Loaded, whole: tuple[Any, ...]) -> None:
    """Under the same id the same training, up to rounding: walked away from at a step, and gone on with in other chunks."""
    going = ticks(file_store, CONFIG, loaders(CONFIG), chunk=5, resume_seconds=0.0)
    next(tick for tick in going if tick.fresh == 3)
    going.close()
    run = trained(file_store, CONFIG, loaders(CONFIG), chunk=2)
    steps, metrics, counts, best, _ = result(file_store, run)
    assert (counts["best_step"], best) == (whole[2]["best_step"], whole[3])
    assert [step.loss for step in steps] == pytest.approx([step.loss for step in whole[0]], rel=1e-4)
    assert [row.value for row in metrics] == pytest.approx([row.value for row in whole[1]], abs=1e-3)


def test_the_words_of_persons_are_part_of_what_is_trained(file_store: Store, loaders: Loaded) -> None:
    """A dropped triplet is not trained on, and the training is another run; taken back, it is the first one again."""
    parent = generated(file_store)
    before = trained(file_store, UNMASKED, loaders(UNMASKED))
    (premise,) = file_store.one("SELECT min(id) FROM premises")
    reviews.add(file_store, parent, premise, "drop")
    with pytest.raises(Problem, match="reviewed"):  # a config that does not know the word
        list(ticks(file_store, replace(UNMASKED, seed=1), train.Loaders(never, never)))
    config = replace(UNMASKED, reviews_digest=reviews.applied(file_store, parent))
    after = trained(file_store, config, loaders(config))
    assert before.id != after.id
    assert (before.counts["triplets"], after.counts["triplets"]) == (10, 9)
    reviews.take_back(file_store, parent, premise)
    again = replace(UNMASKED, reviews_digest=reviews.applied(file_store, parent))
    assert trained(file_store, again, train.Loaders(never, never)) == before


def test_persons_who_drop_everything_leave_no_row(file_store: Store, loaders: Loaded) -> None:
    """Before a run begins its triplets are counted: there is nothing that it could ever resume."""
    _, score, _ = scored(file_store, [replace(one, a=4.0, b=1.0) for one in MADE])
    parent = finished(curate.run(file_store, CurateConfig(alpha=3.0, beta=3.0, gamma=1.0), score))
    assert parent.counts["kept"] == len(MADE)
    gen = file_store.parent(score)
    for (premise,) in file_store.rows("SELECT id FROM premises"):
        reviews.add(file_store, gen, premise, "drop")
    config = replace(UNMASKED, reviews_digest=reviews.applied(file_store, parent))
    with pytest.raises(Problem, match="keeps no triplet that no person dropped"):
        finished(train.run(file_store, config, parent, DEV, train.Loaders(never, never), 8, "cpu"))
    assert file_store.one("SELECT count(*) FROM runs WHERE stage = 'train'") == (0,)
    (premise,) = file_store.one("SELECT min(id) FROM premises")
    reviews.take_back(file_store, gen, premise)
    config = replace(UNMASKED, reviews_digest=reviews.applied(file_store, parent))
    run = finished(train.run(file_store, config, parent, DEV, loaders(config), 8, "cpu"))
    assert run.counts["triplets"] == 1


def test_a_word_said_while_triplets_are_read_stops_the_training(file_store: Store, loaders: Loaded) -> None:
    going = ticks(file_store, CONFIG, loaders(CONFIG))
    next(going)
    (premise,) = file_store.one("SELECT min(id) FROM premises")
    reviews.add(file_store, generated(file_store), premise, "drop")
    with pytest.raises(Problem, match="being reviewed while they are read"):
        list(going)


def test_what_the_mask_removed_is_kept_pair_by_pair(file_store: Store, loaders: Loaded) -> None:
    """Counted by hand over the batches of all steps; the same after a kill, with the counts of the steps."""
    going = ticks(file_store, CONFIG, loaders(CONFIG), resume_seconds=0.0)
    list(itertools.islice(going, 8))
    going.close()
    run = trained(file_store, CONFIG, loaders(CONFIG))
    encoder = loaders(CONFIG).mask()
    triplets = [(made.x, made.x_plus, made.x_minus) for made in MADE]
    sides = [normalised(encoder.encode(list(column))) for column in zip(*triplets, strict=True)]
    seen, recipe = Counter[tuple[str, str]](), fit.Recipe(0.05, 0.97, 4, 2, 1e-3, 16, 0, "float32")
    for _, chosen in batches(recipe, len(triplets)):
        places = chosen.tolist()
        seen.update(
            {
                (triplets[i][0], triplets[k][side])
                for i in places
                for k in places
                for side in (1, 2)
                if i != k and float(sides[0][i] @ sides[side][k]) >= 0.97
            }
        )
    kept = reading.listed(file_store, run)
    assert seen
    assert {(pair.premise, pair.hypothesis): pair.times for pair in kept} == dict(seen)
    assert [pair.times for pair in kept] == sorted(seen.values(), reverse=True)
    assert (run.counts["sigma"], run.counts["duplicates_masked"]) == (0.97, 0)
