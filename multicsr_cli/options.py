"""Options: those of a stage's settings, read off its dataclass, and those that several commands share."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.settings import Described, settings_of
from store.problem import Problem
from store.records import Shard

METAVARS: dict[Any, str] = {float: "F", int: "N", str: "NAME", tuple: "NAME"}


def takes(*configs: type, without: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of all settings of `configs` in the place of its `**told`, which holds those that were typed.

    A setting that the command declares itself is its own affair, as are those called `without`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        described = {one.name: one for config in configs for one in settings_of(config)}
        flags = [one for name, one in described.items() if name not in own and name not in without]
        plain = [parameter for parameter in own.values() if parameter.kind is not parameter.VAR_KEYWORD]
        arguments = [parameter for parameter in plain if parameter.kind is not parameter.KEYWORD_ONLY]

        @wraps(command)
        def face(context: typer.Context, **typed: Any) -> None:
            told = {one.name: typed.pop(one.name) for one in flags}
            given = {name for name in told if _is_typed(context, name)}
            command(**typed, **{name: value for name, value in told.items() if name in given})

        head = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        parameters = [head, *arguments, *map(_flag, flags), *plain[len(arguments) :]]
        face.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        face.__annotations__ = {one.name: one.annotation for one in parameters}
        del face.__wrapped__  # its own signature is the one that counts
        return face

    return decorate


def _sentence(help: str, choices: Sequence[str]) -> str:
    """A setting's help as it stands among others; a sign such as α and a value that is typed keep their case."""
    first = help.split(" ")[0].rstrip(",:")
    is_word = first.isascii() and first.isalpha() and first not in choices
    return f"{help[0].upper() if is_word else help[0]}{help[1:]}."


def _is_typed(context: typer.Context, name: str) -> bool:
    """Whether an option was given, be it by its default value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flag(one: Described) -> inspect.Parameter:
    """A setting as a parameter that typer reads."""
    known, shown = one.known, one.known.usual
    default = one.default if one.has_default and shown is None else None
    kind: Any = list[str] if one.type is tuple else one.type
    option = typer.Option(
        known.flag or f"--{one.name.replace('_', '-')}",
        help=_sentence(known.help, known.choices),
        metavar=None if one.type is bool else known.metavar or METAVARS[one.type],
        parser=number if one.type is float else None,
        show_default=shown or (default is not None and default is not False and default != ()),
    )
    if one.type is tuple:
        default = None
    annotation: Any = Annotated[kind if default is not None else kind | None, option]
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


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
