"""The keywords of the Python API, read off the settings of a stage as the flags of the shell are."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

from stages.settings import Described, settings_of

Method = TypeVar("Method", bound=Callable[..., Any])

WIDTH = 100  # of a line of a docstring


def takes(*configs: type) -> Callable[[Method], Method]:
    """Show the settings of `configs` in a method's signature and docstring, in the place of its `**told`."""

    def decorate(method: Method) -> Method:
        parameters = list(inspect.signature(method).parameters.values())
        own = {parameter.name for parameter in parameters}
        described = {one.name: one for config in configs for one in settings_of(config) if one.name not in own}
        shown = [_keyword(one) for one in described.values()]
        method.__signature__ = inspect.Signature([*parameters[:-1], *shown])  # type: ignore[attr-defined]
        method.__doc__ = "\n".join(
            [inspect.cleandoc(method.__doc__ or ""), "", "Settings:", *map(_line, described.values())]
        )
        return method

    return decorate


def _keyword(one: Described) -> inspect.Parameter:
    default = one.default if one.has_default else None
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=one.type)


def _line(one: Described) -> str:
    usual = one.known.usual or (repr(one.default) if one.has_default and one.default is not None else "")
    text = f"{one.name}: {one.known.help}{f' (default: {usual})' if usual else ''}"
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="        ")
