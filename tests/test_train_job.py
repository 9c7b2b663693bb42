"""A training that is wanted: its id is known before anything is written, and what must come before it is made first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PREMISES
from rows import GEN, Made, add_drafts, add_premises, dump
from test_train_with import CORPUS, write

from multicsr import train
from multicsr.job import Job, Means
from multicsr.means import training_encoders
from stages.config import TrainConfig
from stages.models import catalog, checkpoint, loading
from store.database import Store
from store.problem import Problem
from store.records import Run, run_id
from store.rows import reviews, training

MADE = [Made(text, text.replace(" the ", " a "), f"Never: {text.lower()}") for text in PREMISES]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def told(tmp_path: Path, tiny_encoder: Path) -> dict[str, Any]:
    """A short training of the tiny encoder, measured on pairs of a file."""
    dev = tmp_path / "dev.tsv"
    dev.write_text("".join(f"{one}\t{two}\t{n % 4}\n" for n, (one, two) in enumerate(pairwise(PREMISES))))
    small = {"base": str(tiny_encoder), "pooler": "mean", "dev": str(dev), "dtype": "float32"}
    return {**small, "train_batch": 4, "epochs": 1, "mask_model": "none"}


@pytest.fixture
def written(file_store: Store) -> Run:
    gen = file_store.begin("gen", 1, GEN, None)
    add_drafts(file_store, gen, zip(add_premises(file_store, PREMISES), MADE, strict=True))
    return file_store.run(gen.id)


def wanted(store: Store, parent: Run, told: dict[str, Any]) -> Job:
    """The job, which wrote nothing."""
    assert store.path is not None
    before = dump(store.path)
    job = train.job(store, parent, means=Means(device="cpu", batch=8), **told)
    assert job.id == run_id("train", job.version, parent.id, job.config)
    assert job.made() is None
    assert dump(store.path) == before
    return job


def test_its_id_is_known_before_and_afterwards(file_store: Store, written: Run, told: dict[str, Any]) -> None:
    job = wanted(file_store, written, told)
    run = job.run().run
    assert run.id == job.id
    assert run.finished
    assert run == job.made()
    again = train.job(file_store, written, means=Means(device="cpu", batch=1, chunk=5), **told)
    assert again.id == job.id
    assert again.run().fresh == 0


def test_what_is_left_open_follows_from_the_objective_and_the_number_of_triplets(
    file_store: Store, written: Run, told: dict[str, Any]
) -> None:
    job = wanted(file_store, written, {name: told[name] for name in ("base", "pooler", "dev")} | {"mask_model": "none"})
    assert isinstance(job.settings, TrainConfig)
    found = job.settings
    assert (found.train_batch, found.lr, found.epochs, found.tau) == (256, 5e-5, 3, 0.05)
    assert (found.sigma, found.rank, found.teacher, found.eval_every) == (None, None, None, 1)
    scored = {**told, "objective": "clhaif", "train_batch": 2, "epochs": 50}
    other = wanted(file_store, written, scored).settings
    assert isinstance(other, TrainConfig)
    assert (other.clhaif, other.mask_model, other.eval_every) == ("positive", "none", 63)  # a quarter of 250 steps


def test_steps_take_the_place_of_epochs(file_store: Store, written: Run, told: dict[str, Any]) -> None:
    del told["epochs"]
    run = wanted(file_store, written, {**told, "steps": 5}).run().run
    assert (run.counts["steps"], run.config["epochs"]) == (5, None)
    with pytest.raises(Problem, match=r"^steps=5 and epochs=2 each say how long"):
        wanted(file_store, written, {**told, "steps": 5, "epochs": 2})


def test_the_released_recipe(file_store: Store, written: Run, told: dict[str, Any], tmp_path: Path) -> None:
    """σ 0.95, batches of 128, lr 5e-5, 3 epochs, length 32, measured every 25 steps, the MLP in training only; an embedded
    base keeps its own batches and learning rate."""
    folder, found = tmp_path / "cls", catalog.locate(told["base"], "encoder")
    checkpoint.save(loading.trainable(found, "cpu", "cls", seed=0), folder, "")
    left = {"objective": "multicsr-released", "dev": told["dev"], "mask_model": str(folder), "dtype": "float32"}
    recipe = {"sigma": 0.95, "train_batch": 128, "lr": 5e-5, "epochs": 3, "max_length": 32, "eval_every": 25}
    job = wanted(file_store, written, {**left, "base": str(folder)})
    assert {name: job.config[name] for name in recipe} == recipe
    assert job.config["pooler"] == "cls_before_pooler"
    embedded = wanted(file_store, written, {**left, "base": "minilm-l4"}).config
    assert {name: embedded[name] for name in recipe} == {**recipe, "train_batch": 32, "lr": 1e-4}
    known = {name: value for name, value in job.config.items() if value is not None}
    encoders = training_encoders.find(file_store, known, None)
    assert isinstance(job.settings, TrainConfig)
    base = encoders.loaders(job.settings, "cpu", None).base()
    assert base.mlp is not None
    assert base.kept_mlp is None
    run = job.run().run
    saved = training.checkpoint(file_store, run, "model")
    assert saved is not None
    assert loading.encoder(catalog.locate(str(saved[1]), "encoder"), "cpu").mlp is None


def test_with_a_mask_model_of_its_own_two_runs_are_made_and_both_ids_are_known(
    file_store: Store, written: Run, told: dict[str, Any]
) -> None:
    """The mask model's first, under its own name; the second names it, and asked again neither is made."""
    job = wanted(file_store, written, {**told, "mask_model": "self", "sigma": 0.5})
    parts: list[str] = []
    run = job.run(lambda tick, rate: parts.append(tick.part)).run
    assert run.id == job.id
    mask = file_store.run(run.config["mask_model_fingerprint"])
    assert (mask.stage, mask.parent, mask.config["objective"]) == ("train", written.id, "simcse-unsup")
    assert mask.finished
    assert list(dict.fromkeys(parts)) == ["its mask model", ""]
    assert run.counts["masked_share"] > 0
    assert file_store.one("SELECT environment ->> 'mask_run' FROM runs WHERE id = ?", [run.id]) == (mask.id,)
    ticks = list(job.start())
    assert [tick.note for tick in ticks] == ["complete"]


