"""f1: what the LLM writes under plain instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multicsr.paper.claims import Said, over_items
from multicsr.paper.outcome import ExperimentOutcome, ResultTable
from multicsr.paper.read import Read, copies, rows_of, shown_score

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab


def _read(lab: Lab) -> ExperimentOutcome:
    rows = rows_of(lab, lab.scale.score(lab.scale.gen(0.0)))
    scored = [row for row in rows if row.a is not None and row.b is not None]
    copied = [row for row in rows if any(copies(row))]
    wrong = [row for row in scored if (row.a or 0) <= (row.b or 0)]
    shown = list(dict.fromkeys([*[row for row in wrong if row not in copied][:1], *copied[:1], *rows[:2]]))[:2]
    cells = [
        [row.premise, role, text, shown_score(value)]
        for row in shown
        for role, text, value in (("entailment", row.entailment, row.a), ("contradiction", row.contradiction, row.b))
    ]
    a, b = ([100 * float(value or 0) / 5 for value in side] for side in zip(*((r.a, r.b) for r in scored), strict=True))
    said: list[Said] = [
        f"Of {len(rows):,} premises {len(copied):,} have a hypothesis that copies them, and of {len(scored):,} with both"
        f" scores {len(wrong):,} have a contradiction that scores no lower than their entailment: the failures of the paper's"
        f" figure {'occur' if wrong or copied else 'do not occur'} with {lab.scale.llm}.",
        over_items(
            "The LLM's own score of what it wrote as an entailment, against a contradiction, % of the scale",
            a,
            b,
            "premises",
            claimed=False,
            says=("higher", "lower"),
        ),
    ]
    table = ResultTable(
        f"Two premises with what {lab.scale.llm} wrote under plain instructions (ω 0)",
        ("premise", "asked for", "written", "score"),
        cells,
        "score: similarity to the premise, 0 to 5, by the same LLM. ChatGPT's column of the figure needs its server.",
    )
    document = {
        "experiment": "f1",
        "premises": len(rows),
        "copied": len(copied),
        "reversed": len(wrong),
    }
    return ExperimentOutcome([table], said, document)


F1 = Read(
    "f1", "What the LLM writes under plain instructions", lambda lab: [lab.scale.score(lab.scale.gen(0.0))], _read
)
