"""Texts end to end: their vectors and gradients are those of the padded batch; dropout drops what it says."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import RobertaConfig, RobertaModel

from stages.config.words import POOLERS
from stages.models import catalog, loading
from stages.models.encoder.dropout import LEVELS, dropped
from stages.models.encoder.model import Encoder
from stages.models.encoder.packed import Packed

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["bert", "roberta"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A tiny backbone and its tokenizer; RoBERTa counts positions from behind its padding token."""
    folder = tiny.save_tiny_bert(tmp_path_factory.mktemp("packed") / "bert")
    bert = loading.encoder(catalog.locate(str(folder), "encoder"), CPU, "mean")
    if request.param == "bert":
        return bert.backbone, bert.tokenizer
    config = RobertaConfig.from_dict({**bert.backbone.config.to_dict(), "model_type": "roberta", "pad_token_id": 0})
    torch.manual_seed(1)
    return RobertaModel(config), bert.tokenizer


@pytest.fixture(params=POOLERS)
def sides(request: pytest.FixtureRequest, backbone: tuple[Any, Any]) -> tuple[Encoder, Encoder]:
    """The same encoder twice: one that packs, one that pads."""
    torch.manual_seed(2)
    mlp = nn.Linear(tiny.WIDTH, tiny.WIDTH) if request.param == "cls" else None
    made = [Encoder(copy.deepcopy(backbone[0]), backbone[1], request.param, 60, copy.deepcopy(mlp)) for _ in range(2)]
    assert made[0].first_position is not None
    made[1].first_position = None
    return made[0].eval(), made[1].eval()


def test_packed_texts_have_the_vectors_and_gradients_of_padded_ones(sides: tuple[Encoder, Encoder]) -> None:
    """In any order, with texts of equal length among them; to 1e-5, gradients to 1e-5 of their size."""
    texts = [*tiny.premises(), *tiny.premises()[:4], ""]
    found = []
    for encoder in sides:
        vectors = encoder(encoder.ids(texts))
        weight = torch.linspace(-1, 1, vectors.numel()).view(vectors.shape)
        (vectors * weight).sum().backward()
        found.append(vectors)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)
    for (name, packed), padded in zip(sides[0].named_parameters(), sides[1].parameters(), strict=True):
        assert (packed.grad is None) == (padded.grad is None), name
        if packed.grad is not None:
            size = max(1.0, float(padded.grad.abs().max()))
            torch.testing.assert_close(packed.grad / size, padded.grad / size, rtol=1e-4, atol=1e-5, msg=name)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_every_token_has_its_place(lengths: list[int]) -> None:
    """Taken apart, each text is found where `place` says, whole, with positions from 0."""
    rows = [[100 * text + token for token in range(length)] for text, length in enumerate(lengths)]
    packed = Packed(rows, CPU)
    assert len(packed.ids) == sum(lengths)
    texts = [row for run in packed.apart(packed.ids, 0) for row in run.tolist()]
    positions = [row for run in packed.apart(packed.positions, 0) for row in run.tolist()]
    assert [texts[place] for place in packed.place.tolist()] == rows
    assert positions == [list(range(len(text))) for text in texts]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_dropout_drops_its_share_and_keeps_the_expectation(seed: int, p: float) -> None:
    """Within five standard deviations of 40,001 draws (not a multiple of four); the same seed drops the same."""
    ones = torch.ones(40_001)
    torch.manual_seed(seed)
    found = dropped(ones, p)
    torch.manual_seed(seed)
    assert torch.equal(dropped(ones, p), found)
    rounded = round(p * LEVELS) / LEVELS
    assert found[found != 0].unique().tolist() == [pytest.approx(1 / (1 - rounded))]
    noise = (p * (1 - p) / len(ones)) ** 0.5
    assert float((found == 0).float().mean()) == pytest.approx(p, abs=5 * noise + 1e-9)


def test_neighbours_are_dropped_independently() -> None:
    """Values that share a draw are not dropped together more often than chance has it."""
    torch.manual_seed(0)
    gone = (dropped(torch.ones(400_000), 0.5) == 0).float().view(-1, 4) - 0.5
    together = gone.T @ gone / len(gone) / 0.25
    torch.testing.assert_close(together, torch.eye(4), rtol=0, atol=0.02)


def test_an_encoder_drops_while_it_trains_and_only_then(sides: tuple[Encoder, Encoder]) -> None:
    """Twice the same texts: other vectors in training, the same otherwise."""
    encoder = sides[0]
    rows = encoder.ids(tiny.premises())
    assert torch.equal(encoder(rows), encoder(rows))
    encoder.train()
    assert not torch.equal(encoder(rows), encoder(rows))
