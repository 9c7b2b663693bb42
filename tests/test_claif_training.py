"""CLAIF's training is that of its published code: the first token, the base's own length, weights that decay, a warm-up."""

from __future__ import annotations

import json
import math
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import PREMISES
from test_curate_pairs import curated, rewritten

from multicsr import train
from multicsr.job import Means
from stages.config import TrainConfig
from stages.models import catalog, checkpoint, loading
from stages.models.encoder import pooling
from stages.models.encoder.model import Encoder
from stages.models.training import fit
from stages.models.training import recipe as recipes
from stages.models.training.fit import Recipe, Training
from stages.models.training.loss import similarity_loss
from store.database import Store
from store.rows import training

CPU = torch.device("cpu")
TEXTS = tiny.CORPUS
PAIRS = [(TEXTS[i], TEXTS[i + 11]) for i in range(11)]
LABELS = np.linspace(0.1, 0.9, len(PAIRS), dtype=np.float32)[:, None]
RECIPE = Recipe(
    tau=None,
    sigma=None,
    train_batch=4,
    epochs=2,
    lr=1e-2,
    max_length=24,
    seed=3,
    dtype="float32",
    objective="claif",
)
DECAY = 0.01
# The weights that the trainer of sentence-transformers, which CLAIF is published with, lets AdamW leave as they are.
KEPT = ("bias", "LayerNorm.weight")
TABLE = "backbone.embeddings.word_embeddings.weight"


pytestmark = pytest.mark.usefixtures("one_thread")


def base(folder: Path, seed: int = 3) -> Encoder:
    return loading.trainable(catalog.locate(str(folder), "encoder"), CPU, "cls_before_pooler", seed)


def going(folder: Path, seed: int = 3) -> Training:
    return Training(base(folder, seed), PAIRS, None, RECIPE, LABELS)


def weights(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def places() -> list[list[int]]:
    """The pairs of every step."""
    found = []
    for epoch in range(RECIPE.epochs):
        order = recipes.order(RECIPE.seed, epoch, len(PAIRS)).tolist()
        found += [order[start : start + RECIPE.train_batch] for start in range(0, len(order), RECIPE.train_batch)]
    return found


def test_weights_decay_as_those_of_adamw_over_every_weight(tiny_encoder: Path) -> None:
    """Ordinary AdamW over the whole vocabulary, on the same batches. Words that no pair has decay by the product of all
    steps; biases and norms do not."""
    mine = going(tiny_encoder)
    steps = list(mine.steps())
    plain = base(tiny_encoder).train()
    before = weights(plain)
    named = list(plain.named_parameters())
    groups = [
        {"params": [weight for name, weight in named if name.endswith(KEPT)], "weight_decay": 0.0},
        {"params": [weight for name, weight in named if not name.endswith(KEPT)], "weight_decay": DECAY},
    ]
    optimiser = torch.optim.AdamW(groups, lr=RECIPE.lr)
    for step, batch in zip(steps, places(), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = step.lr
        torch.manual_seed(recipes.seed_for(RECIPE.seed, "dropout", step.step - 1))
        rows = [row for side in range(2) for row in plain.ids([PAIRS[i][side] for i in batch], RECIPE.max_length)]
        vectors = plain(rows)
        loss = similarity_loss(vectors[: len(batch)], vectors[len(batch) :], torch.from_numpy(LABELS[batch, 0]))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), fit.GRADIENT_NORM)
        optimiser.step()
        assert step.loss == pytest.approx(loss.item(), abs=1e-4)
    found = weights(mine.encoder)
    for name, expected in weights(plain).items():
        if not name.endswith("key.bias"):  # its gradient is rounding, which AdamW makes steps of
            torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-5, msg=name)
    assert mine.used is not None
    unused = torch.ones(len(before[TABLE]), dtype=torch.bool)
    unused[mine.used] = False
    assert 0 < int(unused.sum()) < len(unused)
    left = math.prod(1 - step.lr * DECAY for step in steps)
    torch.testing.assert_close(found[TABLE][unused], before[TABLE][unused] * left, rtol=1e-6, atol=0)
    assert not torch.allclose(found[TABLE][unused], before[TABLE][unused], rtol=1e-4, atol=0)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_restored_training_decays_to_the_last_bit(tiny_encoder: Path, tmp_path: Path, stop: int) -> None:
    """Words that no pair has go on from where they had decayed to."""
    whole = going(tiny_encoder)
    expected = list(whole.steps())
    first = going(tiny_encoder)
    begun = list(islice(first.steps(), stop))
    checkpoint.save_state(first.state(), tmp_path / "resume")
    second = going(tiny_encoder, seed=99)
    second.restore(checkpoint.load_state(tmp_path / "resume", CPU))
    assert begun + list(second.steps()) == expected
    found = weights(second.encoder)
    assert all(torch.equal(found[name], value) for name, value in weights(whole.encoder).items())


