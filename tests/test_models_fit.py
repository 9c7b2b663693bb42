"""Training: what each step does follows from where it stands, and from nothing else."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.models import catalog, checkpoint, loading
from stages.models.encoder.model import Encoder, normalised
from stages.models.training import fit
from stages.models.training import recipe as recipes
from stages.models.training.fit import MaskVectors, Recipe, Training
from stages.models.training.loss import masked_contrastive_loss

CPU = torch.device("cpu")
TEXTS = tiny.CORPUS
# Eleven triplets, of which two have the same premise; batches of four leave a last one of three.
TRIPLETS = [(TEXTS[i], TEXTS[i + 11], TEXTS[i + 6]) for i in range(10)] + [(TEXTS[0], TEXTS[21], TEXTS[5])]
RECIPE = Recipe(tau=0.05, sigma=0.9, train_batch=4, epochs=2, lr=1e-3, max_length=24, seed=3, dtype="float32")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module")
def mask(bert: Path) -> MaskVectors:
    encoder = loading.encoder(catalog.locate(str(bert), "encoder"), CPU, "mean")
    return MaskVectors(*(normalised(encoder.encode(column)) for column in zip(*TRIPLETS, strict=True)))


def base(bert: Path, pooler: str = "cls", seed: int = 3) -> Encoder:
    return loading.trainable(catalog.locate(str(bert), "encoder"), CPU, pooler, seed)


def changed(recipe: Recipe, **values: Any) -> Recipe:
    return Recipe(**{**recipe.__dict__, **values})


def weights(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("stop", [1, 3, 5])
@pytest.mark.parametrize("pooler", ["cls", "mean"])
def test_a_restored_training_walks_the_same_road_to_the_last_bit(
    bert: Path, mask: MaskVectors, tmp_path: Path, pooler: str, stop: int
) -> None:
    """Stopped after any step, written, read and restored into a fresh encoder: same steps, same weights."""
    whole = Training(base(bert, pooler), TRIPLETS, mask, RECIPE)
    expected = list(whole.steps())
    first = Training(base(bert, pooler), TRIPLETS, mask, RECIPE)
    begun = list(islice(first.steps(), stop))
    checkpoint.save_state(first.state(), tmp_path / "resume")
    second = Training(base(bert, pooler, seed=99), TRIPLETS, mask, RECIPE)
    torch.rand(7)
    second.restore(checkpoint.load_state(tmp_path / "resume", CPU))
    assert begun + list(second.steps()) == expected
    assert equal(weights(second.encoder), weights(whole.encoder))


def test_using_the_encoder_between_steps_changes_nothing(bert: Path, mask: MaskVectors) -> None:
    """Evaluating, and drawing random numbers, in between leaves the road as it is."""
    quiet, busy = (Training(base(bert), TRIPLETS, mask, RECIPE) for _ in range(2))
    expected = list(quiet.steps())
    found = []
    for step in busy.steps():
        found.append(step)
        busy.encoder.encode(tiny.premises())
        torch.rand(step.step)
        np.random.default_rng().random(3)
    assert found == expected
    assert equal(weights(busy.encoder), weights(quiet.encoder))


def test_a_seed_is_one_training(bert: Path, mask: MaskVectors) -> None:
    """The same seed gives the same steps, another seed others."""
    found = [
        [step.loss for step in Training(base(bert), TRIPLETS, mask, changed(RECIPE, seed=seed)).steps()]
        for seed in (3, 3, 4)
    ]
    assert found[0] == found[1] != found[2]


def test_a_training_teaches(bert: Path) -> None:
    """Over forty epochs the loss of these triplets falls to less than half of what it was."""
    recipe = changed(RECIPE, epochs=40, lr=3e-3)
    steps = list(Training(base(bert, "first_last_mean"), TRIPLETS, None, recipe).steps())
    assert np.mean([step.loss for step in steps[-3:]]) < 0.5 * np.mean([step.loss for step in steps[:3]])


@given(st.integers(0, 2**63), st.integers(0, 50), st.integers(1, 200))
def test_the_order_of_an_epoch_is_a_permutation(seed: int, epoch: int, count: int) -> None:
    """Every triplet once an epoch, in an order that (seed, epoch) gives."""
    order = recipes.order(seed, epoch, count)
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, recipes.order(seed, epoch, count))
    if count > 20:
        assert not torch.equal(order, recipes.order(seed, epoch + 1, count))
        assert not torch.equal(order, recipes.order(seed + 1, epoch, count))


@given(st.integers(1, 10_000), st.integers(2, 512), st.integers(1, 9))
def test_steps_in_counts_the_smaller_last_batch(triplets: int, train_batch: int, epochs: int) -> None:
    """As many steps an epoch as it takes to see every triplet once."""
    assert recipes.steps_in(triplets, train_batch, epochs) == len(range(0, triplets, train_batch)) * epochs


def test_a_number_of_steps_ends_a_training_wherever_it_is_in_an_epoch(bert: Path) -> None:
    """Eleven triplets in fours are three steps an epoch; the learning rate falls to its last share at the last step."""
    recipe = changed(RECIPE, epochs=None, steps=7)
    taken = list(Training(base(bert), TRIPLETS, None, recipe).steps())
    assert [(step.step, step.epoch) for step in taken] == list(zip(range(1, 8), (0, 0, 0, 1, 1, 1, 2), strict=True))
    assert [step.lr for step in taken] == pytest.approx([RECIPE.lr * (7 - place) / 7 for place in range(7)])
    whole = list(Training(base(bert), TRIPLETS, None, changed(RECIPE, epochs=2)).steps())
    as_many = list(Training(base(bert), TRIPLETS, None, changed(RECIPE, epochs=None, steps=6)).steps())
    assert as_many == whole


@pytest.mark.parametrize(("train_batch", "epochs"), [(4, 2), (11, 3), (64, 1), (2, 1)])
def test_steps_are_numbered_and_the_rate_falls_in_a_line(bert: Path, train_batch: int, epochs: int) -> None:
    """Steps count from 1; the rate is lr * (1 - steps done / all steps): no warm-up, never 0."""
    recipe = changed(RECIPE, train_batch=train_batch, epochs=epochs, sigma=None)
    steps = list(Training(base(bert), TRIPLETS, None, recipe).steps())
    total = recipes.steps_in(len(TRIPLETS), train_batch, epochs)
    assert [step.step for step in steps] == list(range(1, total + 1))
    assert [step.epoch for step in steps] == [n * epochs // total for n in range(total)]
    assert [step.lr for step in steps] == pytest.approx([recipe.lr * (total - n) / total for n in range(total)])
    assert all(step.masked_share == 0.0 for step in steps)


def places(recipe: Recipe) -> list[list[int]]:
    """The triplets of every step."""
    found = []
    for epoch in range(recipe.epochs):
        order = recipes.order(recipe.seed, epoch, len(TRIPLETS)).tolist()
        found += [order[start : start + recipe.train_batch] for start in range(0, len(order), recipe.train_batch)]
    return found


@pytest.mark.parametrize("sigma", [-1.0, 0.8, 0.97])
def test_the_masked_share_is_the_share_of_negatives_removed(bert: Path, mask: MaskVectors, sigma: float) -> None:
    """Counted by hand for every step: of the N * (2N - 1) negatives, those at sigma or above from another place, and those
    that are the premise's own entailment again."""
    recipe = changed(RECIPE, sigma=sigma)
    steps = list(Training(base(bert), TRIPLETS, mask, recipe).steps())
    sides = ((1, mask.entailment), (2, mask.contradiction))
    for step, batch in zip(steps, places(recipe), strict=True):
        removed = sum(
            (i != k and float(np.dot(mask.premise[i], side[k])) >= sigma) or TRIPLETS[k][text] == TRIPLETS[i][1]
            for i in batch
            for k in batch
            for text, side in sides
            if (k, text) != (i, 1)
        )
        assert step.masked_share == pytest.approx(removed / (len(batch) * (2 * len(batch) - 1)))
    assert sum(step.masked_share for step in steps) > 0


