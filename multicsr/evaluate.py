"""Evaluation of an encoder. Arrow: checkpoint -> metric ± error; here, names and settings -> a job, a run -> its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from multicsr.job import Job, Means
from multicsr.means.encoders import Subject, locate_subject
from multicsr.means.names import notes_of, read_source
from multicsr.report.measured import Measured, measured
from stages.config import EvalConfig
from stages.settings import complete
from stages.stage import Notes
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.files.sources import Source
    from stages.tasks.compare import Outcome
    from stages.tasks.task import Task
    from store.database import Store


AnyTask = TypeVar("AnyTask")
Other = TypeVar("Other")


class Tasks(list[AnyTask]):
    """Loaded tasks. `news` are lines that a reader of their figures must know; `places` says where their files lie, for
    the command that makes the run."""

    def __init__(self, tasks: Iterable[AnyTask], news: Sequence[str] = (), places: Notes | None = None) -> None:
        super().__init__(tasks)
        self.news, self.places = tuple(news), dict(places or {})

    def among(self, kept: Iterable[Other]) -> Tasks[Other]:
        """Some of them, of which the same is known."""
        return Tasks(kept, self.news, self.places)


@dataclass(frozen=True)
class Evaluation:
    """An encoder on some tasks: what its job is made of. `sentences` are what whitening is learned from."""

    store: Store
    subject: Subject
    config: EvalConfig
    tasks: Sequence[Task]
    batch: int | None
    notes: Notes
    sentences: Source | None = None

    @property
    def name(self) -> str:
        """The model, as it was named."""
        return self.subject.name

    @property
    def title(self) -> str:
        """The model, and what is done to its vectors."""
        if self.sentences is None:
            return self.name
        whitened = f"{self.name} whitened by {Path(self.sentences.shown).name}"
        return f"{whitened} to {self.config.whiten_dim} dimensions" if self.config.whiten_dim else whitened

    @property
    def learning(self) -> Callable[[], Iterable[str]] | None:
        """The texts of `sentences`, a stream made anew each time."""
        source = self.sentences
        return None if source is None else lambda: (text for _, text in source.texts())

    @property
    def job(self) -> Job:
        """What is missing of it, to be made."""
        from stages import evaluate as stage

        parent = self.subject.trained.id if self.subject.trained else None
        about = self.store, self.config, parent, self.tasks
        start = partial(
            stage.run, *about, self.subject.load, self.batch, self.subject.device, self.notes, self.learning
        )
        title = f"eval {self.config.model}"
        return Job(self.store, "eval", stage.VERSION, self.config, parent, start, title, "tasks")

    def outcomes(self, tasks: Sequence[Task] | None = None) -> list[Outcome]:
        """What the headline of each task is computed from. Once the job is made, no model is loaded for it."""
        from stages import evaluate as stage

        chosen = self.tasks if tasks is None else tasks
        where = self.subject.load, self.batch, self.subject.device
        return stage.outcomes(self.store, self.config, chosen, *where, self.learning)

    def measured(self) -> Measured:
        """Its figures, once the job is made."""
        return measured(self.store, self.store.run(self.job.id), self.name, self.title)


def job(
    store: Store,
    model: str | Run,
    tasks: Sequence[Task],
    *,
    whiten_column: str | None = None,
    means: Means = Means(),
    notes: Notes | None = None,
    **told: Any,
) -> Job:
    """The evaluation of an encoder on `tasks`; the arguments are those of `evaluation`."""
    return evaluation(store, model, tasks, whiten_column=whiten_column, means=means, notes=notes, **told).job


def evaluation(
    store: Store,
    model: str | Run,
    tasks: Sequence[Task],
    *,
    whiten_column: str | None = None,
    means: Means = Means(),
    notes: Notes | None = None,
    **told: Any,
) -> Evaluation:
    """`model` (a train run, an alias, a hub id or a folder) on `tasks`, which were loaded for the same `split`.

    `told` are settings of EvalConfig; `whiten` is bundled, the path of a file, or a checked Source. `notes` say where the
    tasks lie; of `Tasks` that is known. Raises Problem for what cannot be measured so, before anything is written.
    """
    whole = complete(EvalConfig, told)
    sentences = _sentences(whole["whiten"], whiten_column)
    subject = locate_subject(store, model, whole.pop("pooler", None), means.device)
    if whole["analysis"]:
        tasks = _analysed(tasks)
    whole["whiten"] = sentences.digest if sentences else None
    config = EvalConfig(
        **whole,
        model=subject.trained.id if subject.trained else subject.name,
        model_fingerprint=subject.fingerprint,
        pooler=subject.pooler,
        tasks={task.name: task.digest for task in tasks},
    )
    places = notes if notes is not None else getattr(tasks, "places", {})
    return Evaluation(store, subject, config, tasks, means.batch, {**places, **_notes_of(sentences)}, sentences)


def tasks(
    listed: str | Sequence[str] | None = None,
    *,
    data: str | Path | None = None,
    split: str = "test",
    probe: str = "adam",
    file: str | Path | None = None,
    translations: tuple[str | Path, str | Path] | None = None,
) -> Tasks[Task]:
    """The tasks that are `listed` (names and groups), those that `data` holds where none are, or the bundled one.

    `data` is a folder in the SentEval layout, `file` pairs of one's own, `translations` two files that are aligned line
    by line; `probe` is what transfer tasks train: adam or convex. Raises Problem for what is not there, or damaged.
    """
    from stages.tasks import registry

    folder = None if data is None else Path(data)
    mine, news = _tasks_of_ones_own(file, translations, folder), list[str]()
    if listed is not None:
        chosen = registry.chosen(listed if isinstance(listed, str) else ",".join(listed), folder, split, probe)
    elif folder is not None:
        chosen, absent = registry.held(folder, split, probe)
        if not chosen:
            raise Problem(f"no task lies under {data}", "give the folder of the SentEval layout")
        others = f"; not there: {', '.join(absent)}" if absent else ""
        news.append(f"found under {data}: {', '.join(task.name for task in chosen)}{others}")
    else:
        chosen = [] if mine else registry.chosen("mini", None, split)
    first, second = translations or (None, None)
    places = notes_of(data=data, task=file, bitext_first=first, bitext_second=second, probe=probe)
    return Tasks(chosen + mine, news + registry.notes(chosen + mine), places)


def _tasks_of_ones_own(
    file: str | Path | None, translations: tuple[str | Path, str | Path] | None, data: Path | None
) -> list[Task]:
    """The tasks that are files of the user's. Raises Problem for one that has the name of another."""
    from stages.tasks import bitext, own, registry

    mine: list[Task] = [] if file is None else [own.load(Path(file))]
    mine += [] if translations is None else [bitext.pair(*map(Path, translations))]
    for task in mine:
        if task.name in (*registry.names(), *registry.opened(data)):
            raise Problem(
                f"a file of yours has the name of the task {task.name}", "give it another name, such as pairs.tsv"
            )
    return mine