def test_a_teacher_may_be_the_mask_model_of_its_own(file_store: Store, written: Run, told: dict[str, Any]) -> None:
    job = wanted(file_store, written, {**told, "mask_model": "self", "rank": "listnet"})
    run = job.run().run
    assert run.id == job.id
    assert run.config["teacher"] == "self"
    assert run.config["teacher_fingerprint"] == run.config["mask_model_fingerprint"]


def test_a_mask_model_that_is_there_is_not_made_again(file_store: Store, written: Run, told: dict[str, Any]) -> None:
    """Cut short within it, the same job goes on, and another training under that mask begins with itself."""
    job = wanted(file_store, written, {**told, "mask_model": "self"})
    going = job.start()
    assert next(going).part == "its mask model"
    going.close()
    assert job.run().run.id == job.id
    other = wanted(file_store, written, {**told, "mask_model": "self", "seed": 0, "lr": 1e-3})
    parts: list[str] = []
    other.run(lambda tick, rate: parts.append(tick.part))
    assert set(parts) == {""}
    assert file_store.one("SELECT count(*) FROM runs WHERE stage = 'train'") == (3,)


def test_a_file_that_joins_is_imported_first_and_is_the_run_that_it_becomes(
    file_store: Store, tmp_path: Path, written: Run, told: dict[str, Any]
) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    job = wanted(file_store, written, {**told, "with_runs": [corpus]})
    units: list[tuple[str, str]] = []
    run = job.run(lambda tick, rate: units.append((tick.part, tick.unit))).run
    assert run.id == job.id
    assert list(dict.fromkeys(units)) == [("import of a corpus", "triplets"), ("", "")]
    (joined,) = run.config["with_runs"]
    assert run.counts["triplets_from"] == {written.id: len(MADE), joined: len(CORPUS)}
    for named in (corpus, str(corpus), joined, joined[:8], file_store.run(joined)):
        assert train.job(file_store, written, means=Means(device="cpu"), **told, with_runs=(named,)).id == job.id


