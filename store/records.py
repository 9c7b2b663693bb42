"""The nouns that cross rooms, as frozen records. Standard library only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

Role = Literal["entailment", "contradiction"]
ROLES: tuple[Role, Role] = ("entailment", "contradiction")

# CLAIF's roles: `rewrite-K` was written with K tenths of the premise's words masked. In imported pairs K counts.
REWRITES = tuple(f"rewrite-{tenths}" for tenths in range(9))


class Premise(NamedTuple):
    """An unlabeled sentence (x in the paper) with its row id in the store."""

    id: int
    text: str


class Triplet(NamedTuple):
    """One training example: premise x, entailment x+, contradiction x-."""

    premise: str
    entailment: str
    contradiction: str


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count` of a run's premises, in the order of their source.

    It says who writes a premise, never what is written, so it is no part of a run's identity.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard(1, 1)


@dataclass(frozen=True)
class DraftRow:
    """One hypothesis as the LLM wrote it. `raw` is kept where cleaning changed it, `problem` where it is unusable, `masked`
    where the prompt showed the premise with words masked."""

    premise: int
    role: str
    text: str
    raw: str | None
    problem: str | None
    prompt: str
    tokens: int
    masked: str | None = None


@dataclass(frozen=True)
class ScoreRow:
    """The similarity of a hypothesis to its premise in [0, 5], or None where `reply` could not be read."""

    premise: int
    role: str
    value: float | None
    reply: str


@dataclass(frozen=True)
class Run:
    """One stage with one config over one parent. The same three give the same id, in every store."""

    id: str
    stage: str
    version: int
    parent: str | None
    config: dict[str, Any]
    finished: str | None
    counts: dict[str, Any]


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no spaces, so that equal configs have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def run_id(stage: str, version: int, parent: str | None, config: dict[str, Any]) -> str:
    """Twelve hex digits of a hash over stage, version, parent and config."""
    return digest(canonical([stage, version, parent, config]))


def digest(text: str) -> str:
    """Twelve hex digits that name a text."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def as_config(config: Any) -> dict[str, Any]:
    """A config dataclass as the plain dict that is stored and hashed: 3 and 3.0 are one number."""
    values = asdict(config)
    for field in fields(config):
        if "float" in str(field.type) and isinstance(values[field.name], int):
            values[field.name] = float(values[field.name])
    plain: dict[str, Any] = json.loads(canonical(values))
    return plain
