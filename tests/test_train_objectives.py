"""Stage 3 under every objective but MultiCSR's own: it teaches, a kill costs nothing, and what is complete is left alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PREMISES
from driven import finished
from rows import Made, scored
from test_train_stage import CONFIG, CPU, DEV, UNMASKED, never, result

from stages import curate, train
from stages.config import CurateConfig, TrainConfig
from stages.config.train import CONTRASTIVE, MLP_IN_TRAINING, OBJECTIVES, SCORED
from stages.models import catalog, loading
from stages.models.encoder.model import Encoder
from stages.settings import complete
from stages.tasks import sts
from store.database import Store
from store.problem import Problem
from store.records import Run, as_config, run_id
from store.rows import reviews, training

RELEASED = replace(CONFIG, objective="multicsr-released", sigma=0.95, pooler="cls_before_pooler")
CONFIGS = {
    "multicsr-released": RELEASED,
    "simcse": replace(UNMASKED, objective="simcse"),
    "simcse-unsup": replace(UNMASKED, objective="simcse-unsup", pooler="cls_before_pooler"),
    "clhaif positive": replace(UNMASKED, objective="clhaif", clhaif="positive"),
    "clhaif all": replace(UNMASKED, objective="clhaif", clhaif="all"),
    "claif": replace(UNMASKED, objective="claif", tau=None),
    "multicsr prompt": replace(CONFIG, pooler="prompt"),
    "multicsr whitened": replace(CONFIG, whiten=True, whiten_dim=6),
    "simcse-unsup prompt": replace(UNMASKED, objective="simcse-unsup", pooler="prompt"),
    "multicsr listnet": replace(CONFIG, rank="listnet", teacher="bert", teacher_fingerprint="m" * 12),
    "multicsr quantile": replace(CONFIG, sigma=None, sigma_quantile=0.1),
    "multicsr margin": replace(CONFIG, sigma=None, sigma_margin=-0.02, own="premise"),
    "clhaif all masked": replace(CONFIG, objective="clhaif", clhaif="all"),
    "simcse-unsup masked": replace(CONFIG, objective="simcse-unsup", pooler="cls_before_pooler", sigma=0.9),
    "simcse-unsup listmle": replace(
        UNMASKED, objective="simcse-unsup", rank="listmle", teacher="bert", teacher_fingerprint="t" * 12
    ),
}
EVERYTHING = CurateConfig(alpha=0.0, beta=5.0, gamma=-5.0)
MADE = [
    Made(text, text.replace(" the ", " a "), f"Never: {text.lower()}", a=5.0 - n % 4, b=n % 3 / 2)
    for n, text in enumerate(PREMISES)
]
STEPS = 6  # ceil(10 triplets / 4) * 2 epochs

Loaded = Callable[[TrainConfig], train.Loaders]


@pytest.fixture(scope="module")
def loaders(tiny_encoder: Path) -> Loaded:
    torch.set_num_threads(1)
    found = catalog.locate(str(tiny_encoder), "encoder")

    def make(config: TrainConfig) -> train.Loaders:
        def frozen() -> Encoder:
            return loading.encoder(found, CPU, "mean")

        mask = None if config.mask_model == "none" else frozen
        head = config.objective in MLP_IN_TRAINING
        base = partial(loading.trainable, found, CPU, config.pooler, config.seed, head)
        return train.Loaders(base, mask, frozen if config.teacher else None)

    return make


def curated(store: Store, config: CurateConfig = EVERYTHING) -> Run:
    """All ten triplets with their scores, under a curate run."""
    row = store.one("SELECT id FROM runs WHERE stage = 'score'")
    score = store.run(row[0]) if row else scored(store, MADE)[1]
    return finished(curate.run(store, config, score))


def ticks(store: Store, config: TrainConfig, loaders: train.Loaders, **kwargs: Any) -> Any:
    return train.run(store, config, curated(store), DEV, loaders, 8, "cpu", **kwargs)


def trained(store: Store, config: TrainConfig, loaders: train.Loaders) -> Run:
    return finished(ticks(store, config, loaders))


@pytest.mark.parametrize("name", CONFIGS)
def test_it_trains_and_lowers_the_loss(file_store: Store, loaders: Loaded, name: str) -> None:
    """Twenty epochs of all ten triplets at once; the folder it leaves loads by itself."""
    config = replace(CONFIGS[name], epochs=20, train_batch=10, lr=3e-3, eval_every=20)
    run = trained(file_store, config, loaders(config))
    steps = training.steps(file_store, run)
    assert len(steps) == run.counts["steps"] == 20
    assert run.counts["triplets"] == 10
    assert np.mean([step.loss for step in steps[-3:]]) < np.mean([step.loss for step in steps[:3]])
    assert (run.counts["masked_share"] > 0) == (config.mask_model != "none")
    found = training.checkpoint(file_store, run, "model")
    assert found is not None
    encoder = loading.encoder(catalog.locate(str(found[1]), "encoder"), CPU)
    assert (encoder.pooler, encoder.mlp) == (config.pooler, None)
    assert encoder.encode(PREMISES).shape == (10, encoder.width)
    assert encoder.width == (6 if config.whiten else 32)


@pytest.mark.parametrize("name", CONFIGS)
def test_killed_and_run_again_equals_a_training_without_a_break(
    file_store: Store, tmp_path: Path, loaders: Loaded, name: str
) -> None:
    """Killed twice, once behind a resume point: same steps, figures, counts and bytes of the weights."""
    config = CONFIGS[name]
    opened = Store.open(tmp_path / "whole.db")
    whole = result(opened, trained(opened, config, loaders(config)))
    assert len(whole[0]) == STEPS
    resumed = 0
    for count in (9, 4):
        going = ticks(file_store, config, loaders(config), resume_seconds=0.0)
        list(itertools.islice(going, count))
        going.close()
        run = file_store.begin("train", train.VERSION, config, curated(file_store).id)
        assert run.finished is None
        resumed += training.checkpoint(file_store, run, "resume") is not None
    assert resumed
    assert result(file_store, trained(file_store, config, loaders(config))) == whole


@pytest.mark.parametrize("name", CONFIGS)
def test_a_complete_training_loads_nothing(file_store: Store, loaders: Loaded, name: str) -> None:
    config = CONFIGS[name]
    run = trained(file_store, config, loaders(config))
    before = result(file_store, run)
    found = list(ticks(file_store, config, train.Loaders(never, never)))
    assert [(tick.done, tick.total, tick.note) for tick in found] == [(STEPS, STEPS, "complete")]
    assert result(file_store, run) == before


def test_every_objective_is_another_run() -> None:
    configs = [CONFIG, UNMASKED, *CONFIGS.values()]
    ids = [run_id("train", train.VERSION, None, as_config(config)) for config in configs]
    assert len(set(ids)) == len(ids)
    assert replace(CONFIG, objective="multicsr") == CONFIG
    assert {name.split()[0] for name in CONFIGS} | {"multicsr"} == set(OBJECTIVES)


def test_without_labels_only_the_premises_count(file_store: Store, tmp_path: Path, loaders: Loaded) -> None:
    """Other hypotheses of the same premises: the same steps, to the last bit. With them read, other steps."""
    for name, same in (("simcse-unsup", True), ("simcse", False)):
        config = CONFIGS[name]
        mine = trained(file_store, config, loaders(config))
        opened = Store.open(tmp_path / f"{name}.db")
        _, score, _ = scored(opened, [replace(one, x_plus=one.x, x_minus="No.") for one in MADE])
        assert score.finished
        other = trained(opened, config, loaders(config))
        assert (training.steps(file_store, mine) == training.steps(opened, other)) == same


@pytest.mark.parametrize("name", ["clhaif positive", "clhaif all", "claif"])
def test_the_scores_are_part_of_what_is_trained(file_store: Store, tmp_path: Path, loaders: Loaded, name: str) -> None:
    """The same texts with other scores give another loss; SimCSE reads none."""
    steps = []
    for number, config in enumerate((CONFIGS[name], CONFIGS["simcse"])):
        mine = training.steps(file_store, trained(file_store, config, loaders(config)))
        opened = Store.open(tmp_path / f"{number}.db")
        scored(opened, [replace(one, a=3.25, b=2.75) for one in MADE])
        steps.append(mine == training.steps(opened, trained(opened, config, loaders(config))))
    assert steps == [False, True]


@pytest.mark.parametrize("objective", SCORED)
def test_scores_are_needed_where_they_are_learned_from(file_store: Store, loaders: Loaded, objective: str) -> None:
    """A gen run has none; nor has a triplet that a person kept though the LLM's reply could not be read."""
    gen, score, _ = scored(file_store, [*MADE, Made("Unread.", "Not read.", "Read.", a=None, b=1.0)])
    config = CONFIGS["claif" if objective == "claif" else "clhaif positive"]
    with pytest.raises(Problem, match="has none") as refused:
        list(train.run(file_store, config, gen, DEV, train.Loaders(never, never), 8, "cpu"))
    assert "multicsr curate" in refused.value.remedy
    assert file_store.one("SELECT count(*) FROM runs WHERE stage = 'train'") == (0,)
    parent = curated(file_store)
    assert parent.counts["kept"] == 10
    (unread,) = file_store.one("SELECT id FROM premises WHERE text = 'Unread.'")
    reviews.add(file_store, gen, unread, "keep")
    config = replace(config, reviews_digest=reviews.applied(file_store, parent))
    with pytest.raises(Problem, match="without a score"):
        list(train.run(file_store, config, parent, DEV, loaders(config), 8, "cpu"))
    assert score.finished


