"""Looking for sentences by hand. Arrow: a model by its name, a text -> the nearest sentences of a source."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from multicsr.means.encoders import locate_subject
from stages.stage import Tick

if TYPE_CHECKING:
    from stages.files.sources import Source
    from stages.pace.lookup import Search
    from store.database import Store


def fill(
    search: Search,
    store: Store,
    model: str,
    source: Source,
    *,
    pooler: str | None = None,
    device: str = "auto",
    batch: int | None = None,
) -> Generator[Tick, None, None]:
    """Fill `search.hits` with the sentences of `source` nearest to its text, by the cosine of `model`'s vectors.

    Vectors are kept beside the store. Raises Problem where the model cannot be meant or measured.
    """
    from stages.evaluate import vectors_key
    from stages.pace.batches import Batches
    from stages.pace.vectors import Vectors

    subject = locate_subject(store, model, pooler, device)
    key = vectors_key(subject.fingerprint, subject.pooler)
    vectors = Vectors(store, key, subject.load, Batches(batch, "texts", subject.device))
    yield from search.run(vectors, source.texts(), source.rows)
