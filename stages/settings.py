"""Settings: what a stage can be told, each written once, as a field with its default and its help.

Flags, `--help`, the words of a report, the command that a run prints and the keywords of the Python API are read off the
fields. A field made by `setting` is one that people set; a plain field is one that is found for them (a fingerprint, the
digest of a file). Only what can change a result is a field: device, threads and batch size are arguments of the stages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from store.problem import Problem

_KEY = "setting"
MOST = 2**31 - 1  # of a count: a slip of the finger must not ask for more

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is known of a setting beside its name, type and default.

    `usual` says in `--help` what a setting without a default follows from. `low` to `high` is the range of a number, `low`
    itself left out where `above`; `choices` are the values of a word. `readers` names another setting and the values of it
    under which this one is read; with the value `off` it asks for nothing, whatever the other is. `noted`: the config holds
    what the value means (a file's content), the run's notes what was typed. `flag` is the flag where it is not `--name`.
    """

    help: str
    usual: str | None = None
    low: float | None = None
    high: float | None = None
    above: bool = False
    choices: tuple[str, ...] = ()
    readers: tuple[str, tuple[Any, ...]] | None = None
    off: str | float | None = None
    noted: bool = False
    flag: str | None = None
    metavar: str | None = None


def setting(help: str, default: Any = MISSING, **known: Any) -> Any:
    """A dataclass field that people set; `known` are the fields of `Setting`."""
    metadata = {_KEY: Setting(help, **known)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a stage with what was found for them. Raises Problem, naming the setting, for a value out of range."""

    def __post_init__(self) -> None:
        for one in settings_of(type(self)):
            one.check(getattr(self, one.name))


@dataclass(frozen=True)
class Described:
    """A setting with its name, its type (float, int, str, bool or tuple) and its default (MISSING where it has none)."""

    name: str
    type: type
    default: Any
    known: Setting

    @property
    def has_default(self) -> bool:
        return self.default is not MISSING

    def check(self, value: Any) -> None:
        """Raise Problem for a value that this setting cannot have; None is one that is not used."""
        if value is None:
            return
        if self.type in (float, int):
            self._check_number(value)
        elif self.known.choices and value not in self.known.choices:
            near = get_close_matches(str(value), self.known.choices, 1)
            meant = f"did you mean {near[0]}? It is " if near else "give "
            raise Problem(
                f"{self.name} {value!r} is not known", f"{meant}one of {', '.join(self.known.choices)}", self.name
            )

    def _check_number(self, value: Any) -> None:
        whole = self.type is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise Problem(
                f"{self.name} {value!r} is not a {'whole ' if whole else ''}number",
                f"give a {'whole ' if whole else ''}number such as {'3' if whole else '0.3'}",
                self.name,
            )
        low = -math.inf if self.known.low is None else self.known.low
        high = (MOST if whole else math.inf) if self.known.high is None else self.known.high
        if math.isfinite(value) and low <= value <= high and not (self.known.above and value == low):
            return
        if whole:
            raise Problem(
                f"{self.name} {value} is out of range", f"give a whole number from {low:,} to {high:,}", self.name
            )
        edge = f"above {low:g}" if self.known.above else f"at least {low:g}"
        upper = "" if high == math.inf else f" and at most {high:g}"
        raise Problem(f"{self.name} {value:g} is out of range", f"give a number {edge}{upper}", self.name)


def settings_of(config: Any) -> tuple[Described, ...]:
    """The settings of a config class that people set, in their order."""
    return _settings_of(config)


@cache
def _settings_of(config: Any) -> tuple[Described, ...]:
    types = get_type_hints(config)
    return tuple(
        Described(one.name, _plain(types[one.name]), one.default, one.metadata[_KEY])
        for one in fields(config)
        if _KEY in one.metadata
    )


def complete(config: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over the defaults of `config`; a setting that has no default and is not given is absent.

    Raises Problem for a name that no setting has, a value out of range, and a setting that is not read under the others.
    """
    known = {one.name: one for one in settings_of(config)}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise Problem(
                f"there is no setting {name!r}", f"did you mean {near[0]}?" if near else f"give {', '.join(known)}"
            )
    told = {name: value for name, value in given.items() if value is not None}
    for name, value in told.items():
        known[name].check(value)
    whole = {name: one.default for name, one in known.items() if one.has_default} | told
    refuse_unread(config, whole, told)
    return whole


def refuse_unread(config: type, whole: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """A setting that is told and not read may neither pass in silence nor make a second run of the same. Raises Problem."""
    for one in settings_of(config):
        value = told.get(one.name)
        if one.known.readers is None or value is None or value is False or value in (one.default, one.known.off):
            continue
        other, values = one.known.readers
        if other in whole and whole[other] not in values:
            shown = "" if value is True else f" {value}"
            meant = f"{other}={' or '.join(map(str, values))}"
            has = whole[other]
            of = f"without {other}={values[0]}" if has in (None, False) else f"with {other}={has}"
            raise Problem(f"{one.name}{shown} has no use {of}", f"leave it out, or give {meant}", one.name)


def _plain(annotation: Any) -> type:
    """The type that a value has where it is not None."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (one for one in get_args(annotation) if one is not type(None))
    return get_origin(annotation) or annotation  # type: ignore[no-any-return]