@pytest.mark.parametrize(
    ("objective", "given", "says"),
    [
        ("claif", {"sigma": 0.9}, "sigma 0.9"),
        ("claif", {"sigma": 0.0}, "sigma 0.0"),
        ("claif", {"mask_model": "minilm"}, "mask_model minilm"),
        ("claif", {"mask_model": "self"}, "mask_model self"),
        ("claif", {"sigma_quantile": 0.01}, "sigma_quantile 0.01"),
        ("claif", {"sigma_margin": 0.0}, "sigma_margin 0.0"),
        ("claif", {"own": "premise"}, "own premise"),
        ("multicsr", {"own": "text"}, "own 'text'"),
        ("multicsr", {"sigma_quantile": 0.0}, "sigma_quantile 0"),
        ("claif", {"tau": 0.05}, "tau 0.05"),
        ("multicsr", {"clhaif": "all"}, "clhaif all"),
        ("claif", {"rank": "listnet", "teacher": "bert"}, "rank listnet"),
        ("simcse", {"rank": "listwise", "teacher": "bert"}, "rank 'listwise'"),
        ("simcse", {"teacher": "bert"}, "teacher bert"),
        ("contrastive", {}, "objective 'contrastive'"),
    ],
)
def test_a_setting_that_an_objective_does_not_read_is_refused(objective: str, given: dict[str, Any], says: str) -> None:
    """As it is told, before anything is looked for, and by the config itself."""
    with pytest.raises(Problem) as refused:
        complete(TrainConfig, {"objective": objective, **given})
    assert refused.value.what.startswith(says)
    assert refused.value.setting == says.split()[0]
    tau = UNMASKED.tau if objective in CONTRASTIVE else None
    with pytest.raises(Problem) as refused:
        TrainConfig(**{**vars(UNMASKED), "tau": tau, "objective": objective, **given})
    assert refused.value.what.startswith(says)


