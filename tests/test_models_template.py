"""PromptBERT's template: what stands around a text, the vector at the mask, and what training takes away from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_models_objectives import TRIPLETS, recipe
from torch.nn import functional
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from stages.models import catalog, checkpoint, loading
from stages.models.encoder.model import Encoder
from stages.models.training.fit import Training
from store.problem import Problem

CPU = torch.device("cpu")
SENTENCES = [x for triplet in TRIPLETS for x in triplet]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its positions begin behind the padding token's number."""
    folder = tmp_path_factory.mktemp("encoder") / "roberta"
    words = tiny.tokenizer("<s> $A </s>", cls_token="<s>", sep_token="</s>", mask_token="<mask>", model_max_length=80)
    config = RobertaConfig(
        vocab_size=len(words),
        hidden_size=tiny.WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=100,
        pad_token_id=words.pad_token_id,
        type_vocab_size=1,
    )
    torch.manual_seed(7)
    RobertaModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(params=["bert", "roberta"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def prompted(folder: Path, mlp_in_training: bool = False) -> Encoder:
    """Without dropout, so that training mode gives one vector."""
    encoder = loading.trainable(catalog.locate(str(folder), "encoder"), CPU, "prompt", 3, mlp_in_training)
    for part in encoder.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return encoder


def at_mask(encoder: Encoder, folder: Path, tokens: list[int], positions: list[int]) -> torch.Tensor:
    """The backbone itself over one text: the hidden state at its mask, which stands there once."""
    mask = AutoTokenizer.from_pretrained(folder).mask_token_id
    (place,) = [place for place, token in enumerate(tokens) if token == mask]
    offset = encoder.first_position or 0
    out = encoder.backbone(
        input_ids=torch.tensor([tokens]), position_ids=torch.tensor([[position + offset for position in positions]])
    )
    found: torch.Tensor = out.last_hidden_state[0, place]
    return found


def written(folder: Path, before: str, text: str) -> tuple[list[int], int, int]:
    """A sentence in its template, put together by hand: the tokens, and how many stand before and behind it."""
    words = AutoTokenizer.from_pretrained(folder)

    def ids(part: str) -> list[int]:
        return list(words(part, add_special_tokens=False).input_ids)

    head = [words.cls_token_id, *ids(before)]
    tail = [*ids('" means'), words.mask_token_id, *ids(" ."), words.sep_token_id]
    return [*head, *ids(text), *tail], len(head), len(tail)


def denoised(encoder: Encoder, folder: Path, before: str, text: str) -> torch.Tensor:
    """h(x) - h(template), the template's tokens where they are when the sentence is among them."""
    tokens, head, tail = written(folder, before, text)
    places = list(range(len(tokens)))
    alone = at_mask(encoder, folder, tokens[:head] + tokens[-tail:], places[:head] + places[-tail:])
    return at_mask(encoder, folder, tokens, places) - alone


@torch.no_grad()
def test_a_vector_is_the_hidden_state_at_the_mask_of_the_template(folder: Path) -> None:
    encoder = prompted(folder)
    for text, found in zip(SENTENCES, encoder.encode(SENTENCES), strict=True):
        tokens, _, _ = written(folder, 'This sentence : "', text)
        assert encoder.ids([text]) == [tokens]
        expected = at_mask(encoder, folder, tokens, list(range(len(tokens))))
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_mask_written_in_a_text_is_text(folder: Path) -> None:
    """Special tokens are taken apart, here and wherever the saved tokenizer is loaded: there is one mask."""
    encoder = prompted(folder)
    mask = AutoTokenizer.from_pretrained(folder).mask_token_id
    (row,) = encoder.ids([f"A {tiny.MASK} and a <mask>."])
    assert row.count(mask) == 1
    assert row.index(mask) - len(row) == encoder.template.mask  # type: ignore[union-attr]


def test_a_text_is_cut_and_the_template_is_whole(folder: Path) -> None:
    """`max_length` counts a text's own tokens with the two around it, as without a template."""
    encoder = prompted(folder)
    plain = loading.encoder(catalog.locate(str(folder), "encoder"), CPU, "mean")
    _, head, tail = written(folder, 'This sentence : "', "")
    for length in (4, 10, 30):
        for text, row in zip(SENTENCES, encoder.ids(SENTENCES, length), strict=True):
            assert row[head : len(row) - tail] == plain.ids([text], length)[0][1:-1]
    longest = " ".join(SENTENCES)
    assert [len(row) for row in encoder.ids([longest])] == [encoder.max_length]
    assert [len(row) for row in encoder.ids([longest], encoder.max_length)] == [encoder.max_length]


@pytest.mark.parametrize("objective", ["simcse", "simcse-unsup"])
def test_training_compares_denoised_vectors(folder: Path, objective: str) -> None:
    """The loss of the first step against SimCSE's over vectors denoised one at a time; without labels the second view is
    read in the second template, and both go through the MLP that is dropped at test."""
    encoder = prompted(folder, objective == "simcse-unsup")
    columns = [list(column) for column in zip(*TRIPLETS, strict=True)]
    with torch.no_grad():
        sides = [[denoised(encoder, folder, 'This sentence : "', text) for text in column] for column in columns]
        h, others = torch.stack(sides[0]), torch.stack(sides[1] + sides[2])
        if objective == "simcse-unsup":
            assert encoder.mlp is not None
            others = torch.stack([denoised(encoder, folder, 'This sentence of "', text) for text in columns[0]])
            h, others = torch.tanh(encoder.mlp(h)), torch.tanh(encoder.mlp(others))
        logits = functional.cosine_similarity(h[:, None].double(), others[None].double(), dim=-1) / 0.05
        expected = functional.cross_entropy(logits, torch.arange(len(h)))
    examples = [(x,) for x in columns[0]] if objective == "simcse-unsup" else TRIPLETS
    going = Training(encoder, examples, None, recipe(objective, train_batch=10, max_length=60))
    assert next(going.steps()).loss == pytest.approx(expected.item(), abs=1e-4)


def test_the_mlp_is_dropped_at_test(bert: Path, tmp_path: Path) -> None:
    """A training's vectors are denoised and go through it, the saved model's are the mask's as they are."""
    encoder = prompted(bert, mlp_in_training=True)
    assert encoder.mlp is not None
    checkpoint.save(encoder, tmp_path / "saved", "# a card\n")
    again = loading.encoder(catalog.locate(str(tmp_path / "saved"), "encoder"), CPU)
    assert (again.pooler, again.mlp) == ("prompt", None)
    assert np.array_equal(again.encode(SENTENCES), encoder.encode(SENTENCES))
    assert again.template == encoder.template


def test_a_model_without_a_mask_or_with_positions_of_its_own_is_refused(tmp_path: Path) -> None:
    maskless = tiny.save_tiny_bert(tmp_path / "maskless")
    words = tiny.tokenizer("[CLS] $A [SEP]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=64)
    words.save_pretrained(maskless)
    with pytest.raises(Problem, match="no mask token"):
        loading.trainable(catalog.locate(str(maskless), "encoder"), CPU, "prompt", 0)
    distil = tmp_path / "distil"
    from transformers import DistilBertConfig, DistilBertModel

    words = tiny.tokenizer("[CLS] $A [SEP]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    DistilBertModel(
        DistilBertConfig(vocab_size=len(words), dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    ).save_pretrained(distil)
    words.save_pretrained(distil)
    with pytest.raises(Problem, match="distilbert"):
        loading.trainable(catalog.locate(str(distil), "encoder"), CPU, "prompt", 0)
