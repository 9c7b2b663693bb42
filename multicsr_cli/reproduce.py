"""`multicsr reproduce`: the paper's ablation (table 3) as a list of runs over the ordinary stages.

An experiment declares settings; whatever two settings share (a corpus, its scores) is one run and is computed once.
Everything resumes, because every part does. The table, the report and its sentences are read from the store.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import curate, evaluate, gen, options, score, screen, train
from multicsr_cli.options import Batch, Data, Db, Device, Dtype, Json
from store.records import Problem, Run

if TYPE_CHECKING:
    from stages.reading import Source
    from store.browse import Written
    from store.database import Store

EXPERIMENTS = ("t3",)


@dataclass(frozen=True)
class Setting:
    """One row of the ablation: which refinements it has. `omega_c` is the contrast of the contradictions."""

    omega: float
    omega_c: float
    curated: bool
    mask: bool

    @property
    def corpus(self) -> str:
        return f"ω {self.omega:g}" if self.omega == self.omega_c else f"ω {self.omega:g} / {self.omega_c:g}"

    @property
    def name(self) -> str:
        return f"{self.corpus}, {'curated' if self.curated else 'raw'}, {'mask' if self.mask else 'no mask'}"


@dataclass(frozen=True)
class Scale:
    """Everything that tells the embedded ablation from the paper's."""

    premises: str
    limit: int | None
    llm: str
    base: str
    mask_model: str
    dev: str
    settings: tuple[Setting, ...]
    reference: tuple[str, ...]  # models measured as they are, for comparison
    train_batch: int
    lr: float
    epochs: int
    eval_every: int | None


def _grid(*corpora: tuple[float, float]) -> tuple[Setting, ...]:
    return tuple(
        Setting(omega, omega_c, curated, mask)
        for omega, omega_c in corpora
        for curated in (False, True)
        for mask in (False, True)
    )


MIXED = Setting(0.3, 0.0, curated=True, mask=True)

SCALES = {
    "mini": Scale(
        premises="bundled",
        limit=384,  # what two CPU cores do in a quarter of an hour, with two seeds
        llm="smollm2",
        base="minilm-l4",
        mask_model="minilm",
        dev="mini",
        settings=(*_grid((0.0, 0.0), (0.3, 0.3)), MIXED),
        reference=("minilm-l4", "minilm"),
        train_batch=32,
        lr=1e-4,
        epochs=3,
        eval_every=None,
    ),
    "paper": Scale(
        premises="hub:princeton-nlp/datasets-for-simcse/nli_for_simcse.csv#sent0",
        limit=None,
        llm="flan-t5-xl",
        base="roberta-base",
        mask_model="simcse-unsup-roberta",
        dev="stsb",
        settings=(*_grid((0.0, 0.0), (0.3, 0.3)), MIXED),
        reference=("simcse-unsup-roberta",),
        train_batch=256,
        lr=5e-5,
        epochs=3,
        eval_every=125,
    ),
}