def test_a_training_in_parts_decays_as_one_at_once(tiny_encoder: Path) -> None:
    """Words that no pair has, to the last bit; the others have gradients, which are the same up to rounding."""
    whole = going(tiny_encoder)
    parts = Training(base(tiny_encoder), PAIRS, None, RECIPE, LABELS, chunk=3)
    losses = [[step.loss for step in one.steps()] for one in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    assert whole.used is not None
    unused = torch.ones(whole.encoder.words.num_embeddings, dtype=torch.bool)
    unused[whole.used] = False
    assert torch.equal(weights(parts.encoder)[TABLE][unused], weights(whole.encoder)[TABLE][unused])


def test_the_rate_rises_over_a_tenth_of_the_steps_and_no_other_objective_decays(tiny_encoder: Path) -> None:
    steps = list(going(tiny_encoder).steps())  # six, of which ceil(0.6) = 1 rises
    assert [step.lr / RECIPE.lr for step in steps] == pytest.approx([1.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    others = ("multicsr", "multicsr-released", "simcse", "simcse-unsup", "clhaif")
    decays = {name: Recipe(**{**RECIPE.__dict__, "objective": name}).weight_decay for name in ("claif", *others)}
    assert decays == {"claif": DECAY, **dict.fromkeys(others, 0.0)}


def test_without_a_length_only_the_bases_own_limit_cuts(tiny_encoder: Path) -> None:
    encoder = base(tiny_encoder)
    recipe = Recipe(**{**RECIPE.__dict__, "max_length": None})
    mine = Training(encoder, [(" ".join(TEXTS * 9), TEXTS[0])], None, recipe, LABELS[:1])
    assert [len(column[0]) for column in mine.rows] == [encoder.max_length, len(encoder.ids([TEXTS[0]])[0])]


@pytest.fixture
def told(tmp_path: Path) -> dict[str, Any]:
    """A short training, measured on pairs of a file."""
    dev = tmp_path / "dev.tsv"
    dev.write_text("".join(f"{one}\t{two}\t{n % 4}\n" for n, (one, two) in enumerate(pairwise(PREMISES))))
    return {"dev": str(dev), "dtype": "float32", "epochs": 1}


def recorded(tiny_encoder: Path, folder: Path, pooler: str) -> Path:
    """A base that records how its tokens are pooled; of `cls`, with its MLP."""
    checkpoint.save(
        loading.trainable(catalog.locate(str(tiny_encoder), "encoder"), CPU, pooler, 0), folder, "# A base\n"
    )
    assert pooling.pooling_of(catalog.locate(str(folder), "encoder")) == pooler
    return folder


@pytest.mark.parametrize(
    ("of_the_base", "given", "used"),
    [
        ("cls", None, "cls_before_pooler"),
        ("mean", None, "mean"),
        ("cls", "cls", "cls"),
        ("mean", "cls_before_pooler", "cls_before_pooler"),
    ],
)
def test_the_first_token_without_mlp_unless_base_or_person_says_otherwise(
    file_store: Store,
    tmp_path: Path,
    tiny_encoder: Path,
    told: dict[str, Any],
    of_the_base: str,
    given: str | None,
    used: str,
) -> None:
    """In training as at test: the saved model pools as it was trained, and has no MLP of its own making."""
    parent = curated(file_store, rewritten(file_store))
    told["base"] = str(recorded(tiny_encoder, tmp_path / "base", of_the_base))
    job = train.job(file_store, parent, means=Means(device="cpu", batch=8), objective="claif", pooler=given, **told)
    assert isinstance(job.settings, TrainConfig)
    assert (job.settings.pooler, job.settings.max_length, job.settings.train_batch) == (used, None, 32)
    run = job.run().run
    found = training.checkpoint(file_store, run, "model")
    assert found is not None
    encoder = loading.encoder(catalog.locate(str(found[1]), "encoder"), CPU)
    assert (encoder.pooler, encoder.mlp is not None) == (used, used == "cls")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in json.loads((found[1] / "modules.json").read_text())]
    assert ("Dense" in kinds) == (used == "cls")


def test_a_length_that_is_told_cuts_and_other_objectives_have_theirs(
    file_store: Store, tiny_encoder: Path, told: dict[str, Any]
) -> None:
    parent = curated(file_store, rewritten(file_store))
    told |= {"base": str(tiny_encoder), "pooler": "mean"}
    found = train.job(file_store, parent, means=Means(device="cpu"), objective="claif", max_length=12, **told).settings
    assert isinstance(found, TrainConfig)
    assert found.max_length == 12
