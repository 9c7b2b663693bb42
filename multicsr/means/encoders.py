"""Encoders by their names. Arrow: a name -> where its weights lie, and how to load them.

Raises Problem before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.means.names import resolve
from multicsr.means.training_encoders import model_folder
from stages.config.words import POOLERS
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.models.catalog import Located
    from store.database import Store


@dataclass(frozen=True)
class Subject:
    """An encoder that somebody named: where it lies, not loaded. `trained` is the train run it comes from, if any."""

    name: str
    trained: Run | None
    fingerprint: str
    pooler: str
    device: str
    load: Callable[[], Any]


def locate_subject(store: Store, model: str | Run, pooler: str | None = None, device: str = "auto") -> Subject:
    """The encoder that `model` names, with its own pooling unless `pooler` says another. Raises Problem."""
    from stages.models.encoder import pooling

    name = model if isinstance(model, str) else model.id
    trained, located = locate(store, model)
    pooling_of = pooler or pooling.pooling_of(located)
    if pooling_of is None:
        raise Problem(
            f"{name} does not record how its tokens are pooled", f"say it with pooler=NAME: {', '.join(POOLERS)}"
        )
    where, _ = resolve(device, "float32")

    def load() -> Any:
        from stages.models import loading

        return loading.encoder(located, where, pooler)

    return Subject(name, trained, located.fingerprint, pooling_of, where, load)


def locate(store: Store, model: str | Run) -> tuple[Run | None, Located]:
    """The train run that `model` names, if it names one, and where the encoder lies. Raises Problem."""
    from stages.models import catalog

    trained = _train_run(store, model)
    if trained is None:
        return None, catalog.locate(str(model), "encoder")
    return trained, catalog.locate(str(model_folder(store, trained)), "encoder")


def _train_run(store: Store, model: str | Run) -> Run | None:
    """The train run that `model` is or names, unless an alias or a folder has that name."""
    from stages.models import catalog

    if isinstance(model, str):
        # A store in memory has no folder for the models of its trainings.
        if store.path is None or model in catalog.ALIASES or Path(model).exists():
            return None
        if model != "latest" and not all(character in "0123456789abcdef" for character in model):
            return None
        model = store.find(model, ("train",))
    if model.stage != "train":
        raise Problem(f"run {model.id} is a {model.stage} run", "give a train run, or the name of an encoder")
    if not model.finished:
        raise Problem(f"train run {model.id} is not finished", "run the same `multicsr train` again; it goes on")
    return model
