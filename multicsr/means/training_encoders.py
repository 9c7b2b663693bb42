"""The encoders of a training: the base, and the two that are not trained. Arrow: names -> models, found and not loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.job import Job
from stages.config.train import MLP_IN_TRAINING, NO_MASK
from store.problem import Problem

if TYPE_CHECKING:
    from stages.config import TrainConfig
    from stages.models.catalog import Located
    from stages.models.training.ranks import Ranks
    from stages.train import Loaders
    from store.database import Store
    from store.records import Run


@dataclass(frozen=True)
class Encoders:
    """The encoders of a training. Of a mask model or teacher that is trained first there is only the job."""

    store: Store
    base: Located
    mask: Located | Job | None
    teacher: Located | Job | None

    def fingerprints(self) -> dict[str, str | None]:
        """What names their contents: of one that is trained first, its run."""
        return {
            "base_fingerprint": self.base.fingerprint,
            "mask_model_fingerprint": _named(self.mask),
            "teacher_fingerprint": _named(self.teacher),
        }

    def pooler(self, told: str | None, objective: str) -> str:
        """How the base's tokens become one vector while it is trained. Raises Problem where nobody knows."""
        from stages.models.encoder import pooling

        chosen = told or pooling.pooling_of(self.base)
        if objective in (*MLP_IN_TRAINING, "claif") and told is None and chosen == "cls":
            # The MLP is trained and dropped at test; CLAIF has none.
            return "cls_before_pooler"
        if chosen is None:
            raise Problem(
                f"{self.base.name} does not record how its tokens are pooled",
                "say it with pooler=mean, cls, cls_before_pooler, first_last_mean, embeddings_last_mean or prompt",
            )
        return chosen

    def loaders(self, config: TrainConfig, where: str, ranks: Ranks | None) -> Loaders:
        """How each is loaded onto the device `where`; the `ranks` that share the training load the base too."""
        from stages.train import Loaders

        with_mlp = config.objective in MLP_IN_TRAINING

        def load_base() -> Any:
            from stages.models import loading
            from stages.models.training import parts

            if ranks is not None:
                ranks.say(parts.Load(self.base, config.pooler, config.seed, with_mlp))
            return loading.trainable(self.base, where, config.pooler, config.seed, with_mlp)

        def load_frozen(model: Located | Job) -> Any:
            from stages.models import catalog, loading

            if isinstance(model, Job):
                model = catalog.locate(str(model_folder(self.store, self.store.run(model.id))), "encoder")
            return loading.encoder(model, where)

        def loader(model: Located | Job | None) -> Callable[[], Any] | None:
            return None if model is None else partial(load_frozen, model)

        return Loaders(load_base, loader(self.mask), loader(self.teacher))


def find(store: Store, full: Mapping[str, Any], guide: Job | None) -> Encoders:
    """The encoders that the settings of a training name; `guide` trains the mask model called self.

    Raises Problem where one of them does not serve.
    """
    from stages.models import catalog

    base = catalog.locate(full["base"], "encoder")
    mask = guide or (None if full["mask_model"] == NO_MASK else _frozen(full["mask_model"], "mask_model"))
    teacher = None
    if "teacher" in full:
        is_mask = mask is not None and full["teacher"] == full["mask_model"]
        teacher = mask if is_mask else _frozen(full["teacher"], "teacher")
    longest = catalog.longest_input(base)
    if longest is not None and full["max_length"] is not None and full["max_length"] > longest:
        what = f"max_length {full['max_length']} is more than {full['base']} reads"
        raise Problem(what, f"give at most {longest}", "max_length")
    return Encoders(store, base, mask, teacher)


def _frozen(name: str, setting: str) -> Located:
    """The encoder called `name`, which says by itself how its vectors are made; `setting` names it, or its base did."""
    from stages.models import catalog
    from stages.models.encoder import pooling

    try:
        found = catalog.locate(name, "encoder")
        pooled = pooling.pooling_of(found)
    except Problem as problem:
        raise Problem(f"{setting}={name}: {problem.what}", problem.remedy, setting) from None
    if pooled is None:
        what = f"{setting}={name} does not record how its tokens are pooled"
        raise Problem(what, "give an encoder that does", setting)
    return found


def _named(model: Located | Job | None) -> str | None:
    if model is None:
        return None
    return model.id if isinstance(model, Job) else model.fingerprint


def model_folder(store: Store, run: Run) -> Path:
    """Where a finished train run's model lies."""
    from store.rows import training

    found = training.checkpoint(store, run, "model")
    if found is None:
        raise Problem(
            f"the model of train run {run.id} is gone from {store.files}", "restore the folder beside the store"
        )
    return found[1]
