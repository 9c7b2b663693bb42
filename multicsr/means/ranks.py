"""The processes that `torchrun` started for one training. Arrow: the environment -> ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.models.training.ranks import Ranks


def follows() -> bool:
    """Whether this process is one that only does what the leader says."""
    return int(os.environ.get("RANK", "0")) > 0


@contextmanager
def met(device: str) -> Iterator[Ranks | None]:
    """All processes of the training, met, each on `device`; None for one without others. Raises Problem."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    from stages.models import device as devices
    from stages.models.training import ranks

    with ranks.joined(devices.device(device)) as joined:
        yield joined


def follow(device: str) -> None:
    """Encode what the leader says; a follower opens no store and shows nothing."""
    from stages.models import device as devices
    from stages.models.training import parts

    with met(device) as ranks:
        assert ranks is not None
        parts.follow(ranks, devices.device(device))
