"""Sentence encoders: each pooler against its formula, on one text at a time."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from stages.config.words import POOLERS
from stages.models import catalog, loading
from stages.models.encoder.model import Encoder, normalised

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_roberta(tmp_path_factory.mktemp("encoder") / "roberta")


@pytest.fixture(params=POOLERS)
def encoder(request: pytest.FixtureRequest, bert: Path) -> Encoder:
    return loading.encoder(catalog.locate(str(bert), "encoder"), CPU, request.param)


@torch.inference_mode()
def by_formula(encoder: Encoder, text: str) -> np.ndarray:
    """The vector of one text, from the hidden states of all layers, without mask or padding."""
    encoder.eval()
    read = encoder.tokenizer(text, truncation=True, max_length=encoder.max_length, return_tensors="pt").input_ids
    out = encoder.backbone(input_ids=read, output_hidden_states=True)
    embeddings, first, *_middle, last = [layer[0].numpy() for layer in out.hidden_states]  # each (T, width)
    dense = encoder.backbone.pooler.dense
    return {
        "mean": lambda: last.mean(0),
        "cls": lambda: np.tanh(dense.weight.numpy() @ last[0] + dense.bias.numpy()),
        "cls_before_pooler": lambda: last[0],
        "first_last_mean": lambda: ((first + last) / 2).mean(0),
        "embeddings_last_mean": lambda: ((embeddings + last) / 2).mean(0),
        "prompt": lambda: last[int((read[0] == encoder.tokenizer.mask_token_id).nonzero())],
    }[encoder.pooler]()


def test_each_pooler_equals_its_formula(encoder: Encoder) -> None:
    """In a padded batch of all lengths, to 1e-5."""
    found = encoder.encode(tiny.premises())
    assert found.dtype == np.float32
    for vector, text in zip(found, tiny.premises(), strict=True):
        np.testing.assert_allclose(vector, by_formula(encoder, text), atol=1e-5)


@pytest.mark.parametrize(("pooler", "place"), [("first_last_mean", 1), ("embeddings_last_mean", 0)])
@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("family", ["bert", "roberta"])
@torch.inference_mode()
def test_two_layers_are_averaged_as_transformers_counts_them(
    request: pytest.FixtureRequest, family: str, packs: bool, pooler: str, place: int
) -> None:
    """Against hidden states of a model that transformers itself loaded, a text at a time. The two poolers differ clearly."""
    folder: Path = request.getfixturevalue(family)
    encoder = loading.encoder(catalog.locate(str(folder), "encoder"), CPU, pooler)
    assert encoder.first_position is not None
    if not packs:
        encoder.first_position = None
    model, words = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, vector in zip(tiny.premises(), encoder.encode(tiny.premises()), strict=True):
        states = model(
            words(text, truncation=True, return_tensors="pt").input_ids, output_hidden_states=True
        ).hidden_states
        one, other = (((states[which] + states[-1]) / 2)[0].mean(0).numpy() for which in (place, 1 - place))
        np.testing.assert_allclose(vector, one, atol=1e-5)
        assert np.abs(vector - other).max() > 0.05


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_vectors_do_not_depend_on_batch_size_order_or_neighbours(encoder: Encoder, batch: int) -> None:
    """To 1e-6 (and 1e-5 of their size), and each in the place of its text."""
    texts = tiny.premises()
    expected = dict(zip(texts, encoder.encode(texts), strict=True))
    random.Random(batch).shuffle(texts)
    texts += texts[:3]
    for text, vector in zip(texts, encoder.encode(texts, batch), strict=True):
        np.testing.assert_allclose(vector, expected[text], rtol=1e-5, atol=1e-6)


def test_encoding_leaves_the_mode_as_it_was_and_has_no_dropout(encoder: Encoder) -> None:
    """A model in training gives the same vectors as one that is not, and goes on training."""
    expected = encoder.encode(tiny.premises())
    encoder.train()
    assert np.array_equal(encoder.encode(tiny.premises()), expected)
    assert encoder.training
    encoder.eval()
    encoder.encode(["Rain."])
    assert not encoder.training


def test_a_loaded_encoder_is_not_in_training(encoder: Encoder) -> None:
    """Neither before nor after it was used; training turns dropout on by itself."""
    assert not encoder.training
    encoder.encode(["Rain."])
    assert not encoder.backbone.training


def test_nothing_to_encode_gives_no_rows(encoder: Encoder) -> None:
    """An empty list is (0, width)."""
    assert encoder.encode([]).shape == (0, encoder.width)


def test_an_empty_text_has_a_vector_too(encoder: Encoder) -> None:
    """Of its special tokens."""
    np.testing.assert_allclose(encoder.encode(["", "Rain."])[0], by_formula(encoder, ""), atol=1e-5)


def test_texts_are_cut_at_the_models_own_length(encoder: Encoder) -> None:
    """What stands behind the 64th token (special tokens included) changes nothing."""
    long = "The cat is asleep. " * 20
    assert encoder.max_length == 64
    assert [len(row) for row in encoder.ids([long])] == [64]
    template = encoder.template  # whose words come on top of those that a text is cut to
    around = 0 if template is None else len(template.before) + len(template.after) - len(["[CLS]", "[SEP]"])
    assert [len(row) for row in encoder.ids([long], max_length=9)] == [9 + around]
    assert np.array_equal(encoder.encode([long])[0], encoder.encode([long + "Nobody reads."])[0])


def test_the_cls_pooler_to_train_starts_from_an_mlp_drawn_by_the_seed(bert: Path) -> None:
    """Not from the published pooler: fresh weights, the same for the same seed."""
    found = catalog.locate(str(bert), "encoder")
    one, same, other = (loading.trainable(found, CPU, "cls", seed) for seed in (1, 1, 2))
    assert torch.equal(one.mlp.weight, same.mlp.weight)
    assert not torch.equal(one.mlp.weight, other.mlp.weight)
    assert not torch.equal(one.mlp.weight, one.backbone.pooler.dense.weight)
    assert one.pooler == "cls"
    assert not one.mlp.bias.any()


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_normalised_rows_have_length_one_or_stay_zero(rows: list[list[float]]) -> None:
    """Directions are kept."""
    vectors = np.array(rows, dtype=np.float64)
    for before, after in zip(vectors, normalised(vectors), strict=True):
        if np.linalg.norm(before) > 1e-150:
            assert np.linalg.norm(after) == pytest.approx(1.0)
            np.testing.assert_allclose(after * np.linalg.norm(before), before, rtol=1e-9)
        else:
            assert not after.any()
