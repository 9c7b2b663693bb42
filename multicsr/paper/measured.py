"""Experiments whose rows are models: trained, measured, compared. Arrow: declaration -> runs -> figures -> outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr.measured import is_headline
from multicsr.paper import plots
from multicsr.paper.claims import TRAININGS, verdict
from multicsr.paper.outcome import UNKNOWN, Outcome, Table, mean
from multicsr.paper.plan import Node, in_order
from multicsr.paper.plots import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab import Lab
    from store.read.figures import Written
    from store.records import Run

AVERAGE = "average"


@dataclass(frozen=True)
class Row:
    """A row of the table. `models`: a training a seed, or the name of a model as it is. `varied` is what claims pair rows
    by; a row without takes part in none. `corpus` is a curate node that tells what the models learned from."""

    name: str
    models: tuple[Node | str, ...]
    varied: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    corpus: Node | None = None
    evaluated: Mapping[str, Any] = field(default_factory=dict)  # how: whitened, by another pooler
    as_paper: str = ""  # whose figures are published, where it is not this very row


@dataclass(frozen=True)
class Claim:
    """The paper says (unless it does not: `claimed`) that rows whose `field` is `better` are better than those that differ
    from them in it alone. It speaks of rows whose varied fields `among` accepts."""

    what: str
    field: str
    better: Any
    worse: Any
    claimed: bool = True
    among: Callable[[Mapping[str, Any]], bool] = lambda varied: True


def always(*claims: Claim) -> Callable[[Lab], Sequence[Claim]]:
    """Claims that every scale can make."""
    return lambda lab: claims


@dataclass
class Measured:
    """A row with its figures by task, one a seed."""

    row: Row
    triplets: int | None
    masked: float | None
    figures: dict[str, list[float]]
    runs: list[str]
    counts: dict[str, int]  # the items behind each task's figures
    seconds: list[float] = field(default_factory=list)  # that each training took


@dataclass(frozen=True)
class Trained:
    """An experiment of such rows."""

    name: str
    title: str
    rows: Callable[[Lab], Sequence[Row]]
    tasks: Callable[[Lab], Sequence[str]] = lambda lab: lab.usual
    claims: Callable[[Lab], Sequence[Claim]] = lambda lab: ()
    curve: Curve | None = None
    headline: str | None = AVERAGE  # the published figure in a column beside ours; None: there is no such table
    needs: Callable[[Lab], str | None] = lambda lab: None
    also: Callable[[Lab], Sequence[str]] = lambda lab: ()  # further sentences, which no test decides
    remark: str = ""
    timed: bool = False  # whether the table tells how long the trainings took

    def missing(self, lab: Lab) -> str | None:
        return self.needs(lab)

    def nodes(self, lab: Lab) -> list[Node]:
        found: list[Node] = []
        for row in self.rows(lab):
            found += [row.corpus] if row.corpus else []
            for model in row.models:
                found += [model] if isinstance(model, Node) else []
                found += lab.evals(model, lab.there(self.tasks(lab)), **row.evaluated)
        return in_order(found)

    def outcome(self, lab: Lab) -> Outcome:
        rows = self.rows(lab)
        # Those with a mask first: where it masked nothing, the one without is the same training.
        for model in (model for row in rows for model in row.models if _masks(model)):
            if isinstance(model, Node) and lab.can_train(model):
                lab.make(model)
        measured = [self.measure(lab, row) for row in rows]
        tables = [self.table(lab, measured), *_corpora(lab, measured)]
        said = [sentence(claim, measured, lab.there(self.tasks(lab))) for claim in self.claims(lab)]
        said += self.also(lab)
        return Outcome(tables, said, self.document(lab, measured, said), lambda: self.draw(lab, measured))

    def measure(self, lab: Lab, row: Row) -> Measured:
        """Make what is missing of a row. Where curation left nothing to train on, that is the result: no figures."""
        from store.read.runs import seconds

        tasks = lab.there(self.tasks(lab))
        found = Measured(row, None, None, {task: [] for task in tasks}, [], {})
        trained: list[Run] = []
        for model in row.models:
            if isinstance(model, Node):
                if not lab.can_train(model):
                    found.triplets = 0
                    continue
                trained.append(lab.make(model))
            for evaluation in lab.evals(model, tasks, **row.evaluated):
                _add_figures(found, lab, lab.make(evaluation), evaluation["tasks"])
        if row.corpus is not None:
            lab.make(row.corpus)
        found.runs = [run.id for run in trained] or [model for model in row.models if isinstance(model, str)]
        if trained:
            found.triplets = trained[0].counts["triplets"]
        found.seconds = [seconds(lab.store, run) for run in trained]
        shares = [run.counts["masked_share"] for run, model in zip(trained, row.models, strict=False) if _masks(model)]
        found.masked = sum(shares) / len(shares) if shares else None
        return found

    def table(self, lab: Lab, measured: Sequence[Measured]) -> Table:
        """Ours, and beside it what is published; a row with more published figures than one has a line of them."""
        tasks = self.tasks(lab)
        averaged = _averaged(tasks)
        has_trained = any(one.triplets is not None for one in measured)
        about = ["triplets", "masked", *(["seconds"] if self.timed else [])] if has_trained else []
        columns = ["", *about, *tasks, *([AVERAGE] if averaged else [])]
        rows: list[list[str]] = []
        for one in measured:
            cells = [mean(one.figures.get(task, [])) for task in tasks]
            training = [_count(one.triplets), _share(one.masked), mean(one.seconds)][: len(about)]
            average = [mean(_averages(one, averaged))] if averaged else []
            known = one.row.published
            lines = len(known) > 1
            beside = [] if self.headline is None else [UNKNOWN if lines else _figure(known.get(self.headline))]
            rows.append([one.row.name, *training, *cells, *average, *beside])
            if lines and self.headline is not None:
                cells = [_figure(known.get(task)) for task in (*tasks, *([AVERAGE] if averaged else []))]
                empty = [UNKNOWN] * len(training)
                rows.append(
                    [f"  paper: {one.row.as_paper or one.row.name}", *empty, *cells, _figure(known.get(self.headline))]
                )
        columns += [] if self.headline is None else [f"paper: {self.headline}"]
        caption = (
            f"x 100, mean ± standard deviation over n = {len(lab.seeds)} seeds;"
            f" masked: share of negatives that the mask removed. {_odd_sizes(measured)}{self.remark}"
        )
        return Table(self.title, columns, rows, caption.strip())

    def document(self, lab: Lab, measured: Sequence[Measured], said: Sequence[str]) -> dict[str, Any]:
        """The JSON document."""
        return {
            "experiment": self.name,
            "scale": lab.scale.name,
            "seeds": len(lab.seeds),
            "rows": [
                {
                    "setting": one.row.name,
                    "varied": dict(one.row.varied),
                    "triplets": one.triplets,
                    **_corpus_document(lab, one),
                    "masked_share": one.masked,
                    "figures": one.figures,
                    "published": dict(one.row.published),
                    "runs": one.runs,
                }
                for one in measured
            ],
            "sentences": list(said),
        }

    def draw(self, lab: Lab, measured: Sequence[Measured]) -> Figure:
        """The figures by task, as dots or as curves."""
        tasks = lab.there(self.tasks(lab))
        return plots.dots(measured, tasks) if self.curve is None else plots.curves(measured, tasks, self.curve)


def sentence(claim: Claim, measured: Sequence[Measured], tasks: Sequence[str]) -> str:
    """Whether a claim holds on each task: matched trainings differ in its field alone, and share a seed."""
    arms = {task: _matched(claim, measured, task) for task in tasks}
    return verdict(claim.what, arms, TRAININGS, claim.claimed)


def _matched(claim: Claim, measured: Sequence[Measured], task: str) -> tuple[list[float], list[float]]:
    """The figures of both arms, seed by seed. Rows that differ in nothing a claim knows are one arm: their mean.

    A pair of the same trainings counts once: a mask that removes nothing trains twice alike, and counting both would make
    any difference look surer than it is.
    """
    rows: dict[Varied, dict[tuple[str, ...], list[float]]] = {}
    for one in measured:
        if claim.field in one.row.varied and claim.among(one.row.varied) and one.figures[task]:
            rows.setdefault(_key(one.row.varied), {})[tuple(one.runs)] = one.figures[task]
    means = {key: np.mean(list(arm.values()), axis=0).tolist() for key, arm in rows.items()}
    pairs: dict[tuple[frozenset[tuple[str, ...]], ...], tuple[list[float], list[float]]] = {}
    for key, figures in means.items():
        other = _key({**dict(key), claim.field: claim.worse})
        if dict(key)[claim.field] == claim.better and other in means:
            pairs[frozenset(rows[key]), frozenset(rows[other])] = figures, means[other]
    better, worse = ([value for pair in pairs.values() for value in pair[place]] for place in (0, 1))
    return better, worse


Varied = tuple[tuple[str, Any], ...]


def _key(varied: Mapping[str, Any]) -> Varied:
    return tuple(sorted(varied.items()))


def _add_figures(found: Measured, lab: Lab, run: Run, tasks: Sequence[str]) -> None:
    from store.rows import training

    names = {name.partition(" ")[0]: name for name in tasks}
    for row in training.metrics(lab.store, run):
        if is_headline(row) and row.task in names:
            found.figures[names[row.task]].append(row.value)
            found.counts[names[row.task]] = row.n


def _masks(model: Node | str) -> bool:
    return isinstance(model, Node) and model["mask_model"] not in (None, "none")


def _corpora(lab: Lab, measured: Sequence[Measured]) -> list[Table]:
    """What the LLM wrote in each corpus, and how much of it is kept."""
    corpora = dict.fromkeys(one.row.corpus for one in measured if one.row.corpus is not None)
    rows = []
    for corpus in corpora:
        written, ordered, kept = _corpus(lab, corpus)
        shares = (*written[1:], ordered)
        rows.append(
            [_corpus_name(corpus), f"{written.premises:,}", *(f"{100 * share:.1f} %" for share in shares), f"{kept:,}"]
        )
    if not rows:
        return []
    columns = ("corpus", "premises", "copies x+", "copies x-", "distinct x-", "a > b", "kept")
    caption = (
        "x+ entailment, x- contradiction; copies of the premise (case and punctuation aside) and distinct contradictions are"
        " shares of all premises; a > b: share of scored premises whose entailment scores above its contradiction; kept:"
        " triplets left by curation."
    )
    return [Table("What the LLM wrote", columns, rows, caption)]


def _corpus(lab: Lab, corpus: Node) -> tuple[Written, float, int]:
    from store.read import figures

    score, gen = corpus.ancestor("score"), corpus.ancestor("gen")
    assert score is not None
    assert gen is not None
    written, means = figures.written(lab.store, lab.make(gen)), figures.averages(lab.store, lab.make(score))
    return written, means.ordered if means else 0.0, lab.make(corpus).counts["kept"]


def _corpus_document(lab: Lab, one: Measured) -> dict[str, Any]:
    if one.row.corpus is None:
        return {"corpus": None, "ordered_share": None, "kept": None}
    written, ordered, kept = _corpus(lab, one.row.corpus)
    return {"corpus": written._asdict(), "ordered_share": ordered, "kept": kept}


def _corpus_name(corpus: Node) -> str:
    gen = corpus.ancestor("gen")
    assert gen is not None
    shown = f", L {gen['shots']}, λ {gen['min_similarity']:g}" if gen["demonstrations"] else ""
    return f"ω {gen['omega']:g}{shown}"


def _averaged(tasks: Sequence[str]) -> tuple[str, ...]:
    """The group of tasks that `tasks` hold all of."""
    from stages.tasks import registry

    return next((names for names in registry.GROUPS.values() if set(names) <= set(tasks)), ())


def _averages(one: Measured, names: Sequence[str]) -> list[float]:
    """The mean over a whole group, one a seed; of fewer tasks it would be another number."""
    columns = [one.figures.get(name, []) for name in names]
    if not columns or not all(columns):
        return []
    return [float(np.mean(values)) for values in zip(*columns, strict=True)]


def _odd_sizes(measured: Sequence[Measured]) -> str:
    from stages.public.published import PAIRS

    sizes = {task: count for one in measured for task, count in one.counts.items() if PAIRS.get(task, count) != count}
    return "".join(
        f"{task} has {count:,} pairs here, not {PAIRS[task]:,}: another number. " for task, count in sizes.items()
    )


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f} %"


def _figure(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"
