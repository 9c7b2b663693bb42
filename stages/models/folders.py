"""Model folders: where they lie on this machine and on the hub, what is in them, and what tells two contents apart.

Arrow: none of its own. Nothing here loads torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

from stages.models.aliases import EMBEDDED, Alias, Kind, embedded
from store.problem import Problem

# How the architectures that write text are named.
GENERATIVE = re.compile(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)$")

# A fingerprint reads this many blocks of this many bytes, evenly spread over each weight file: enough to tell any two
# trained models apart, and a 20 GB model takes no longer than a small one.
BLOCKS, BLOCK_BYTES = 64, 16384


def cache_folder() -> Path:
    """Where converted models are kept (MULTICSR_CACHE, else the user's cache folder)."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("MULTICSR_CACHE") or user_cache_dir("multicsr"))


def package_folder(alias: Alias) -> Path | None:
    """The folder of an embedded model in the Python package that brings it; None where that is not installed."""
    spec = importlib.util.find_spec(alias.package or "")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / alias.subfolder
    return folder if folder.is_dir() else None


def hub_folder(hub: str) -> Path | None:
    """The snapshot of a hub id in the local cache, read from its files so that listing needs no hub library."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{hub.replace('/', '--')}"
    reference = cache / "refs" / "main"
    if not reference.is_file():
        return None
    folder = cache / "snapshots" / reference.read_text().strip()
    return folder if (folder / "config.json").is_file() and weight_files(folder) else None


def from_hub(name: str, hub: str, kind: Kind) -> Path:
    """The snapshot of the hub id `hub`, fetched if it is not on this machine.

    Raises Problem, which calls it `name`, where there is none, or no way to it.
    """
    cached = hub_folder(hub)
    if cached is not None:
        return cached
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", hub) or hub.startswith("."):
        raise Problem(
            f"unknown model {name!r}: no alias, no folder, no hub id",
            f"give {embedded(kind)}a local folder, or owner/name; `multicsr models` lists the aliases",
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # its HTTP library's
        HTTPError,
        RepositoryNotFoundError,
    )

    try:
        files = HfApi().list_repo_files(hub)
        safe = any(file.endswith(".safetensors") and "/" not in file for file in files)
        weights = "*.safetensors" if safe else "pytorch_model*.bin*"
        return Path(snapshot_download(hub, allow_patterns=["*.json", "*.txt", "*.model", weights]))
    except RepositoryNotFoundError:
        raise Problem(f"the hub has no model {hub!r}", "check its name, or log in if it is private") from None
    except (OSError, HTTPError) as error:
        # What the hub answers is an OSError, what keeps us from it an HTTPError; a full disk, which the text then names, is
        # an OSError too.
        raise Problem(
            f"{name} is not on this machine and could not be fetched ({_first_line(error)})",
            f"give {embedded(kind, ' or ')}the folder of a model you have",
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a transformers folder."""
    return sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"), *folder.glob("*.gguf")])


def refuse_wrong_kind(folder: Path, name: str, kind: Kind) -> None:
    """Raises Problem where `folder` holds no whole model, or, by its config, no model of this kind."""
    config = folder / "config.json"
    if not config.is_file():
        raise Problem(f"{name} is no model folder: it has no config.json", "give the folder a model was saved to")
    if not weight_files(folder):
        raise Problem(
            f"the model folder {name} has no weights (*.safetensors or pytorch_model*.bin)",
            "give a folder that holds them",
        )
    architectures = _settings(config).get("architectures") or []
    named = ", ".join(architectures) or "no architecture named"
    generative = any(GENERATIVE.search(architecture) for architecture in architectures)
    if kind == "llm" and not generative:
        raise Problem(
            f"{name} is not a generative language model ({named})",
            f"give a causal or encoder-decoder LLM, such as {EMBEDDED['llm']}",
        )
    if kind == "classifier" and not any(each.endswith("ForSequenceClassification") for each in architectures):
        raise Problem(f"{name} is not a sequence classifier ({named})", "give an NLI classifier: a folder or a hub id")
    if kind == "encoder" and generative:
        raise Problem(
            f"{name} is a generative language model ({named}), not an encoder",
            f"give an encoder, such as {EMBEDDED['encoder']}",
        )


def _settings(config: Path) -> dict[str, Any]:
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{config} is not JSON: {error}", "restore the file") from None
    if not isinstance(content, dict):
        raise Problem(f"{config} holds no settings", "restore the file")
    return content


def fingerprint(folder: Path, layers: int | None) -> str:
    """Twelve hex digits of the model's content: config, tokenizer, pooling, and samples of the weights."""
    content = hashlib.blake2b(f"layers={layers}".encode(), digest_size=6)
    for pattern in ("*.json", "*.txt", "*.model", "*.jinja", "[0-9]_*/*.json"):
        for path in sorted(folder.glob(pattern)):
            content.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    for path in [*weight_files(folder), *sorted(folder.glob("[0-9]_*/*.safetensors"))]:
        size = path.stat().st_size
        content.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            for block in range(BLOCKS):
                file.seek(max(size - BLOCK_BYTES, 0) * block // (BLOCKS - 1))
                content.update(file.read(BLOCK_BYTES))
    return content.hexdigest()
