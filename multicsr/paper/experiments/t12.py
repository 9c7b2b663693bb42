"""t12: case studies, with and without contrastive decoding, judged by another model than the one that wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from multicsr.paper.claims import Said, over_items
from multicsr.paper.node import Node
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read, changed, rows_of, shown_score
from multicsr.paper.scales import OMEGA
from stages.texts.similarity import SCALE

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.scales import Scale
    from store.read.triplets import ListedTriplet


class Written(NamedTuple):
    """What was written of a premise: `own` with the scores of the LLM that wrote it, by which it was curated; `judged` with
    the judge's."""

    own: ListedTriplet
    judged: ListedTriplet

    @property
    def margin(self) -> float | None:
        """How far the judge puts the entailment above the contradiction, % of its scale; None where it judged not both."""
        a, b = self.judged.a, self.judged.b
        return None if a is None or b is None else 100 * (a - b) / SCALE


# With contrast, and without.
Pair = tuple[Written, Written]


def _nodes(lab: Lab) -> list[Node]:
    scale = lab.scale
    return [make(scale.gen(omega)) for omega in (OMEGA, 0.0) for make in (scale.curate, scale.judgement)]


def _written(lab: Lab, omega: float) -> Mapping[int, Written]:
    """By the ids of the premises."""
    scale = lab.scale
    judged = {row.premise_id: row for row in rows_of(lab, scale.judgement(scale.gen(omega)))}
    return {
        row.premise_id: Written(row, judged[row.premise_id]) for row in rows_of(lab, scale.curate(scale.gen(omega)))
    }


def _read(lab: Lab) -> ExperimentOutcome:
    scale = lab.scale
    contrasted, plain = (_written(lab, omega) for omega in (OMEGA, 0.0))
    both = [(contrasted[id], plain[id]) for id in contrasted if id in plain]
    anew, _ = changed(*([one.own for one in some.values()] for some in (contrasted, plain)))
    margins = [(one.margin, other.margin) for one, other in both]
    told = [(one, other) for one, other in margins if one is not None and other is not None]
    ours, theirs = ([pair[place] for pair in told] for place in (0, 1))
    kept = [100 * sum(pair[place].own.verdict == "keep" for pair in both) / len(both) for place in (0, 1)]
    said: list[Said] = [
        over_items(
            f"Contrastive decoding (ω {OMEGA:g} against 0), how far {scale.judge}, which wrote none of it, puts the"
            " entailment above the contradiction, % of its scale",
            ours,
            theirs,
            "premises",
        ),
        f"By the scores of {scale.llm} itself, which wrote them, curation keeps {kept[0]:.1f} % with contrast and"
        f" {kept[1]:.1f} % without.",
        f"ω {OMEGA:g} changed a hypothesis of {anew:,} of {len(both):,} premises.",
    ]
    document = {"experiment": "t12", "judge": scale.judge, "writer": scale.llm, "premises": len(both), "changed": anew}
    return ExperimentOutcome([_table(scale, both)], said, document)


def _table(scale: Scale, both: Sequence[Pair]) -> ResultTable:
    alpha, beta, gamma = scale.thresholds
    return ResultTable(
        "Case studies",
        ("label", "original and generated sentences", f"by {scale.judge}", f"by {scale.llm} itself", "curation"),
        _cells(_cases(scale, both)),
        f"Similarity to the premise, 0 to 5, by another model than the one that wrote, and by {scale.llm}, which wrote;"
        f" curated by its own scores: kept where a ≥ {alpha:g}, b ≤ {beta:g}, a ≥ b + {gamma:g}.",
    )


def _cases(scale: Scale, both: Sequence[Pair]) -> list[Pair]:
    """Two premises that contrast kept, and one each whose plain contradiction or entailment curation would drop."""
    alpha, beta, _ = scale.thresholds
    kept = [pair for pair in both if pair[0].own.verdict == "keep"]
    cases = [
        *kept[:2],
        *[pair for pair in kept if (pair[1].own.b or 0) > beta][:1],
        *[pair for pair in kept if pair[1].own.a is not None and pair[1].own.a < alpha][:1],
    ]
    return list(dict.fromkeys(cases or both[:4]))


def _cells(cases: Sequence[Pair]) -> list[list[str]]:
    """Five lines a premise."""
    cells: list[list[str]] = []
    for contrasted, plain in cases:
        cells += [
            ["Premise", contrasted.own.premise, UNKNOWN, UNKNOWN, UNKNOWN],
            _entailed("Entailment", contrasted),
            _entailed("  w/o Stage 1", plain),
            _contradicted("Contradiction", contrasted),
            _contradicted("  w/o Stage 1", plain),
        ]
    return cells


def _entailed(label: str, written: Written) -> list[str]:
    own, judged = written
    return [label, own.entailment, shown_score(judged.a), shown_score(own.a), own.reason or own.verdict or UNKNOWN]


def _contradicted(label: str, written: Written) -> list[str]:
    own, judged = written
    return [label, own.contradiction, shown_score(judged.b), shown_score(own.b), own.reason or own.verdict or UNKNOWN]


T12 = Read("t12", "Case studies", _nodes, _read)