def command(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="t3: the ablation.")] = "t3",
    scale: Annotated[
        str, typer.Option(metavar="mini|paper", help="Embedded models, or the paper's on a GPU.")
    ] = "mini",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings of each setting.")] = 2,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=8, help="Premises.", show_default="384 in mini, all in paper")
    ] = None,
    data: Data = None,
    db: Db = Path("reproduction.db"),
    device: Device = "auto",
    batch: Batch = "auto",
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Run the paper's ablation and write its table, plot and report."""
    if experiment not in EXPERIMENTS:
        raise Problem(f"unknown experiment {experiment!r}", f"this version has {', '.join(EXPERIMENTS)} (the ablation)")
    if scale not in SCALES:
        raise Problem(f"--scale {scale!r} is not known", f"give {' or '.join(SCALES)}")
    size = options.batch_size(batch)
    chosen = SCALES[scale]
    if scale == "paper":
        _refuse_without_means(chosen, data)
    from stages.tasks import registry
    from stages.tasks.files import Absent
    from store.database import Store

    source = _source(chosen)
    # The test data is read before hours are spent on what it is to measure.
    loaded = registry.chosen("mini", None)
    if data:
        with suppress(Absent):  # measured too where it is there; the step is chosen and the best named without it
            loaded.append(registry.load("sts16", data))
        loaded.append(registry.load("stsb", data))
    tasks = [task.name for task in loaded]
    store = Store.open(db)
    job = Ablation(store, chosen, source, limit or chosen.limit, seeds, data, device, dtype, size, loaded)
    rows = job.run()
    from multicsr_cli import ablation

    result = ablation.Ablation(rows, tasks, seeds, store.files / "reports")
    written = result.write(store, chosen, job.runs)
    if json:
        screen.document(result.document() | {"report": str(written)})
        return
    result.show()
    for sentence in result.sentences():
        screen.out().print(sentence, markup=False)
    screen.say(f"report: {written}")
    screen.say(f"next: multicsr inspect --rejected --db {db}   and   multicsr runs --db {db}")
    best = result.best()
    if best is not None:
        folder = train.model_folder(store, store.run(best.runs[0]))
        screen.say(f"the best model by {tasks[-1]} ({best.name}): SentenceTransformer({str(folder)!r})")


@dataclass(frozen=True)
class Row:
    """A measured row: its figures by task, one a seed, and what its corpus is like (None for a model as it is)."""

    name: str
    setting: Setting | None
    triplets: int | None
    corpus: Written | None
    ordered: float | None
    kept: int | None
    masked: float | None
    figures: dict[str, list[float]]
    runs: list[str]


class Ablation:
    """The runs of the ablation, in an order in which each finds its parents."""

    def __init__(
        self,
        store: Store,
        scale: Scale,
        source: Source,
        limit: int | None,
        seeds: int,
        data: Path | None,
        device: str,
        dtype: str,
        batch: int | None,
        tasks: list[Any],
    ) -> None:
        self.store, self.scale, self.source, self.limit = store, scale, source, limit
        self.seeds, self.data, self.device, self.dtype, self.batch = seeds, data, device, dtype, batch
        self.tasks = tasks
        self.runs: list[Run] = []
        corpora = {setting.corpus: setting for setting in scale.settings}
        self.corpora = list(corpora.values())
        # gen, score and curate of each corpus; train and eval of each setting and seed; the models as they are
        self.total = 3 * len(self.corpora) + 2 * seeds * len(scale.settings) + len(scale.reference)
        self.number = 0

    def _title(self, what: str) -> str:
        self.number += 1
        return f"[{self.number}/{self.total}] {what}"

    def run(self) -> list[Row]:
        """Do what is missing; returns the rows of the table."""
        rows = [self._reference(name) for name in self.scale.reference]
        for corpus in self.corpora:
            generated, scored, curated = self._corpus(corpus)
            rows += [
                self._setting(setting, generated, scored, curated)
                for setting in self.scale.settings
                if setting.corpus == corpus.corpus
            ]
        return rows

    def _corpus(self, setting: Setting) -> tuple[Run, Run, Run]:
        plan = gen.plan(
            self.source,
            llm=self.scale.llm,
            prompts=None,
            omega=setting.omega,
            omega_contradiction=setting.omega_c,
            limit=self.limit,
            seed=0,
            device=self.device,
            dtype=self.dtype,
        )
        generated, _ = gen.make(self.store, self.source, plan, self.batch, self._title(f"gen {setting.corpus}"))
        scoring = score.plan(self.store, generated, by=None, llm=None, device=self.device, dtype=self.dtype)
        scored, _ = score.make(self.store, generated, scoring, self.batch, self._title(f"score {setting.corpus}"))
        title = self._title(f"curate {setting.corpus}")
        curated = curate.make(self.store, scored, curate.plan(scored), title)
        self.runs += [generated, scored, curated]
        return generated, scored, curated

    def _setting(self, setting: Setting, generated: Run, scored: Run, curated: Run) -> Row:
        from store import browse

        parent = curated if setting.curated else generated
        trained: list[Run] = []
        if not setting.curated or curated.counts["kept"]:  # nothing kept is a result too: a row without figures
            trained = [self._train(setting, parent, seed) for seed in range(self.seeds)]
        figures = self._figures([self._measure(run.id, setting.name) for run in trained])
        masked = [run.counts["masked_share"] for run in trained if setting.mask]
        return Row(
            setting.name,
            setting,
            trained[0].counts["triplets"] if trained else 0,
            browse.written(self.store, generated),
            browse.ordered_share(self.store, scored),
            curated.counts["kept"],
            sum(masked) / len(masked) if masked else None,
            figures,
            [run.id for run in trained],
        )

    def _train(self, setting: Setting, parent: Run, seed: int) -> Run:
        run, _ = train.make(
            self.store,
            parent,
            base=self.scale.base,
            mask_model=self.scale.mask_model if setting.mask else "none",
            train_batch=self.scale.train_batch,
            epochs=self.scale.epochs,
            lr=self.scale.lr,
            seed=seed,
            dev=self.scale.dev,
            eval_every=self.scale.eval_every,
            data=self.data,
            device=self.device,
            dtype=self.dtype,
            batch=None,
            title=self._title(f"train {setting.name}, seed {seed}"),
        )
        self.runs.append(run)
        return run

    def _measure(self, model: str, name: str) -> Run:
        title = self._title(f"eval {name}")
        subject = evaluate.find(self.store, model, self.tasks, device=self.device)
        run = evaluate.measure(self.store, subject, notes=gen.notes_of(data=self.data), title=title).run
        self.runs.append(run)
        return run

    def _figures(self, runs: list[Run]) -> dict[str, list[float]]:
        from store import training

        found: dict[str, list[float]] = {task.name: [] for task in self.tasks}
        for run in runs:
            for row in training.metrics(self.store, run):
                if row.name == "spearman" and not row.subset:
                    found[row.task].append(row.value)
        return found

    def _reference(self, name: str) -> Row:
        figures = self._figures([self._measure(name, name)])
        return Row(f"{name}, as it is", None, None, None, None, None, None, figures, [name])


