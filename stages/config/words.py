"""Words that settings of several stages share, and what goes together in each."""

from __future__ import annotations

from stages.settings import setting
from store.problem import Problem

POOLERS = ("cls", "cls_before_pooler", "mean", "first_last_mean", "embeddings_last_mean", "prompt")
SCALES = ("0-5", "0-1")  # that an LLM is asked on; a store has the first
READINGS = ("prompt", "likelihood")  # of an LLM
DIRECTIONS = ("one", "both")
SCORERS = ("encoder", "nli")  # in the place of an LLM, each with the name of its model: encoder:NAME
DTYPES = ("float32", "bfloat16")
HOSTED_DTYPES = ("auto",)  # of a hosted LLM only its server knows the number format


def number_format() -> str:
    """The field of the number format; `auto` is resolved before there is a config."""
    field: str = setting(
        "number format of the computation: float32, bfloat16, or auto: bfloat16 where that is fast",
        usual="auto",
        metavar="NAME",
    )
    return field


def seeded(draws: str) -> int:
    """The field of a seed: any whole number of 64 bits, as JSON and SQLite hold it."""
    field: int = setting(draws, 0, low=-(2**63), high=2**63 - 1)
    return field


def refuse_number_format(dtype: str, base_url: str | None) -> None:
    """Raise Problem for a number format that is not known."""
    known = DTYPES if base_url is None else HOSTED_DTYPES
    if dtype not in known:
        raise Problem(f"dtype {dtype!r} is not known", f"give one of {', '.join(known)}", "dtype")


def refuse_reading(by: str, expected: bool, directions: str, base_url: str | None) -> None:
    """How an LLM says how similar two texts are: only what goes together.

    A hosted LLM is read by what it writes: servers do not give the logits of a text of ours, nor of every number.
    """
    for name, value, choices in (("by", by, READINGS), ("directions", directions, DIRECTIONS)):
        if value not in choices:
            raise Problem(f"{name} {value!r} is not known", f"give one of {', '.join(choices)}", name)
    if by == "prompt" and directions == "both":
        raise Problem("directions both goes with by=likelihood", "leave it out, or give by=likelihood", "directions")
    if by == "likelihood" and expected:
        raise Problem("expected goes with by=prompt", "leave it out, or give by=prompt", "expected")
    for name, shown, asked in (("by", "by likelihood", by == "likelihood"), ("expected", "expected", expected)):
        if asked and base_url is not None:
            raise Problem(
                f"{shown} needs next-token logits, which a hosted LLM does not give",
                "give by=prompt without expected=True, or an LLM on this machine",
                name,
            )
