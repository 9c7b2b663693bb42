"""Encoders on disk, in the form sentence-transformers and transformers both load, and the state of a training."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from stages.models.encoder.model import Encoder
from stages.models.encoder.pooling import LAYER_WEIGHTS, WITH_LAST
from store.whole import folder as whole_folder

MODULE = "sentence_transformers.models"


def save(encoder: Encoder, folder: Path, card: str) -> None:
    """Write `encoder` to `folder` with `card` as its README; the folder's old content is replaced.

    Raises OSError where the disk is full; the old content is then still there.
    """

    def fill(target: Path) -> None:
        if encoder.kept_mlp is not None:
            _into_pooler(encoder)
        encoder.backbone.config.output_hidden_states = encoder.pooler in WITH_LAST
        encoder.backbone.save_pretrained(target)
        encoder.tokenizer.save_pretrained(target)
        modules = [("", "Transformer"), *_pooling(encoder, target)]
        _json(
            target / "modules.json",
            [
                {"idx": place, "name": str(place), "path": path, "type": f"{MODULE}.{kind}"}
                for place, (path, kind) in enumerate(modules)
            ],
        )
        _json(target / "sentence_bert_config.json", {"max_seq_length": encoder.max_length, "do_lower_case": False})
        _json(target / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
        (target / "README.md").write_text(card, encoding="utf-8")

    whole(folder, fill)


def _pooling(encoder: Encoder, target: Path) -> list[tuple[str, str]]:
    """Write the pooling modules; returns their (folder, kind)."""
    width = encoder.backbone.config.hidden_size
    cls = encoder.pooler.startswith("cls")
    modules = []
    if encoder.pooler in WITH_LAST:
        layers = encoder.backbone.config.num_hidden_layers
        weights = torch.zeros(layers + 1)  # of the static embeddings and of each layer
        weights[WITH_LAST[encoder.pooler]] = weights[-1] = 1.0
        modules.append(("1_WeightedLayerPooling", "WeightedLayerPooling"))
        part = _part(target, modules[-1][0])
        _json(
            part / "config.json",
            {"word_embedding_dimension": width, "layer_start": 0, "num_hidden_layers": layers},
        )
        save_file({LAYER_WEIGHTS: weights}, part / "model.safetensors")
    if encoder.template is not None:
        modules.append(("1_WordWeights", "WordWeights"))
        _only_the_mask(encoder, _part(target, modules[-1][0]))
    modules.append((f"{len(modules) + 1}_Pooling", "Pooling"))
    _json(
        _part(target, modules[-1][0]) / "config.json",
        {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": cls,
            "pooling_mode_mean_tokens": not cls,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    for layer, activation in ((encoder.kept_mlp, "activation.Tanh"), (encoder.whitening, "linear.Identity")):
        if layer is not None:
            modules.append((f"{len(modules) + 1}_Dense", "Dense"))
            _layer(layer, activation, _part(target, modules[-1][0]))
    return modules


def _layer(layer: nn.Linear, activation: str, part: Path) -> None:
    """Write a Dense module; `activation` names a class in torch.nn.modules."""
    _json(
        part / "config.json",
        {
            "in_features": layer.in_features,
            "out_features": layer.out_features,
            "bias": True,
            "activation_function": f"torch.nn.modules.{activation}",
        },
    )
    weights = {"linear.weight": layer.weight.detach().contiguous(), "linear.bias": layer.bias.detach()}
    save_file(weights, part / "model.safetensors")


def _only_the_mask(encoder: Encoder, part: Path) -> None:
    """Weights of words under which the mean over a text's tokens is the hidden state at its mask."""
    mask = encoder.tokenizer.mask_token
    words = encoder.tokenizer.convert_ids_to_tokens(range(encoder.words.num_embeddings))
    config = {"vocab": words, "word_weights": {mask: 1.0}, "unknown_word_weight": 0.0}
    _json(part / "config.json", config)
    weights = torch.tensor([[float(word == mask)] for word in words])
    save_file({"emb_layer.weight": weights}, part / "model.safetensors")


def _into_pooler(encoder: Encoder) -> None:
    """Put the trained MLP where transformers keeps it, so that `AutoModel(...).pooler_output` is the vector too."""
    pooler = getattr(encoder.backbone, "pooler", None)
    if pooler is not None and encoder.kept_mlp is not None:
        pooler.dense.load_state_dict(encoder.kept_mlp.state_dict())


def dense(folder: Path) -> nn.Linear:
    """The layer that a sentence-transformers Dense module holds: an MLP, or a whitening."""
    weights = load_file(folder / "model.safetensors")
    width_out, width_in = weights["linear.weight"].shape
    layer = nn.Linear(width_in, width_out)
    layer.load_state_dict({name.removeprefix("linear."): value for name, value in weights.items()})
    return layer


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Write a training's state. Raises OSError where the disk is full."""
    whole(folder, lambda target: torch.save(state, target / "state.pt"))


def load_state(folder: Path, device: torch.device) -> dict[str, Any]:
    """Read a training's state; only tensors and plain values are unpickled."""
    state: dict[str, Any] = torch.load(folder / "state.pt", map_location=device, weights_only=True)
    return state


def whole(folder: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write what becomes `folder`, replacing what was there (`store/whole.py`)."""
    with whole_folder(folder, replace=True) as target, _full_disk_named(folder):
        fill(target)


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """The weight writers and the folder copier report a full disk as errors of their own; give it the system's."""
    try:
        yield
    except (SafetensorError, RuntimeError, shutil.Error) as error:
        if "os error 28" in str(error) or "No space left" in str(error) or "file write failed" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise


def _part(target: Path, name: str) -> Path:
    part = target / name
    part.mkdir()
    return part


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