def _source(scale: Scale) -> Source:
    """The premises of a scale: bundled, or a column of a file on the hub."""
    if not scale.premises.startswith("hub:"):
        return gen.read_source(scale.premises)
    from huggingface_hub import hf_hub_download

    place, column = scale.premises.removeprefix("hub:").split("#")
    owner, name, file = place.split("/", 2)
    try:
        path = hf_hub_download(f"{owner}/{name}", file, repo_type="dataset")
    except OSError as error:
        raise Problem(
            f"the premises {place} could not be fetched ({str(error).splitlines()[0][:120]})", "check the network"
        ) from None
    return gen.read_source(path, column)


def _refuse_without_means(scale: Scale, data: Path | None) -> None:
    """The paper's scale needs a GPU, the hub, and STS-B: everything that is missing is named at once."""
    from stages.models import catalog
    from stages.models.device import device
    from stages.models.problem import Unusable

    missing = []
    try:
        device("cuda")
    except Unusable:
        missing.append("a CUDA device")
    if data is None:
        missing.append(f"--data DIR with {scale.dev} (DATA=DIR for make)")
    if not missing:  # the models are tens of gigabytes: only asked for once the rest is there
        kinds: tuple[tuple[str, catalog.Kind], ...] = (
            (scale.base, "encoder"),
            (scale.mask_model, "encoder"),
            (scale.llm, "llm"),
        )
        for name, kind in kinds:
            try:
                catalog.locate(name, kind)
            except Unusable as problem:
                missing.append(problem.what)
    if missing:
        raise Problem(f"--scale paper lacks {' and '.join(missing)}", "run it where these are, or use --scale mini")
