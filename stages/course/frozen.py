"""The vectors of a model that a training reads and does not train: the mask model's, the teacher's. Arrow: text -> vector."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from stages.course.examples import Examples
from stages.pace.batches import Batches
from stages.pace.vectors import Vectors
from stages.stage import Tick
from store.database import Store


@dataclass(frozen=True)
class Frozen:
    """A model that is not trained: what it is `called` on screen, the name of its content, and how it is loaded where one of
    its vectors is not in the cache."""

    called: str
    fingerprint: str
    load: Callable[[], Any]


def vectors(
    store: Store, frozen: Frozen, examples: Examples, count: int, batches: Batches
) -> Generator[Tick, None, list[np.ndarray]]:
    """The vectors of `count` examples, scaled to length 1: (count, d) for each place of a text in an example.

    They are too many for memory, so they lie in a file that batches read their rows from. It has no name and goes with
    the process, however that ends; a training that is resumed writes it again from the cache.
    """
    from stages.models.encoder.model import normalised

    done, total = 0, examples.width * count
    yield Tick(done, total, frozen.called)
    texts = (text for example in examples for text in example)
    with TemporaryFile(dir=store.files) as file:
        for rows in Vectors(store, frozen.fingerprint, frozen.load, batches).windows(texts):
            file.write(normalised(rows).tobytes())
            done += len(rows)
            yield Tick(done, total, frozen.called, warning=batches.take_warning())
        file.flush()
        every = np.memmap(file, dtype=np.float32, mode="r").reshape(count, examples.width, -1)
    return [every[:, place] for place in range(examples.width)]
