"""t1: the LLM itself as scorer of sentence pairs. Arrow: LLM -> judgement -> metric ± error, beside a trained encoder's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from multicsr.means.training_encoders import model_folder
from multicsr.paper.claims import NoVerdict, Said, at_chance, over_outcomes
from multicsr.paper.node import Node, node
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read
from multicsr.paper.scales import OMEGA
from stages.tasks.compare import Correlation, figure
from stages.tasks.sts import FEWEST_PAIRS

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from stages.tasks.sts import StsTask
    from store.records import Run

SHOWN_TASKS = ("mini", "stsb")
ASKED, BY_LIKELIHOOD = "asked", "by likelihood"  # how a row of the table is read


def _shown(lab: Lab) -> tuple[str, ...]:
    return tuple(name for name in lab.tasks.usual if name in SHOWN_TASKS)


def _readings(lab: Lab) -> dict[str, Node]:
    """Each LLM asked for a number, and by likelihood; without and with in-context examples, where its prompt set has some."""
    from stages.models import catalog
    from stages.texts import prompts

    readings = {}
    for llm in lab.scale.scorers:
        chosen = prompts.load(catalog.prompts_for(llm)[0])
        for by, name in (("prompt", ASKED), ("likelihood", BY_LIKELIHOOD)):
            for icl, shots in (("", 0), (" + ICL", chosen.shots(by))):
                if shots or not icl:
                    readings[f"{llm}, {name}{icl}"] = node("judge", model=llm, by=by, shots=shots, tasks=_shown(lab))
    return readings


def _encoders(lab: Lab) -> dict[str, Node | str]:
    scale = lab.scale
    return {
        f"{scale.backbone.base}, as it is": scale.backbone.base,
        f"{scale.backbone.base}, MultiCSR": scale.train(scale.curate(scale.gen(OMEGA)), 0),
    }


def _nodes(lab: Lab) -> list[Node]:
    evals = [each for model in _encoders(lab).values() for each in lab.evals(model, lab.tasks.usual)]
    return [*_readings(lab).values(), *evals]


def _read(lab: Lab) -> ExperimentOutcome:
    figures: dict[str, dict[str, float]] = {}
    for name, model in _encoders(lab).items():
        figures[name] = _figures(lab, lab.make(lab.evals(model, lab.tasks.usual)[0]))
    trained, model = list(_encoders(lab).items())[-1]
    said: list[Said] = []
    for name, wanted in _readings(lab).items():
        run = lab.make(wanted)
        figures[name] = _figures(lab, run)
        said += [_compared(lab, trained, model, name, run, task) for task in _shown(lab)]
    table = ResultTable(
        "The LLM itself as scorer of sentence pairs",
        ("", *_shown(lab), "paper"),
        [
            [name, *(f"{values[task]:.2f}" if task in values else UNKNOWN for task in _shown(lab)), UNKNOWN]
            for name, values in figures.items()
        ],
        "Spearman x 100 over the pairs whose reply could be read; + ICL: with the in-context examples of the"
        " prompt set, where it has some.",
    )
    return ExperimentOutcome([table], said, {"experiment": "t1", "rows": figures})


def _figures(lab: Lab, run: Run) -> dict[str, float]:
    """The headline of each task."""
    from store.rows import training

    rows = training.metrics(lab.store, run)
    return {row.task: row.value for row in rows if row.name == "spearman" and not row.subset}


def _compared(lab: Lab, trained: str, model: Node | str, name: str, run: Run, task_name: str) -> Said:
    """Whether a trained encoder is better than an LLM's own scores on the pairs that it gave one."""
    task = lab.tasks[task_name]
    gold, scores = np.concatenate([part.gold for part in task.subsets]), _scores(lab, run, task)
    given = ~np.isnan(scores)
    what = f"{trained} against {name} on {task_name}"
    if given.sum() < FEWEST_PAIRS or np.ptp(scores[given]) == 0:
        return NoVerdict(what, "no verdict: the LLM gives no scores that could be correlated")
    theirs = Correlation(scores[given], gold[given])
    if at_chance(theirs):
        return NoVerdict(
            what, f"no verdict: the LLM is at chance (Spearman {figure(theirs):+.2f}, its interval holds 0)"
        )
    return over_outcomes(what, Correlation(_cosines(lab, model, task)[given], gold[given]), theirs, "pairs")


def _scores(lab: Lab, run: Run, task: StsTask) -> np.ndarray:
    """The LLM's score of every pair, (n,); NaN where its reply could not be read."""
    from store.rows import judgements

    values = judgements.values(lab.store, run, task.name)
    places = [(part.name, place) for part in task.subsets for place in range(1, len(part.gold) + 1)]
    return np.array([values.get(place) for place in places], dtype=float)


def _cosines(lab: Lab, model: Node | str, task: StsTask) -> np.ndarray:
    """The cosine of every pair, (n,)."""
    place = model if isinstance(model, str) else str(model_folder(lab.store, lab.make(model)))
    first, second = (
        lab.encode(place, _texts(sides))
        for sides in zip(*((part.first, part.second) for part in task.subsets), strict=True)
    )
    cosines: np.ndarray = np.einsum("nd,nd->n", first, second)
    return cosines


def _texts(sides: Sequence[Sequence[str]]) -> list[str]:
    return [text for side in sides for text in side]


T1 = Read("t1", "The LLM itself as similarity scorer", _nodes, _read)
