"""The store of a command that may make one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from store.database import Store

Planned = TypeVar("Planned")


def planned(db: Path, plan: Callable[[Store], Planned]) -> Planned:
    """What `plan` makes of the store at `db`, which raises Problem for what is refused.

    Where there is no store yet it is asked of an empty one first: a refusal must not leave an empty store behind.
    """
    if not db.exists():
        plan(Store.memory())
    return plan(Store.open(db))
