"""A labelled corpus, whose nearest triplets each premise is shown (MultiCSR, appendix G). Arrow: file -> demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.means.names import resolve
from stages.config.gen import MASK_MODEL, MIN_SIMILARITY, SHOTS
from store.problem import Problem

if TYPE_CHECKING:
    from stages.config import GenConfig
    from stages.files.corpora import Corpus
    from stages.texts.demonstrations import Demonstrations
    from store.database import Store


@dataclass(frozen=True)
class Lent:
    """A checked corpus of demonstrations: the settings of GenConfig that tell of it, and how to load the encoder that finds
    the nearest on which device."""

    corpus: Corpus
    settings: dict[str, Any]
    load: Callable[[], Any]
    device: str

    def opened(self, store: Store, config: GenConfig) -> Demonstrations:
        """The corpus as generation reads it; its vectors are kept in the store."""
        from stages.pace.batches import Batches
        from stages.pace.vectors import Vectors
        from stages.texts.demonstrations import Demonstrations

        assert config.mask_model_fingerprint is not None
        assert config.shots is not None
        assert config.min_similarity is not None
        vectors = Vectors(store, config.mask_model_fingerprint, self.load, Batches(None, "texts", self.device))
        triplets = (row.triplet for row in self.corpus.triplets() if all(row.triplet))
        return Demonstrations(triplets, config.shots, config.min_similarity, vectors)


def lend(settings: Mapping[str, Any], device: str) -> Lent | None:
    """The corpus that the `settings` of a generation name, if they name one. Raises Problem where it cannot be shown."""
    from stages.files import corpora
    from stages.models import catalog
    from stages.models.encoder import pooling

    if settings.get("demonstrations") is None:
        return None
    told: dict[str, Any] = {"shots": SHOTS, "min_similarity": MIN_SIMILARITY, "mask_model": MASK_MODEL}
    told |= {name: settings[name] for name in told if settings.get(name) is not None}
    corpus = corpora.corpus(Path(settings["demonstrations"]))
    _refuse_unfit(corpus)
    located = catalog.locate(told["mask_model"], "encoder")
    if pooling.pooling_of(located) is None:
        raise Problem(
            f"mask_model {told['mask_model']} does not record how its tokens are pooled",
            "give a mask model that does",
            "mask_model",
        )
    where, _ = resolve(device, "auto")
    told |= {"demonstrations": corpus.name, "mask_model_fingerprint": located.fingerprint}

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(located, where)

    return Lent(corpus, told, load, where)


def _refuse_unfit(corpus: Corpus) -> None:
    """Raise Problem for a corpus without a whole triplet, or with a text that no prompt can hold."""
    from stages.texts.demonstrations import refuse_holes

    whole = 0
    for row in corpus.triplets():
        refuse_holes(row.line, row.triplet)
        whole += all(row.triplet)
    if not whole:
        raise Problem(
            f"demonstrations {corpus.path} holds no triplet",
            "give a file with both hypotheses of a premise",
            "demonstrations",
        )
