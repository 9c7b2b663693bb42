"""What is wanted as a job of its stage. Arrow: node, the runs that it is made from -> job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr import corpora, curate, evaluate, gen, judge, score, train
from multicsr.job import Job, Means
from multicsr.paper.lab.at_hand import DEV
from store.records import Run

if TYPE_CHECKING:
    from multicsr.evaluate import Evaluation
    from multicsr.paper.lab.at_hand import TasksAtHand
    from multicsr.paper.lab.material import Material
    from multicsr.paper.node import Node
    from store.database import Store


@dataclass(frozen=True)
class Jobs:
    """Makes jobs for one store: of which files and tasks, where and how fast they are computed, in which number format."""

    store: Store
    material: Material
    tasks: TasksAtHand
    means: Means
    dtype: str

    def of(self, wanted: Node, made: Mapping[Node, Run]) -> Job:
        """The job of a node; what it is made from is `made`. Raises Problem where a file or model is missing."""
        told = dict(wanted.settings)
        if wanted.parent is not None:
            parent = made[wanted.parent]
            if wanted.stage in ("train", "drawn"):
                return {"train": self._train, "drawn": self._drawn}[wanted.stage](parent, told, made)
            behind = {"copies": self._copies, "score": self._score, "curate": self._curate, "eval": self._measured}
            return behind[wanted.stage](parent, told)
        first = {"gen": self._gen, "labelled": self._labelled, "sentences": self._sentences}
        return (first | {"distinct": self._distinct, "eval": self._as_it_is, "judge": self._judge})[wanted.stage](told)

    def _gen(self, told: dict[str, Any]) -> Job:
        premises = self.material.source(told.pop("premises"))
        if told.get("demonstrations"):
            mask_model = self.material.scale.backbone.mask_model
            told |= {"demonstrations": str(self.material.demonstrated_file), "mask_model": mask_model}
        return gen.job(self.store, premises, means=self.means, dtype=self.dtype, **told)

    def _labelled(self, told: dict[str, Any]) -> Job:
        return corpora.job(self.store, self.material.labelled_file)

    def _sentences(self, told: dict[str, Any]) -> Job:
        """Sentences as they are: what learns from them alone needs no LLM."""
        return corpora.job(self.store, self.material.repeated(**told))

    def _copies(self, parent: Run, told: dict[str, Any]) -> Job:
        """The first `of` triplets of `parent`, and the very first `copies` times more."""
        from store.rows import training

        triplets = list(islice(training.triplets(self.store, parent), told["of"]))
        name = f"{parent.id}-{told['of']}-and-{told['copies']}.csv"
        return self._import(name, [*triplets, *triplets[:1] * told["copies"]])

    def _drawn(self, parent: Run, told: dict[str, Any], made: Mapping[Node, Run]) -> Job:
        """So many triplets of `parent` (all, where it has no more), or as many as the corpus `like` it has, drawn by the
        seed, in the order of `parent`."""
        from store.rows import training

        triplets = list(training.triplets(self.store, parent))
        size = told["triplets"] if "triplets" in told else training.count_triplets(self.store, made[told["like"]])
        places = np.random.default_rng(told["seed"]).choice(len(triplets), min(size, len(triplets)), replace=False)
        name = f"{parent.id}-{size}-by-{told['seed']}.csv"
        return self._import(name, [triplets[place] for place in sorted(places)])

    def _distinct(self, told: dict[str, Any]) -> Job:
        """So many triplets of sentences that occur once each, which are no hypotheses of one another."""
        texts = list(islice(self.material.sentences(), 3 * told["triplets"]))
        rows = list(zip(texts[::3], texts[1::3], texts[2::3], strict=True))
        assert len(rows) == told["triplets"]
        return self._import(f"distinct-{len(rows)}.csv", rows)

    def _import(self, name: str, triplets: Sequence[Sequence[str]]) -> Job:
        return corpora.job(self.store, self.material.triplets(name, triplets))

    def _score(self, parent: Run, told: dict[str, Any]) -> Job:
        return score.job(self.store, parent, means=self.means, dtype=self.dtype, **told)

    def _curate(self, parent: Run, told: dict[str, Any]) -> Job:
        return curate.job(self.store, parent, **told)

    def _train(self, parent: Run, told: dict[str, Any], made: Mapping[Node, Run]) -> Job:
        joined = (made[told.pop("joined")],) if "joined" in told else ()
        if "as_long_as" in told:  # another training: as many optimiser steps, whatever the corpora have
            told |= {"steps": made[told.pop("as_long_as")].counts["steps"], "epochs": None}
        where: dict[str, Any] = {"data": self.material.data, "means": self.means, "dtype": self.dtype}
        return train.job(self.store, parent, with_runs=joined, **where, **told)

    def evaluation(self, wanted: Node, made: Mapping[Node, Run]) -> Evaluation:
        """The evaluation that an eval node is, of a model that is `made`."""
        told = dict(wanted.settings)
        return self._evaluation(told["model"] if wanted.parent is None else made[wanted.parent], told)

    def _as_it_is(self, told: dict[str, Any]) -> Job:
        return self._evaluation(told["model"], told).job

    def _measured(self, model: Run, told: dict[str, Any]) -> Job:
        return self._evaluation(model, told).job

    def _evaluation(self, model: Run | str, told: dict[str, Any]) -> Evaluation:
        names = told["tasks"]
        whiten = self.material.source(told["whiten"]) if "whiten" in told else None
        return evaluate.evaluation(
            self.store,
            model,
            [self.tasks[name] for name in names],
            means=self.means,
            notes=self.tasks.notes(names),
            split="dev" if names[0].endswith(DEV) else "test",
            whiten=whiten,
            pooler=told.get("pooler"),
        )

    def _judge(self, told: dict[str, Any]) -> Job:
        model, names = told.pop("model"), told.pop("tasks")
        tasks, notes = [self.tasks[name] for name in names], self.tasks.notes(names)
        return judge.job(self.store, model, tasks, means=self.means, notes=notes, dtype=self.dtype, **told)
