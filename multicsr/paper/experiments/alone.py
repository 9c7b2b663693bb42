"""A training as a process of its own: `python -m multicsr.paper.experiments.alone TOLD` says each of its ticks on stdout.

Its mask model starts with none of the vectors that it needs: they are forgotten first, so that their cost is in what is
measured. TOLD is JSON: the store, the parent run, the data folder, device and batch, and the settings of the training. A
tick is a line of JSON; so is a problem, as {"problem": [what, remedy, setting]}, with which it ends.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multicsr import train
from multicsr.job import Job, Means
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import training, vectors

INTERRUPTED = 130


def main() -> int:
    """Train; 0, or what is not."""
    told = json.loads(sys.argv[1])
    store = Store.open(told["store"], create=False)
    try:
        data = None if told["data"] is None else Path(told["data"])
        means = Means(told["device"], told["batch"])
        parent = store.run(told["parent"])
        job = train.job(store, parent, data=data, means=means, **told["settings"])
        _forget(store, parent, job)
        job.run(lambda tick, rate: _say(asdict(tick)))
    except Problem as problem:
        _say({"problem": [problem.what, problem.remedy, problem.setting]})
        return 1
    except (KeyboardInterrupt, BrokenPipeError):  # whoever listens is gone
        return INTERRUPTED
    return 0


def _forget(store: Store, parent: Run, job: Job) -> None:
    """Take the mask model's vectors of the triplets out of the cache."""
    mask_model = job.config["mask_model_fingerprint"]
    if mask_model is not None:
        vectors.forget(store, mask_model, (text for triplet in training.triplets(store, parent) for text in triplet))


def _say(heard: dict[str, Any]) -> None:
    print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    sys.exit(main())
