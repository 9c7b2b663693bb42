"""t12: case studies, with and without contrastive decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multicsr.paper.claims import Said, over_items
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read, changed, rows_of, shown_score
from multicsr.paper.scales import OMEGA

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.scales import Scale
    from store.read.triplets import ListedTriplet

    # What was written of a premise with contrast, and without.
    Pair = tuple[ListedTriplet, ListedTriplet]


def _read(lab: Lab) -> ExperimentOutcome:
    scale = lab.scale
    rows, others = (rows_of(lab, scale.curate(scale.gen(omega))) for omega in (OMEGA, 0.0))
    with_contrast, without = ({row.premise_id: row for row in some} for some in (rows, others))
    both = [(with_contrast[id], without[id]) for id in with_contrast if id in without]
    ours, theirs = ([100.0 * (pair[place].verdict == "keep") for pair in both] for place in (0, 1))
    anew, _ = changed(rows, others)
    said: list[Said] = [
        over_items(
            f"Contrastive decoding (ω {OMEGA:g} against 0), the share that curation keeps", ours, theirs, "premises"
        ),
        f"ω {OMEGA:g} changed a hypothesis of {anew:,} of {len(both):,} premises.",
    ]
    alpha, beta, gamma = scale.thresholds
    table = ResultTable(
        "Case studies",
        ("label", "original and generated sentences", "similarity", "curation"),
        _cells(_cases(scale, both)),
        f"similarity to the premise by {scale.llm} itself, 0 to 5;"
        f" kept where a ≥ {alpha:g}, b ≤ {beta:g}, a ≥ b + {gamma:g}.",
    )
    document = {"experiment": "t12", "premises": len(both), "changed": anew}
    return ExperimentOutcome([table], said, document)


def _cases(scale: Scale, both: Sequence[Pair]) -> list[Pair]:
    """Two premises that contrast kept, and one each whose plain contradiction or entailment curation would drop."""
    alpha, beta, _ = scale.thresholds
    kept = [pair for pair in both if pair[0].verdict == "keep"]
    cases = [
        *kept[:2],
        *[pair for pair in kept if (pair[1].b or 0) > beta][:1],
        *[pair for pair in kept if pair[1].a is not None and pair[1].a < alpha][:1],
    ]
    return list(dict.fromkeys(cases or both[:4]))


def _cells(cases: Sequence[Pair]) -> list[list[str]]:
    """Five lines a premise."""
    cells: list[list[str]] = []
    for contrasted, plain in cases:
        ours, theirs = (row.reason or row.verdict or UNKNOWN for row in (contrasted, plain))
        cells += [
            ["Premise", contrasted.premise, UNKNOWN, UNKNOWN],
            ["Entailment", contrasted.entailment, shown_score(contrasted.a), ours],
            ["  w/o Stage 1", plain.entailment, shown_score(plain.a), theirs],
            ["Contradiction", contrasted.contradiction, shown_score(contrasted.b), ours],
            ["  w/o Stage 1", plain.contradiction, shown_score(plain.b), theirs],
        ]
    return cells


T12 = Read("t12", "Case studies", lambda lab: [lab.scale.curate(lab.scale.gen(omega)) for omega in (OMEGA, 0.0)], _read)