def test_the_loss_of_a_step_is_that_of_its_triplets(bert: Path, mask: MaskVectors) -> None:
    """The first step, without dropout: the loss of the first batch's own vectors under the first batch's mask."""
    encoder = base(bert)
    for part in encoder.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    batch = places(RECIPE)[0]
    columns = [encoder.encode([TRIPLETS[i][side] for i in batch]) for side in range(3)]
    h = torch.from_numpy(np.concatenate(columns))
    masked = np.concatenate(
        [mask.premise[batch] @ side[batch].T >= RECIPE.sigma for side in (mask.entailment, mask.contradiction)], axis=1
    )
    own = np.eye(len(batch), dtype=bool)
    hidden = torch.from_numpy(masked & ~np.concatenate([own, own], axis=1))
    expected = masked_contrastive_loss(h[: len(batch)], h[len(batch) :], hidden, RECIPE.tau)
    step = next(Training(encoder, TRIPLETS, mask, RECIPE).steps())
    assert step.loss == pytest.approx(float(expected), abs=1e-4)


def test_the_smaller_last_batch_is_trained_on(bert: Path) -> None:
    """Three triplets are left for the third step of an epoch: it moves the weights."""
    going = Training(base(bert), TRIPLETS, None, RECIPE)
    steps = going.steps()
    next(steps), next(steps)
    before = weights(going.encoder)
    third = next(steps)
    assert third.epoch == 0
    assert len(places(RECIPE)[2]) == 3
    assert 0 < third.loss < math.inf
    assert not equal(weights(going.encoder), before)


