"""How a model folder says its tokens are pooled, read from small files alone: nothing here loads torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.numpy import load_file

from stages.models.catalog import Located
from store.problem import Problem

# The poolers that average the last hidden state with another: its place among the hidden states that transformers gives,
# where 0 is the static embeddings (words, positions and types, normalised).
WITH_LAST = {"first_last_mean": 1, "embeddings_last_mean": 0}
LAYER_WEIGHTS = "layer_weights"  # what sentence-transformers calls them in the file of a WeightedLayerPooling


class Recorded(NamedTuple):
    """A pooler, for `cls` the folder of its MLP, and the folder of a whitening behind it."""

    pooler: str
    mlp: Path | None
    whitening: Path | None


def pooling_of(located: Located) -> str | None:
    """The pooler a located encoder records or its alias names."""
    there = recorded(located.folder)
    return there.pooler if there else located.pooler


def recorded(folder: Path) -> Recorded | None:
    """What a sentence-transformers folder records, or None for a plain transformers folder.

    Raises Problem for a pooling this package does not have.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        return None
    pooler, mlp, whitening = None, None, None
    mean: str | None = "mean"  # the name of a mean over what the tokens are by then
    for module in _json(listing):
        kind, part = module["type"].rsplit(".", 1)[-1], folder / module["path"]
        if kind == "WeightedLayerPooling":
            mean = _averaged(part) if mean == "mean" else None
        elif kind == "WordWeights":
            mean = "prompt" if mean == "mean" and _is_mask(_json(part / "config.json")) else None
        elif kind == "Pooling":
            pooler = _mode(_json(part / "config.json"))
        elif kind == "Dense" and pooler == "cls_before_pooler" and _activation(part) == "Tanh":
            pooler, mlp = "cls", part
        elif kind == "Dense" and pooler is not None and whitening is None and _activation(part) == "Identity":
            whitening = part
        elif kind not in ("Transformer", "Normalize"):
            pooler = None
            break
    if mean != "mean":
        pooler = mean if pooler == "mean" else None
    if pooler is None:
        raise Problem(
            f"{folder} pools its tokens in a way that is not supported",
            "supported are mean, [CLS] with or without an MLP, the mean of the last layer with the first or the"
            " embeddings, and the mask of a prompt",
        )
    return Recorded(pooler, mlp, whitening)


def _mode(config: dict[str, Any]) -> str | None:
    """The pooler a Pooling module's config names, in the old spelling (flags) and the new (a mode)."""
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on]
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        modes = [mode] if isinstance(mode, str) else list(mode)
    known = {"pooling_mode_mean_tokens": "mean", "mean": "mean"}
    known |= {"pooling_mode_cls_token": "cls_before_pooler", "cls": "cls_before_pooler"}
    return known.get(modes[0]) if len(modes) == 1 else None


def _averaged(part: Path) -> str | None:
    """The pooler whose two hidden states a WeightedLayerPooling averages; None where it weighs others, or unevenly."""
    config = _json(part / "config.json")
    try:
        start, last = config["layer_start"], config["num_hidden_layers"]
        weights = load_file(part / "model.safetensors")[LAYER_WEIGHTS]
    except (OSError, KeyError, SafetensorError) as error:
        raise Problem(f"{part} has no layer weights that can be read: {error}", "restore the model folder") from None
    counted = [start + place for place, weight in enumerate(weights) if weight]
    if len(set(weights[weights != 0])) != 1:
        return None
    return next((name for name, other in WITH_LAST.items() if counted == sorted({other, last})), None)


def _is_mask(config: dict[str, Any]) -> bool:
    """Whether a WordWeights module lets nothing through but one token."""
    return bool(config.get("unknown_word_weight") == 0 and len(config.get("word_weights", {})) == 1)


def _activation(part: Path) -> str:
    """The class name of a Dense module's activation."""
    return str(_json(part / "config.json").get("activation_function", "")).rsplit(".", 1)[-1]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be read: {error}", "restore the model folder") from None
