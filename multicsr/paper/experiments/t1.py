"""t1: the LLM itself as scorer of sentence pairs. Arrow: LLM -> judgement -> metric ± error, beside trained encoders'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from multicsr.means.training_encoders import model_folder
from multicsr.paper.claims import NoVerdict, Said, Tested, at_chance, too_few
from multicsr.paper.experiments.baselines import STS, all_sts, known, multicsr, simcse
from multicsr.paper.node import Node, node
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable, mean
from multicsr.paper.read import Read
from multicsr.paper.trained.table import AVERAGE
from stages.tasks import hierarchy
from stages.tasks.compare import Correlation, chance
from stages.tasks.hierarchy import Effect
from stages.tasks.sts import FEWEST_PAIRS

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from stages.tasks.sts import StsTask

ASKED, BY_LIKELIHOOD = "asked", "by likelihood"  # how a row of the table is read
ICL = " + ICL"  # behind it: with in-context examples

TRAINED = "MultiCSR"  # whose encoders the claims are about

# Of a task: a score for every pair, (n,); NaN where there is none.
Scores = Mapping[str, np.ndarray]

# Of every row: its figures by task, one a seed of its model.
Figures = Mapping[str, Mapping[str, Sequence[float]]]


def _tasks(lab: Lab) -> tuple[str, ...]:
    """The scale's, or every STS task at hand; test splits."""
    return lab.tasks.among(lab.scale.scored or [name for name in all_sts(lab) if " " not in name])


def _readings(lab: Lab) -> dict[str, Node]:
    """Each LLM asked for a number, and by likelihood; without and with in-context examples, where its prompt set has some."""
    from stages.models import catalog
    from stages.texts import prompts

    readings = {}
    for llm in lab.scale.scorers:
        chosen = prompts.load(catalog.prompts_for(llm)[0])
        for by, name in (("prompt", ASKED), ("likelihood", BY_LIKELIHOOD)):
            for icl, shots in (("", 0), (ICL, chosen.shots(by))):
                if shots or not icl:
                    readings[f"{llm}, {name}{icl}"] = node("judge", model=llm, by=by, shots=shots, tasks=_tasks(lab))
    return readings


def _encoders(lab: Lab) -> dict[str, tuple[Node | str, ...]]:
    """The base alone, and what contrastive learning makes of it: a training a seed."""
    return {"as it is": (lab.scale.backbone.base,), "SimCSE unsup.": simcse(lab), TRAINED: multicsr(lab)}


def _nodes(lab: Lab) -> list[Node]:
    models = [model for several in _encoders(lab).values() for model in several]
    return [*_readings(lab).values(), *(each for model in models for each in lab.evals(model, _tasks(lab)))]


def _read(lab: Lab) -> ExperimentOutcome:
    backbone = lab.scale.backbone
    figures: dict[str, dict[str, list[float]]] = {}
    published: dict[str, float] = {}
    for method, models in _encoders(lab).items():
        name = f"{backbone.base}, {method}"
        figures[name] = _figures(lab, [each for model in models for each in lab.evals(model, _tasks(lab))])
        theirs = known("sts", backbone.published, method)
        published |= {name: theirs[AVERAGE]} if AVERAGE in theirs else {}
    figures |= {name: _figures(lab, [wanted]) for name, wanted in _readings(lab).items()}
    said = _said(lab)
    document = {"experiment": "t1", "rows": {name: _means(row) for name, row in figures.items()}}
    return ExperimentOutcome([_table(_tasks(lab), figures, published)], said, document)


def _figures(lab: Lab, evaluations: Sequence[Node]) -> dict[str, list[float]]:
    """The headline of each task, one of each evaluation that measured it."""
    from store.rows import training

    figures: dict[str, list[float]] = {}
    for wanted in evaluations:
        for row in training.metrics(lab.store, lab.make(wanted)):
            if row.name == "spearman" and not row.subset:
                figures.setdefault(row.task, []).append(row.value)
    return figures


