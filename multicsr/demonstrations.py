"""`gen --demonstrations`: a labelled corpus, whose nearest triplets each premise is shown (appendix G of the paper)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.names import resolve
from store.problem import Problem

if TYPE_CHECKING:
    from stages.config import GenConfig
    from stages.files.corpora import Corpus
    from stages.texts.demonstrations import Demonstrations
    from store.database import Store

# L and λ of the paper's better setting (table 10), and the mask model that `train` takes too.
SHOTS, MIN_SIMILARITY, MASK_MODEL = 5, 0.8, "minilm"


@dataclass(frozen=True)
class Shown:
    """A checked corpus of demonstrations, and how to load the encoder that finds the nearest on which device."""

    corpus: Corpus
    load: Callable[[], Any]
    device: str


def lent(
    path: Path, shots: int | None, min_similarity: float | None, mask_model: str, device: str
) -> tuple[Shown, dict[str, Any]]:
    """A corpus of demonstrations, and what the config says of it."""
    from stages.files import corpora
    from stages.models import catalog
    from stages.models.encoder import pooling
    from stages.texts.demonstrations import refuse_holes

    corpus = corpora.corpus(path)
    whole = 0
    for row in corpus.triplets():
        refuse_holes(row.line, row.triplet)
        whole += all(row.triplet)
    if not whole:
        raise Problem(f"--demonstrations {path} holds no triplet", "give a file with both hypotheses of a premise")
    found = catalog.locate(mask_model, "encoder")
    if pooling.pooling_of(found) is None:
        raise Problem(f"{mask_model} does not record how its tokens are pooled", "give a mask model that does")
    where, _ = resolve(device, "auto")
    config = {
        "demonstrations": corpus.name,
        "shots": SHOTS if shots is None else shots,
        "min_similarity": MIN_SIMILARITY if min_similarity is None else min_similarity,
        "mask_model": mask_model,
        "mask_model_fingerprint": found.fingerprint,
    }

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(found, where)

    return Shown(corpus, load, where), config


def opened(store: Store, config: GenConfig, shown: Shown) -> Demonstrations:
    """The corpus as generation reads it; its vectors are kept in the store."""
    from stages.pace.batches import Batches
    from stages.pace.vectors import Vectors
    from stages.texts.demonstrations import Demonstrations

    assert config.mask_model_fingerprint is not None
    assert config.shots is not None
    assert config.min_similarity is not None
    vectors = Vectors(store, config.mask_model_fingerprint, shown.load, Batches(None, "texts", shown.device))
    triplets = (row.triplet for row in shown.corpus.triplets() if all(row.triplet))
    return Demonstrations(triplets, config.shots, config.min_similarity, vectors)
