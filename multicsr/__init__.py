"""multicsr from Python: unlabeled sentences to a sentence-embedding model, as in the shell.

    store = multicsr.open("my.db")
    written = store.gen(["A man plays a guitar."], omega=0.3)
    kept = store.curate(store.score(written), alpha=2.2)
    model = store.train(kept, base="minilm")

notebook/      the open store with a method a stage, and what these give
job.py         a run that is wanted, which shell, notebook, browser and experiments make alike
gen.py score.py curate.py train.py evaluate.py judge.py corpora.py   settings -> job, one file a verb
compare.py export.py command_line.py   two models side by side; triplets as files; the command that makes a run
means/         who is meant by a name, and where models work
losses.py      the losses as modules for other trainers (loads torch; import it by name)
report/        pages about runs, plots, the leaderboard
paper/         the paper's experiments
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.notebook.workspace import Workspace

__all__ = ["Problem", "open"]


def open(path: str | Path = "multicsr.db") -> Workspace:
    """Open the store at `path`, or create it. Raises Problem where that cannot be done, leaving the file as it was."""
    from multicsr.notebook.workspace import Workspace
    from store.database import Store

    return Workspace(Store.open(path))
