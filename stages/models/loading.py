"""From a located model to one in memory: devices, number formats, and the one-time conversion of the embedded LLM."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GgufConfig,
)
from transformers.utils import logging

from stages.models import catalog, checkpoint, folders, memory
from stages.models.catalog import Located
from stages.models.encoder import labels, pooling
from stages.models.encoder.classifier import Classifier
from stages.models.encoder.model import Encoder
from stages.models.encoder.packed import PACKABLE
from stages.models.encoder.template import put_into
from stages.models.llm.model import LanguageModel
from store.problem import Problem

# Loading bars and advice of the library would land between our own lines; real errors still raise.
logging.set_verbosity_error()
logging.disable_progress_bar()

Module = TypeVar("Module", bound=nn.Module)


def language_model(located: Located, where: torch.device | str, dtype: str) -> LanguageModel:
    """Load an LLM for generation, with weights in `dtype` on the device `where`.

    The embedded one is converted into the user's cache on first use. Raises Problem where the folder cannot be read, or the
    weights do not fit into memory.
    """
    folder = _converted(located) if located.gguf else located.folder
    config = _config(located.name, folder)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with _readable(located.name):
        model = kind.from_pretrained(folder, config=config, dtype=getattr(torch, dtype))
        tokenizer = AutoTokenizer.from_pretrained(folder)
    return LanguageModel(moved(model, where, located.name), tokenizer, located.name)


def encoder(located: Located, where: torch.device | str, pooler: str | None = None) -> Encoder:
    """Load a sentence encoder in float32. `pooler` overrides what the folder records.

    Raises Problem where neither says how to pool, where the pooler's MLP would have to be made up, where the folder cannot be
    read, and where the weights do not fit into memory.
    """
    recorded = pooling.recorded(located.folder)
    chosen = pooler or pooling.pooling_of(located)
    if chosen is None:
        raise Problem(
            f"{located.name} does not record how its tokens are pooled",
            "say it with pooler=NAME: mean, cls, cls_before_pooler, first_last_mean, embeddings_last_mean or prompt",
        )
    with _readable(located.name):
        backbone = AutoModel.from_pretrained(located.folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(located.folder)
    if located.layers is not None:
        backbone.encoder.layer = backbone.encoder.layer[: located.layers]
        backbone.config.num_hidden_layers = located.layers
    mlp = None
    if chosen == "cls":
        mlp = checkpoint.dense(recorded.mlp) if recorded and recorded.mlp else _published_mlp(backbone, located)
    # A whitening belongs to the vectors that it was learned from.
    whitening = None
    if recorded and recorded.whitening and chosen == recorded.pooler:
        whitening = checkpoint.dense(recorded.whitening)
    longest, template = _max_length(located, tokenizer), None
    if chosen == "prompt":
        tokenizer, template = put_into(tokenizer, located.name, longest)
    made = Encoder(backbone, tokenizer, chosen, longest, mlp, template, whitening)
    if template is not None and made.first_position is None:
        raise Problem(
            f"{located.name} is of the family {backbone.config.model_type}, whose positions pooler=prompt cannot set",
            f"train one of the families {', '.join(PACKABLE)}, or use another pooler",
        )
    return moved(made, where, located.name).eval()


def classifier(located: Located, where: torch.device | str, dtype: str) -> Classifier:
    """Load an NLI classifier, with weights in `dtype` on the device `where`.

    Raises Problem where its config does not say which output means what, where the folder cannot be read, and where the
    weights do not fit into memory.
    """
    columns = labels.columns(located)
    with _readable(located.name):
        model = AutoModelForSequenceClassification.from_pretrained(located.folder, dtype=getattr(torch, dtype))
        tokenizer = AutoTokenizer.from_pretrained(located.folder)
    return Classifier(moved(model, where, located.name), tokenizer, columns, _max_length(located, tokenizer))


def moved(model: Module, where: torch.device | str, name: str) -> Module:
    """`model` on the device `where`. Raises Problem if its weights do not fit there."""
    try:
        return nn.Module.to(model, where)
    except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
        if not memory.ran_out(error):
            raise
        size = sum(weight.numel() * weight.element_size() for weight in model.parameters()) / 2**30
        raise Problem(
            f"the weights of {name} ({size:.1f} GiB) do not fit into the memory of {where}",
            "free memory there, or use a smaller model, dtype=bfloat16, or another device",
        ) from error


def trainable(
    located: Located, where: torch.device | str, pooler: str, seed: int, mlp_in_training: bool = False
) -> Encoder:
    """Load a base to train with `pooler`; the `cls` pooler starts from a fresh MLP drawn by `seed`, as SimCSE does.

    `mlp_in_training`: `cls_before_pooler` and `prompt` have such an MLP too, and drop it at test, as unsupervised SimCSE
    and PromptBERT do.
    """
    base = encoder(located, where, "cls_before_pooler" if pooler == "cls" else pooler)
    base.whitening = None  # it would not fit what the encoder learns
    if pooler == "cls" or (mlp_in_training and pooler in ("cls_before_pooler", "prompt")):
        torch.manual_seed(seed)
        mlp = nn.Linear(base.width, base.width)
        mlp.weight.data.normal_(mean=0.0, std=base.backbone.config.initializer_range)
        mlp.bias.data.zero_()
        base.pooler, base.mlp = pooler, mlp.to(where)
    return base


def _published_mlp(backbone: Any, located: Located) -> nn.Linear:
    """The pooler layer of a transformers checkpoint. Raises Problem if the file has none (it would be random)."""
    pooler = getattr(backbone, "pooler", None)
    if pooler is None or not _has_pooler_weights(located.folder):
        raise Problem(
            f"{located.name} has no trained pooler for pooler=cls (it would be random)",
            "use pooler=cls_before_pooler, mean or first_last_mean",
        )
    dense: nn.Linear = pooler.dense
    return dense


def _has_pooler_weights(folder: Path) -> bool:
    """Whether both parts of the pooler layer are in the weight files, which may be several."""
    wanted, present = {"pooler.dense.weight", "pooler.dense.bias"}, set[str]()
    for path in folders.weight_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                names = list(file.keys())
        else:
            names = list(torch.load(path, map_location="meta", weights_only=True, mmap=True))
        present |= {end for end in wanted for name in names if name.endswith(end)}
    return present == wanted


def _max_length(located: Located, tokenizer: Any) -> int:
    """The number of tokens the model takes: what its folder records, else the smaller of tokenizer and positions."""
    recorded = located.folder / "sentence_bert_config.json"
    if recorded.is_file():
        length = json.loads(recorded.read_text(encoding="utf-8")).get("max_seq_length")
        if length:
            return int(length)
    return int(min(catalog.longest_input(located) or tokenizer.model_max_length, tokenizer.model_max_length))


def _config(name: str, folder: Path) -> Any:
    with _readable(name):
        return AutoConfig.from_pretrained(folder)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what the library raises for a broken model folder into one clear refusal."""
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise Problem(
            f"the model {name} cannot be loaded: {reason}", "check that its folder is complete and undamaged"
        ) from error


def _converted(located: Located) -> Path:
    """The folder of the GGUF model in plain transformers form, converted on first use (bfloat16, its own precision)."""
    folder = folders.cache_folder() / f"{located.name}-{located.fingerprint}"
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "config.json").is_file():
                _convert(located, folder)
    return folder


def _convert(located: Located, folder: Path) -> None:
    # The GGUF reader draws its own bar on stderr, in the middle of ours.
    with _readable(located.name), redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(
            located.folder,
            gguf_file=located.gguf,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        model.bfloat16()
        tokenizer = AutoTokenizer.from_pretrained(located.folder, gguf_file=located.gguf)

    def fill(target: Path) -> None:
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)

    checkpoint.whole(folder, fill)