def test_whitening_is_learned_from_the_sentences_of_the_training_alone(file_store: Store, loaders: Loaded) -> None:
    """Over the texts of its triplets the saved model's vectors have mean 0 and covariance I; the steps are those without."""
    config = CONFIGS["multicsr whitened"]
    run, plain = trained(file_store, config, loaders(config)), trained(file_store, CONFIG, loaders(CONFIG))
    assert training.steps(file_store, run) == training.steps(file_store, plain)
    assert run.counts["dev"] == plain.counts["dev"]
    found = training.checkpoint(file_store, run, "model")
    assert found is not None
    encoder = loading.encoder(catalog.locate(str(found[1]), "encoder"), CPU)
    vectors = encoder.encode([text for one in MADE for text in (one.x, one.x_plus, one.x_minus)])
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(vectors.T, bias=True), np.eye(6), atol=1e-3)
    figure = sts.evaluate(DEV, lambda texts: encoder.encode(texts, 8))[0]
    assert run.counts["whitened"] == {"dimensions": 6, "spearman": figure.value}
    assert "Whitened to 6 dimensions" in (found[1] / "README.md").read_text()


def test_a_whitening_that_cannot_be_is_a_problem(file_store: Store, loaders: Loaded) -> None:
    config = replace(CONFIGS["multicsr whitened"], whiten_dim=33)
    with pytest.raises(Problem, match="whiten_dim 33 is more than the 32"):
        trained(file_store, config, loaders(config))
    with pytest.raises(Problem, match="has no use without whiten"):
        replace(CONFIG, whiten_dim=3)
    with pytest.raises(Problem, match="whiten_dim 0"):
        replace(CONFIG, whiten=True, whiten_dim=0)


def test_a_teacher_is_part_of_what_is_trained(file_store: Store, loaders: Loaded) -> None:
    """Its terms change the steps; its vectors are the mask model's where it is the same, and are not computed again."""
    config = CONFIGS["multicsr listnet"]
    plain = trained(file_store, CONFIG, loaders(CONFIG))
    ranked = trained(file_store, config, train.Loaders(loaders(config).base, never, never))
    steps = [training.steps(file_store, run) for run in (plain, ranked)]
    assert all(mine.loss < other.loss for mine, other in zip(*steps, strict=True))
    assert [step.masked_share for step in steps[0]] == [step.masked_share for step in steps[1]]


def test_a_clhaif_variant_that_is_not_known_is_refused() -> None:
    with pytest.raises(Problem, match="clhaif 'some'"):
        replace(UNMASKED, objective="clhaif", clhaif="some")


def test_the_card_names_the_objective_and_what_was_read(file_store: Store, loaders: Loaded) -> None:
    cards = {}
    for name in ("simcse-unsup", "claif"):
        run = trained(file_store, CONFIGS[name], loaders(CONFIGS[name]))
        found = training.checkpoint(file_store, run, "model")
        assert found is not None
        cards[name] = (found[1] / "README.md").read_text()
    assert "trained with unsupervised SimCSE" in cards["simcse-unsup"]
    assert "on the premises of 10 triplets" in cards["simcse-unsup"]
    assert MADE[0].x_minus not in cards["simcse-unsup"]
    assert "trained with CLAIF's loss" in cards["claif"]
    assert MADE[0].x_minus in cards["claif"]