def _means(row: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {task: float(np.mean(values)) for task, values in row.items()}


def _table(tasks: Sequence[str], figures: Figures, published: Mapping[str, float]) -> ResultTable:
    averaged = set(STS) <= set(tasks)
    rows = [
        [
            name,
            *(mean(row.get(task, ())) for task in tasks),
            *([mean(_averages(row))] if averaged else []),
            f"{published[name]:.2f}" if name in published else UNKNOWN,
        ]
        for name, row in figures.items()
    ]
    return ResultTable(
        "The LLM itself as scorer of sentence pairs",
        ("", *tasks, *([AVERAGE] if averaged else []), f"paper: {AVERAGE}"),
        rows,
        f"Spearman x 100 over the pairs whose reply could be read;{ICL}: with the in-context examples of the prompt set,"
        " where it has some. Of trained encoders the mean ± standard deviation over seeds.",
    )


def _averages(row: Mapping[str, Sequence[float]]) -> list[float]:
    """The mean over the seven tasks, one a seed; none where a task has no figure."""
    columns = [row.get(task, ()) for task in STS]
    return [float(np.mean(values)) for values in zip(*columns, strict=True)] if all(columns) else []


def _said(lab: Lab) -> list[Said]:
    """Whether a trained encoder beats each reading of an LLM, and whether in-context examples help the LLM."""
    scores = {name: _scores(lab, lab.make(wanted).id) for name, wanted in _readings(lab).items()}
    cosines = [_cosines(lab, model) for model in _encoders(lab)[TRAINED]]
    base = lab.scale.backbone.base
    said = [_against(lab, f"{base}, {TRAINED}, against {name}", cosines, theirs) for name, theirs in scores.items()]
    for name, shown in scores.items():
        if name.endswith(ICL):
            without = name.removesuffix(ICL)
            said.append(_icl(lab, f"In-context examples for {without}", shown, scores[without]))
    return said


def _against(lab: Lab, what: str, ours: Sequence[Scores], theirs: Scores) -> Said:
    """One claim over all tasks, whose seeds and pairs are drawn anew together."""
    drawn = _drawn(lab, theirs, theirs)
    if drawn is None:
        return NoVerdict(what, "no verdict: the LLM gives no scores that could be correlated")
    if at_chance(drawn[1:]):
        return NoVerdict(what, f"no verdict: the LLM is at chance (Spearman {drawn[0]:+.2f}, its interval holds 0)")
    if (few := too_few(len(ours), "seeds")) is not None:
        return NoVerdict(what, few)
    differences = np.stack([one - drawn for each in ours if (one := _drawn(lab, each, theirs)) is not None], axis=1)
    effect = hierarchy.bootstrap(differences)
    return Tested(what, effect, f"{len(ours)} seeds, {_counted(lab, theirs)}")


def _icl(lab: Lab, what: str, shown: Scores, without: Scores) -> Said:
    """Over the pairs that have a score both ways."""
    both = {task: np.where(np.isnan(without[task]), np.nan, shown[task]) for task in shown}
    with_icl, plain = _drawn(lab, shown, both), _drawn(lab, without, both)
    if with_icl is None or plain is None:
        return NoVerdict(what, "no verdict: the LLM gives no scores that could be correlated")
    differences = with_icl - plain
    drawn = differences[1:][np.isfinite(differences[1:])]
    return Tested(what, Effect(float(differences[0]), *chance(drawn)), _counted(lab, both), claimed=False)


def _drawn(lab: Lab, scores: Scores, given: Scores) -> np.ndarray | None:
    """The mean over tasks of Spearman x 100, of all pairs that are `given` a score and of each draw of them, (1 + r,); None
    where a task has too few, or all the same."""
    parts = []
    for name in _tasks(lab):
        there = ~np.isnan(given[name])
        predicted = scores[name][there]
        if len(predicted) < FEWEST_PAIRS or np.ptp(predicted) == 0:
            return None
        parts.append(hierarchy.resampled(Correlation(predicted, _gold(lab.tasks[name])[there]), name))
    drawn: np.ndarray = np.mean(parts, axis=0)
    return drawn


def _counted(lab: Lab, given: Scores) -> str:
    pairs = sum(int((~np.isnan(given[name])).sum()) for name in _tasks(lab))
    return f"{pairs:,} pairs of {', '.join(_tasks(lab))}"


def _gold(task: StsTask) -> np.ndarray:
    return np.concatenate([np.asarray(part.gold, dtype=float) for part in task.subsets])


def _scores(lab: Lab, run: str) -> Scores:
    """The LLM's score of every pair; NaN where its reply could not be read."""
    from store.rows import judgements

    scores = {}
    for name in _tasks(lab):
        values = judgements.values(lab.store, lab.store.run(run), name)
        places = [(part.name, place) for part in lab.tasks[name].subsets for place in range(1, len(part.gold) + 1)]
        scores[name] = np.array([values.get(place) for place in places], dtype=float)
    return scores


def _cosines(lab: Lab, model: Node | str) -> Scores:
    """The cosine of every pair."""
    place = model if isinstance(model, str) else str(model_folder(lab.store, lab.make(model)))
    cosines = {}
    for name in _tasks(lab):
        parts = lab.tasks[name].subsets
        first, second = (
            lab.encode(place, [text for part in parts for text in getattr(part, side)]) for side in ("first", "second")
        )
        cosines[name] = np.einsum("nd,nd->n", first, second)
    return cosines


T1 = Read("t1", "The LLM itself as similarity scorer", _nodes, _read)
