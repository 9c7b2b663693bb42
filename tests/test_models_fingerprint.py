"""A model's fingerprint is part of a run's identity: equal for equal content, other for anything that changes an answer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from stages.models import catalog, checkpoint, folders, loading

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def trained(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with an MLP, as `multicsr train` writes it."""
    folder = tmp_path_factory.mktemp("models") / "trained"
    checkpoint.save(loading.trainable(catalog.locate(str(bert), "encoder"), CPU, "cls", seed=1), folder, "# a card\n")
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.save_tiny_llama(tmp_path_factory.mktemp("models") / "llama")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}\nAnswer:{% endfor %}")
    return folder


def fingerprint(folder: Path, kind: catalog.Kind = "encoder") -> str:
    return catalog.locate(str(folder), kind).fingerprint


def after(folder: Path, tmp_path: Path, change: Callable[[Path], object], kind: catalog.Kind = "encoder") -> str:
    """The fingerprint of a changed copy."""
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    change(copy)
    return fingerprint(copy, kind)


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    """A change of one text in one file."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def moved(name: str, tensor: str) -> Callable[[Path], object]:
    """A change of the last entry of one tensor in one weight file."""

    def change(folder: Path) -> None:
        weights = load_file(folder / name)
        weights[tensor].view(-1)[-1] += 0.5
        save_file(weights, folder / name, metadata={"format": "pt"})

    return change


def test_a_fingerprint_does_not_depend_on_place_name_or_time(trained: Path, tmp_path: Path) -> None:
    """Copied to another place under another name, touched, with another card and foreign files: the same model."""

    def change(folder: Path) -> None:
        (folder / "README.md").write_text("another card")
        (folder / "notes.md").write_text("mine")
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))

    assert after(trained, tmp_path, change) == fingerprint(trained)
    (tmp_path / "link").symlink_to(trained)
    assert fingerprint(tmp_path / "link") == fingerprint(trained)


def test_a_fingerprint_is_twelve_hex_digits(trained: Path) -> None:
    """Short enough to read, the same at every call."""
    assert len(fingerprint(trained)) == 12
    int(fingerprint(trained), 16)
    assert fingerprint(trained) == fingerprint(trained)


def test_every_weight_counts(bert: Path, tmp_path: Path) -> None:
    """One number changed in any tensor of a small model is another model."""
    found = {fingerprint(bert)}
    names = sorted(load_file(bert / "model.safetensors"))
    for name in names:
        found.add(after(bert, tmp_path, moved("model.safetensors", name)))
        shutil.rmtree(tmp_path / "changed")
    assert len(found) == len(names) + 1


@pytest.mark.parametrize(
    "change",
    [
        replaced("config.json", '"hidden_act": "gelu"', '"hidden_act": "relu"'),
        replaced("tokenizer.json", '"[SEP]"', '"[END]"'),
        replaced("1_Pooling/config.json", '"pooling_mode_cls_token": true', '"pooling_mode_cls_token": false'),
        replaced("sentence_bert_config.json", '"max_seq_length": 64', '"max_seq_length": 8'),
        moved("2_Dense/model.safetensors", "linear.weight"),
        moved("2_Dense/model.safetensors", "linear.bias"),
    ],
    ids=["config", "tokenizer", "pooling", "length", "mlp", "mlp bias"],
)
def test_what_changes_a_vector_changes_the_fingerprint(
    trained: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """Every file that `loading.encoder` reads counts: cached vectors and evaluations are kept under it."""
    assert after(trained, tmp_path, change) != fingerprint(trained)


@pytest.mark.parametrize(
    "change",
    [
        moved("model.safetensors", "lm_head.weight"),
        replaced("generation_config.json", '"eos_token_id": 1', '"eos_token_id": 9'),
        replaced("chat_template.jinja", "Answer:", "Reply:"),
    ],
    ids=["weights", "end of text", "chat template"],
)
def test_what_changes_a_draft_changes_the_fingerprint(
    llama: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """Every file that `loading.language_model` reads counts: drafts and scores are kept under it."""
    assert after(llama, tmp_path, change, "llm") != fingerprint(llama, "llm")


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model"])
def test_every_form_of_vocabulary_counts(bert: Path, tmp_path: Path, name: str) -> None:
    """Tokenizers are published in several files; whichever a model has, another content is another model."""
    before = after(bert, tmp_path, lambda folder: (folder / name).write_text("a b"))
    shutil.rmtree(tmp_path / "changed")
    assert after(bert, tmp_path, lambda folder: (folder / name).write_text("a c")) != before


def test_a_base_cut_to_fewer_layers_is_another_model(bert: Path) -> None:
    """`minilm` and `minilm-l4` lie in the same folder."""
    assert len({folders.fingerprint(bert, layers) for layers in (None, 2, 4)}) == 3