def test_a_mask_model_of_its_own_learns_from_the_joined_corpus_too(
    file_store: Store, tmp_path: Path, written: Run, told: dict[str, Any]
) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    job = wanted(file_store, written, {**told, "mask_model": "self", "with_runs": [str(corpus)]})
    run = job.run().run
    assert run.id == job.id
    mask = file_store.run(run.config["mask_model_fingerprint"])
    assert mask.config["with_runs"] == run.config["with_runs"]
    assert mask.counts["triplets"] == run.counts["triplets"] == len(MADE) + len(CORPUS)


def test_what_cannot_be_is_refused_before_anything_is_written(
    file_store: Store, tmp_path: Path, written: Run, told: dict[str, Any]
) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    assert file_store.path is not None
    before = dump(file_store.path)
    refused = [
        ({"objectiv": "simcse"}, "there is no setting 'objectiv'", None),
        ({"lr": 3}, "lr 3 is out of range", "lr"),
        ({"teacher": "minilm"}, "teacher minilm has no use without rank=listnet", "teacher"),
        ({"max_length": 512}, "max_length 512 is more than", "max_length"),
        ({"dev": "nosuch"}, "dev 'nosuch' is neither", "dev"),
        ({"with_runs": ["nosuch"]}, "with_runs nosuch is no file, and no run begins with", "with_runs"),
        ({"with_runs": [str(corpus)], "objective": "claif"}, f"with_runs {corpus} is a file", "with_runs"),
        ({"seed": 0.5}, "seed 0.5 is not a whole number", "seed"),
    ]
    for more, says, setting in refused:
        with pytest.raises(Problem) as found:
            train.job(file_store, written, **{**told, **more})
        assert found.value.what.startswith(says)
        assert found.value.setting == setting
    assert dump(file_store.path) == before


def test_an_unfinished_parent_and_a_run_without_triplets_are_refused(
    file_store: Store, written: Run, told: dict[str, Any]
) -> None:
    begun = file_store.begin("gen", 1, replace(GEN, seed=1), None)
    with pytest.raises(Problem, match="not finished"):
        train.job(file_store, begun, **told)
    trained = train.job(file_store, written, means=Means(device="cpu"), **told).run().run
    with pytest.raises(Problem, match="is a train run"):
        train.job(file_store, trained, **told)


def test_a_word_of_a_person_gives_another_id(file_store: Store, written: Run, told: dict[str, Any]) -> None:
    before = wanted(file_store, written, told).id
    reviews.add(file_store, written, file_store.one("SELECT min(id) FROM premises")[0], "drop")
    job = wanted(file_store, written, told)
    assert job.id != before
    assert job.run().run.counts["triplets"] == len(MADE) - 1


def test_a_model_is_put_into_a_folder_of_ones_own(
    file_store: Store, written: Run, tmp_path: Path, told: dict[str, Any]
) -> None:
    run = train.job(file_store, written, means=Means(device="cpu"), **told).run().run
    train.copy_model(file_store, run, tmp_path / "out")
    found = training.checkpoint(file_store, run, "model")
    assert found is not None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in found[1].iterdir()}
    with pytest.raises(Problem, match="is not an empty folder"):
        train.refuse_taken(tmp_path / "out")


@pytest.mark.parametrize("means", [{"chunk": 0}, {"batch": -1}])
def test_a_size_below_one_is_refused(means: dict[str, int]) -> None:
    with pytest.raises(Problem, match="is out of range"):
        Means(**means)  # type: ignore[arg-type]
