"""A batch encoded in parts against the same batch at once, dropout on: one loss, one gradient, one road."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_objectives import OBJECTIVES, training

from stages.config.train import MLP_IN_TRAINING
from stages.models import catalog, loading
from stages.models.encoder.model import Encoder
from stages.models.training.fit import Training
from store.problem import Problem

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


def base(bert: Path, pooler: str = "cls", mlp_in_training: bool = False) -> Encoder:
    return loading.trainable(catalog.locate(str(bert), "encoder"), CPU, pooler, 3, mlp_in_training)


def assert_same_road(going: Training, expected: Training) -> None:
    """Losses, shares and gradients of every step, and the weights in the end.

    Left out at the end are weights whose gradient was never more than rounding, such as keys' biases, which cancel in the
    softmax: AdamW makes steps of the rounding.
    """
    largest = [torch.zeros_like(weight) for weight in expected.trained]
    for step, other in zip(going.steps(), expected.steps(), strict=True):
        assert replace(step, loss=0.0) == replace(other, loss=0.0)
        assert step.loss == pytest.approx(other.loss, rel=1e-5, abs=1e-5)
        for weight, like, most in zip(going.trained, expected.trained, largest, strict=True):
            assert (weight.grad is None) == (like.grad is None)
            if weight.grad is not None and like.grad is not None:
                torch.testing.assert_close(weight.grad, like.grad, rtol=0, atol=1e-5)
                torch.maximum(most, like.grad.abs(), out=most)
    for weight, like, most in zip(going.trained, expected.trained, largest, strict=True):
        told = most > 1e-5
        torch.testing.assert_close(weight[told], like[told], rtol=0, atol=1e-4)
    assert sum(int((most > 1e-5).sum()) for most in largest) > 0.5 * sum(most.numel() for most in largest)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_chunked_training_walks_the_road_of_one_that_is_not(bert: Path, name: str) -> None:
    """Every objective, over two epochs with a smaller last batch, in chunks of five texts and a smaller last one."""
    mlp = name in MLP_IN_TRAINING
    pooler = "cls_before_pooler" if mlp else "cls"
    assert_same_road(
        training(bert, name, base(bert, pooler, mlp), chunk=5), training(bert, name, base(bert, pooler, mlp))
    )


@pytest.mark.parametrize("name", ["multicsr", "simcse-unsup listmle"])
def test_templates_that_chunks_share_are_denoised_by_the_same_draws(bert: Path, name: str) -> None:
    mlp = name.startswith("simcse-unsup")
    one, whole = (training(bert, name, base(bert, "prompt", mlp), chunk=chunk, max_length=60) for chunk in (3, None))
    assert_same_road(one, whole)


@pytest.mark.parametrize("chunk", [1, 2, 7, 12, 100])
@pytest.mark.parametrize("pooler", ["mean", "first_last_mean"])
def test_the_size_of_a_chunk_changes_nothing(bert: Path, pooler: str, chunk: int) -> None:
    """A text at a time, and more than there are."""
    chunked, whole = (training(bert, "multicsr", base(bert, pooler), chunk=size, epochs=1) for size in (chunk, None))
    assert_same_road(chunked, whole)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(2, 9), min_size=1, max_size=9), data=st.data())
def test_a_part_is_encoded_as_in_the_whole(bert: Path, lengths: list[int], data: st.DataObject) -> None:
    """Any split of any batch, parts in any order, twice: the vectors of the batch at once, from the same seed."""
    encoder = base(bert, "mean").train()
    rows = [[(7 * text + place) % 100 for place in range(length)] for text, length in enumerate(lengths)]
    order = data.draw(st.permutations(range(len(rows))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)))) | {0, len(rows)})
    parts = [order[start:end] for start, end in pairwise(cuts)]
    with torch.no_grad():
        torch.manual_seed(5)
        whole = encoder(rows)
        torch.manual_seed(5)
        for part, encode in 2 * list(zip(parts, encoder.in_parts(rows, None, None, parts), strict=True)):
            torch.testing.assert_close(encode(), whole[part], rtol=0, atol=1e-5)


def test_bfloat16_is_chunked_too(bert: Path) -> None:
    """Every step's loss and gradient, weights held: up to bfloat16's own precision, 2**-7.

    A weight's gradient is rounded to bfloat16 in each part, once more than in the whole: by at most 2**-8 of its size, and
    the parts together may be somewhat longer than their sum. Weights that moved would take the rounding further at every
    step, without a bound.
    """
    precision = torch.finfo(torch.bfloat16).eps
    chunked, whole = (
        training(bert, "multicsr", base(bert), chunk=chunk, dtype="bfloat16", lr=0.0) for chunk in (5, None)
    )
    for step, other in zip(chunked.steps(), whole.steps(), strict=True):
        assert step.loss == pytest.approx(other.loss, rel=precision)
        gradient, like = (
            torch.cat([weight.grad.flatten() for weight in going.trained if weight.grad is not None])
            for going in (chunked, whole)
        )
        assert (gradient - like).norm() <= precision * like.norm()


def test_an_encoder_whose_texts_are_padded_is_refused(bert: Path) -> None:
    encoder = base(bert, "mean")
    encoder.first_position = None
    with pytest.raises(Problem, match=r"^chunk") as refused:
        training(bert, "simcse", encoder, chunk=2)
    assert "train without them" in refused.value.remedy