def without_pairs(setting: str, tasks: Iterable[Task]) -> list[str]:
    """Of which tasks `setting` gives nothing, which is about sentence pairs with gold scores. Raises Problem for all."""
    from stages.tasks import sts

    names = {task.name: isinstance(task, sts.StsTask) for task in tasks}
    if not any(names.values()):
        raise Problem(
            f"{setting} needs sentence pairs with gold scores", "choose such a task: tasks=stsb, say", setting
        )
    return [name for name, has_pairs in names.items() if not has_pairs]


def _analysed(tasks: Sequence[Task]) -> list[Task]:
    """The same tasks, with alignment and uniformity where they are sentence pairs."""
    from stages.tasks import sts
    from stages.tasks.analysis import Analysed

    without_pairs("analysis", tasks)
    return [Analysed(task) if isinstance(task, sts.StsTask) else task for task in tasks]


def _sentences(whiten: str | Path | Source | None, column: str | None) -> Source | None:
    """The checked sentences that whitening is learned from. Raises Problem."""
    from stages.files.sources import AskedBy, Source

    if isinstance(whiten, Source):
        return whiten
    if whiten is None:
        if column is not None:
            raise Problem(
                f"whiten_column {column} goes with whiten=FILE",
                "give the sentences to learn from: whiten=FILE",
                "whiten_column",
            )
        return None
    if str(whiten) != "bundled" and not Path(whiten).is_file():
        raise Problem(
            f"whiten: there is no file {whiten}", "give bundled, or a file with one sentence a line", "whiten"
        )
    if str(whiten) == "bundled" and column is not None:
        raise Problem(
            f"whiten_column {column} goes with a file, and whiten=bundled is none", "leave it out", "whiten_column"
        )
    return read_source(str(whiten), column, AskedBy(file="whiten", column="whiten_column", called="file"))


def _notes_of(sentences: Source | None) -> Mapping[str, str]:
    if sentences is None:
        return {}
    return notes_of(whiten=sentences.shown, whiten_column=sentences.column if sentences.column_given else None)