@pytest.mark.parametrize("pooler", ["cls", "mean"])
def test_steps_are_those_of_adamw_over_every_weight(bert: Path, mask: MaskVectors, pooler: str) -> None:
    """Ordinary AdamW over the whole vocabulary, on the same batches: words that no triplet has stay where they are.

    Keys' biases are left out: they cancel in the softmax, so their gradient is rounding, which AdamW makes steps of.
    """
    going = Training(base(bert, pooler), TRIPLETS, mask, RECIPE)
    steps = list(going.steps())
    plain = base(bert, pooler).train()
    before = weights(plain)
    optimiser = torch.optim.AdamW(plain.parameters(), lr=RECIPE.lr, weight_decay=0.0)
    for step, batch in zip(steps, places(RECIPE), strict=True):
        optimiser.param_groups[0]["lr"] = step.lr
        torch.manual_seed(recipes.seed_for(RECIPE.seed, "dropout", step.step - 1))
        rows = [row for side in range(3) for row in plain.ids([TRIPLETS[i][side] for i in batch], RECIPE.max_length)]
        vectors = plain(rows)
        masked, _ = going.objective.masked(torch.tensor(batch))
        loss = masked_contrastive_loss(vectors[: len(batch)], vectors[len(batch) :], masked, RECIPE.tau)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), fit.GRADIENT_NORM)
        optimiser.step()
        assert step.loss == pytest.approx(loss.item(), abs=1e-4)
    for name, expected in plain.state_dict().items():
        if name.endswith("key.bias"):
            continue
        torch.testing.assert_close(going.encoder.state_dict()[name], expected, rtol=1e-4, atol=1e-5, msg=name)
    table = "backbone.embeddings.word_embeddings.weight"
    still = (going.encoder.state_dict()[table] == before[table]).all(1)
    assert 0 < int(still.sum()) < len(still)


def test_texts_are_cut_to_the_recipes_length(bert: Path) -> None:
    """max_length of the recipe, special tokens included, whatever the encoder itself could take."""
    going = Training(base(bert), TRIPLETS, None, changed(RECIPE, max_length=6))
    assert {len(row) for column in going.rows for row in column} == {6}
    assert max(len(row) for row in going.encoder.ids(TEXTS)) > 6


def test_bfloat16_keeps_weights_and_loss_in_float32(bert: Path, mask: MaskVectors) -> None:
    """Only the encoder's products are computed in bfloat16."""
    going = Training(base(bert), TRIPLETS, mask, changed(RECIPE, dtype="bfloat16"))
    step = next(going.steps())
    exact = next(Training(base(bert), TRIPLETS, mask, RECIPE).steps())
    assert {value.dtype for value in going.encoder.parameters()} == {torch.float32}
    assert step.loss == pytest.approx(exact.loss, rel=0.2)
