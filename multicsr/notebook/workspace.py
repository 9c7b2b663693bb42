"""An open store with the stages as methods: a notebook's way to what the shell does, by the same jobs and the same ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multicsr import corpora, curate, evaluate, gen, judge, score, train
from multicsr.compare import differences
from multicsr.export import ExportedFile, export
from multicsr.job import Job, Means, Progress
from multicsr.means.server import Server
from multicsr.means.told import taken_apart
from multicsr.means.workplace import Workplace
from multicsr.notebook.keywords import takes
from multicsr.notebook.progress import drive
from multicsr.notebook.results import (
    KINDS,
    Curated,
    Evaluated,
    ModelComparison,
    Result,
    Scored,
    Trained,
    Written,
    result,
)
from stages.config import CurateConfig, EvalConfig, GenConfig, JudgeConfig, PairConfig, ScoreConfig, TrainConfig
from store.database import Store
from store.problem import Problem
from store.read import runs
from store.records import Run

Named = Result | str  # a run: what a stage gave, its id, a unique prefix of it, or latest
Shown = Progress | bool | None  # see multicsr/progress.py

MEANS = ("device", "batch", "chunk")


class Workspace:
    """A store. Each method makes or resumes the same run, with the same id, as the shell's command of its name.

    Beside the settings of its stage a method takes what changes the speed only: `device` ("auto", "cpu", "cuda:0"), `batch`
    (items at once; "auto": as many as fit); gen and score also `engine`, `workers`, `ray_address`, and `base_url`,
    `in_flight`, `timeout` of a hosted LLM; train also `chunk`. `progress` is None (a bar in a notebook and on a terminal),
    True, False, or a function of a Tick and the rate. What the user can mend is raised as `multicsr.Problem`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def path(self) -> Path | None:
        """The file of the store."""
        return self.store.path

    def __repr__(self) -> str:
        return f"<multicsr store {self.path}>"

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self.store.close()

    @takes(GenConfig, Server, Workplace)
    def gen(
        self, premises: Any = "bundled", *, column: str | None = None, progress: Shown = None, **told: Any
    ) -> Written:
        """Write an entailment and a contradiction for each premise (MultiCSR, eq. 1-2).

        `premises`: a list of sentences, a path, "bundled", or a datasets.Dataset or pandas.DataFrame with its `column`.
        """
        where, server, told = _apart(told)
        if hasattr(premises, "columns"):  # a DataFrame, which is walked by its columns
            premises, column = _column(premises, column), None
        job = gen.job(self.store, premises, column=column, means=where, server=server, **told)
        return Written(self.store, self._made(job, progress))

    def load(
        self, file: str | Path, *, columns: Sequence[str] | None = None, progress: Shown = None
    ) -> Written | Scored:
        """Take triplets, or labelled NLI pairs, made elsewhere: the shell's `import`. What has scores can be curated."""
        triplets, scores = corpora.jobs(self.store, Path(file), columns)
        written = Written(self.store, self._made(triplets, progress))
        return written if scores is None else Scored(self.store, self._made(scores, progress))

    @takes(ScoreConfig, Server, Workplace)
    def score(self, written: Named = "latest", *, progress: Shown = None, **told: Any) -> Scored:
        """Score how similar each hypothesis is to its premise, from 0 to 5."""
        where, server, told = _apart(told)
        job = score.job(self.store, self._run(written, "gen"), means=where, server=server, **told)
        return Scored(self.store, self._made(job, progress))

    @takes(CurateConfig, PairConfig)
    def curate(self, scored: Named = "latest", *, progress: Shown = None, **told: Any) -> Curated:
        """Keep the triplets whose scores fit: a ≥ α, b ≤ β, a ≥ b + γ (MultiCSR, eq. 4)."""
        return Curated(self.store, self._made(curate.job(self.store, self._run(scored, "score"), **told), progress))

    @takes(TrainConfig)
    def train(
        self,
        kept: Named = "latest",
        *,
        data: str | Path | None = None,
        out: str | Path | None = None,
        progress: Shown = None,
        **told: Any,
    ) -> Trained:
        """Train an encoder on the triplets of a curate run, or of a gen run as they are (MultiCSR, eq. 5-7).

        `data` is the folder of evaluation data in the SentEval layout, for `dev`; the model is put into the new folder `out`
        too, where one is given.
        """
        where, _, told = _apart(told)
        train.refuse_taken(_path(out))
        if "with_runs" in told:
            told["with_runs"] = tuple(one.id if isinstance(one, Result) else one for one in told["with_runs"])
        parent = self._run(kept, "curate", *(() if kept == "latest" else ("gen",)))
        run = self._made(train.job(self.store, parent, data=_path(data), means=where, **told), progress)
        if out is not None:
            train.copy_model(self.store, run, Path(out))
        return Trained(self.store, run)

    @takes(EvalConfig, JudgeConfig, Server)
    def eval(
        self,
        model: Named | None = None,
        *,
        scorer: str | None = None,
        tasks: str | Sequence[str] | None = None,
        task: str | Path | None = None,
        bitext: tuple[str | Path, str | Path] | None = None,
        data: str | Path | None = None,
        probe: str = "adam",
        progress: Shown = None,
        **told: Any,
    ) -> Evaluated:
        """Measure an encoder, or an LLM as `scorer` of sentence pairs, on tasks.

        `model` is what train gave, an alias, a hub id or a folder; None the latest training. `tasks` are names or groups
        (mini, sts, transfer, retrieval); None for mini, or for all that `data` holds. `task` is a file of your own pairs,
        `bitext` two files of your own translations; `probe` is what transfer tasks train, adam or convex.
        """
        judge.refuse_mixture(scorer, {"model": model, **{name: told[name] for name in told if name not in MEANS}})
        where, server, told = _apart(told)
        split = told.get("split", "test")
        chosen = evaluate.tasks(tasks, data=data, split=split, probe=probe, file=task, translations=bitext)
        if scorer is not None:
            pairs, _ = judge.tasks_of_pairs(chosen, named=tasks is not None)
            job = judge.job(self.store, scorer, pairs, means=where, server=server, **told)
        else:
            job = evaluate.job(self.store, _model(model or "latest"), chosen, means=where, **told)
        return Evaluated(self.store, self._made(job, progress))

    def compare(
        self,
        first: Named,
        second: Named,
        *,
        tasks: str | Sequence[str] | None = None,
        task: str | Path | None = None,
        data: str | Path | None = None,
        progress: Shown = None,
    ) -> ModelComparison:
        """Two models on the same items, by a paired bootstrap: is their difference more than chance?"""
        chosen = evaluate.tasks(tasks, data=data, file=task)
        sides = [evaluate.evaluation(self.store, _model(one), chosen) for one in (first, second)]
        for side in sides:
            self._made(side.job, progress)
        return ModelComparison(differences(*sides))

    def export(
        self,
        run: Named = "latest",
        out: str | Path | None = None,
        *,
        format: str = "csv",
        shape: str = "multicsr",
        rows: str = "kept",
        scores: bool = False,
    ) -> ExportedFile:
        """Write triplets to a file: `format` csv, jsonl, parquet or hf, `shape`, `rows` and `scores` as in the shell."""
        exported = self._run(run, "curate", "score", "gen")
        return export(self.store, exported, _path(out), format=format, shape=shape, rows=rows, scores=scores)

    def runs(self) -> list[Result]:
        """Every run of the store, oldest first."""
        return [result(self.store, listed.run) for listed in runs.listed(self.store)]

    def latest(self, stage: str) -> Any:
        """The newest finished run of `stage`: gen, score, curate, train or eval. Raises Problem where there is none."""
        if stage not in KINDS:
            raise Problem(f"stage {stage!r} is not known", f"give one of {', '.join(KINDS)}", "stage")
        return result(self.store, self.store.find("latest", (stage,)))

    def _run(self, named: Named, *stages: str) -> Run:
        if isinstance(named, Result):
            if named.stage not in stages:
                raise Problem(f"run {named.id} is a {named.stage} run", f"this takes a {' or '.join(stages)} run")
            return named.run
        return self.store.find(_name(named), stages)

    def _made(self, job: Job, progress: Shown) -> Run:
        return drive(job, progress).run


def _apart(told: dict[str, Any]) -> tuple[Means, Server, dict[str, Any]]:
    """Means, server and settings of what a method was told. Raises Problem for what cannot be."""
    told = {name: str(value) if isinstance(value, Path) else value for name, value in told.items()}
    means = {name: told[name] for name in MEANS if name in told and told[name] != ("auto" if name == "batch" else None)}
    workplace, server, settings = taken_apart({name: value for name, value in told.items() if name not in MEANS})
    return Means(**means, workplace=workplace), server, settings


def _model(named: Named | Path) -> Run | str:
    return named.run if isinstance(named, Result) else _name(named)


def _name(named: Any) -> str:
    """A name as text. Raises Problem for what is none."""
    if not isinstance(named, str | Path):
        raise Problem(f"{named!r} names neither a run nor a model", "give what a stage gave, an id, or a name")
    return str(named)


def _column(table: Any, column: str | None) -> Any:
    """A column of a DataFrame. Raises Problem where it has none of that name."""
    if column not in table.columns:
        known = ", ".join(map(str, table.columns))
        raise Problem(f"column {column!r} is not in the table", f"give one of {known}", "column")
    return table[column]


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
