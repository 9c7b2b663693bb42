"""An experiment whose rows are models. Arrow: declaration -> runs -> figures -> outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from multicsr.paper.claims import Claim, Said
from multicsr.paper.lab.at_hand import DEV
from multicsr.paper.lab.twins import Content
from multicsr.paper.node import Node, in_order
from multicsr.paper.outcome import ExperimentOutcome
from multicsr.paper.trained import corpora, plots
from multicsr.paper.trained.decision import decide
from multicsr.paper.trained.evidence import drawn
from multicsr.paper.trained.plots import Curve
from multicsr.paper.trained.rows import Row, RowFigures, masks
from multicsr.paper.trained.table import AVERAGE, Shape, table
from multicsr.report.measured import is_headline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab.lab import Lab
    from store.records import Run
    from store.rows.training import MetricRow


def always(*claims: Claim) -> Callable[[Lab], Sequence[Claim]]:
    """Claims that every scale can make."""
    return lambda lab: claims


@dataclass(frozen=True)
class TrainedExperiment:
    """An experiment of rows, each a model.

    The published figure called `headline` has a column where ours of that task and split are measured (None: it has none).
    `also` says what no test decides. A `timed` table tells how long the trainings took.
    """

    name: str
    title: str
    rows: Callable[[Lab], Sequence[Row]]
    tasks: Callable[[Lab], Sequence[str]] = lambda lab: lab.tasks.usual
    claims: Callable[[Lab], Sequence[Claim]] = lambda lab: ()
    curve: Curve | None = None
    headline: str | None = AVERAGE
    needs: Callable[[Lab], str | None] = lambda lab: None
    also: Callable[[Lab], Sequence[Said]] = lambda lab: ()
    remark: str = ""
    timed: bool = False

    def missing(self, lab: Lab) -> str | None:
        return self.needs(lab)

    def nodes(self, lab: Lab) -> list[Node]:
        tasks, wanted = lab.tasks.among(self.tasks(lab)), list[Node]()
        for row in self.rows(lab):
            wanted += [row.corpus] if row.corpus else []
            for model in row.models:
                wanted += [model, *lab.evals(model["base"], tasks)] if isinstance(model, Node) else []
                wanted += lab.evals(model, tasks, **row.evaluated)
        return in_order(wanted)

    def outcome(self, lab: Lab) -> ExperimentOutcome:
        rows, tasks = self.rows(lab), lab.tasks.among(self.tasks(lab))
        # Those with a mask first: where it masked nothing, the one without is the same training.
        for model in (model for row in rows for model in row.models if masks(model)):
            if isinstance(model, Node) and lab.can_train(model):
                lab.make(model)
        results = [_result(lab, row, tasks) for row in rows]
        shape = Shape(self.title, self.tasks(lab), self.headline, self.timed, self.remark)
        tables = [table(results, shape, len(lab.seeds)), *corpora.tables(lab, results)]
        # Figures by which the best checkpoints were chosen decide nothing, where there are others.
        judged = [task for task in tasks if task != f"{lab.scale.dev}{DEV}"] or tasks
        said: list[Said] = [*(decide(claim, results, judged) for claim in self.claims(lab)), *self.also(lab)]
        return ExperimentOutcome(tables, said, self._document(lab, results), lambda: self._draw(results, tasks))

    def _document(self, lab: Lab, results: Sequence[RowFigures]) -> dict[str, Any]:
        """The JSON document."""
        return {
            "experiment": self.name,
            "scale": lab.scale.name,
            "seeds": len(lab.seeds),
            "rows": [
                {
                    "setting": result.row.name,
                    "varied": dict(result.row.varied),
                    "triplets": result.triplets,
                    **corpora.document(lab, result),
                    "masked_share": result.masked,
                    "figures": result.figures,
                    "published": dict(result.row.published),
                    "runs": result.runs,
                }
                for result in results
            ],
        }

    def _draw(self, results: Sequence[RowFigures], tasks: Sequence[str]) -> Figure:
        """The figures by task, as dots or as curves."""
        return plots.dots(results, tasks) if self.curve is None else plots.curves(results, tasks, self.curve)


def _result(lab: Lab, row: Row, tasks: Sequence[str]) -> RowFigures:
    """Make what is missing of a row. Where curation left nothing to train on, that is the result: no figures."""
    from store.read.runs import seconds

    result = RowFigures(row, None, None, {task: [] for task in tasks}, [], {})
    trained: list[Run] = []
    measured: list[Node] = []
    for model in row.models:
        if isinstance(model, Node):
            if not lab.can_train(model):
                result.triplets = 0
                continue
            trained.append(lab.make(model))
        measured += lab.evals(model, tasks, **row.evaluated)
    for evaluation in measured:
        for task, head in _headlines(lab, evaluation).items():
            result.figures[task].append(head.value)
            result.counts[task] = head.n
    result.drawn = partial(drawn, lab, measured)
    result.contents = tuple(map(lab.twins.content, trained)) or (Content(f"{row.models} {dict(row.evaluated)}"),)
    for base in {model["base"] for model in row.models if isinstance(model, Node)}:
        for evaluation in lab.evals(base, tasks):
            result.base |= {task: head.value for task, head in _headlines(lab, evaluation).items()}
    if row.corpus is not None:
        lab.make(row.corpus)
    result.runs = [run.id for run in trained] or [model for model in row.models if isinstance(model, str)]
    if trained:
        result.triplets = trained[0].counts["triplets"]
    result.seconds = [seconds(lab.store, run) for run in trained]
    shares = [run.counts["masked_share"] for run, model in zip(trained, row.models, strict=False) if masks(model)]
    result.masked = sum(shares) / len(shares) if shares else None
    return result


def _headlines(lab: Lab, evaluation: Node) -> dict[str, MetricRow]:
    """The headline of each task of an evaluation."""
    from store.rows import training

    names = {name.partition(" ")[0]: name for name in evaluation["tasks"]}
    rows = training.metrics(lab.store, lab.make(evaluation))
    return {names[row.task]: row for row in rows if is_headline(row)}
