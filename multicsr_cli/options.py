"""Options that several commands share, each written once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from store.problem import Problem
from store.records import Shard


def number(text: str) -> float:
    """An option's value as a float. 'abc' and 'nan' are refused like any value out of range: in one line, with exit 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise Problem(f"{text!r} is not a number", "give a number such as 0.3")
    return value


def batch_size(text: str) -> int | None:
    """`--batch`: None for auto."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise Problem(f"--batch {text!r} is neither auto nor a whole number of at least 1", "give --batch 32, say")
    return int(text)


def shard(text: str) -> Shard:
    """`--shard I/N`, with I from 1 to N."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise Problem(
            f"--shard {text!r} is not I/N with I from 1 to N", "give --shard 3/8, say, for the third of eight"
        )
    return Shard(int(number), int(count))


Db = Annotated[Path, typer.Option("--db", metavar="PATH", envvar="MULTICSR_DB", help="The store.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
Batch = Annotated[
    str, typer.Option("--batch", metavar="N|auto", help="How much is computed at once: speed only; auto: what fits.")
]
Dtype = Annotated[str, typer.Option("--dtype", metavar="NAME", help="auto, float32 or bfloat16.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Evaluation data in the SentEval layout.", show_default=False),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run id, a unique prefix of one, or latest.")]

DEFAULT_DB = Path("multicsr.db")
