"""f5: generation under each ω, judged by another model in the place of people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multicsr.paper.claims import Said, over_items
from multicsr.paper.lab.material import comma_separated
from multicsr.paper.node import Node
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read, copies, rows_of
from multicsr.paper.scales import OMEGA
from multicsr.report.blocks import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab.lab import Lab
    from store.read.triplets import ListedTriplet


@dataclass(frozen=True)
class JudgedOmega:
    """What was written under an ω: of each premise whether the judge accepts it, 0 or 100, (n,), and whether each
    hypothesis copies it, (n, 2); and the share of distinct contradictions, %."""

    omega: float
    accepted: np.ndarray
    copied: np.ndarray
    distinct: float

    @property
    def n(self) -> int:
        return len(self.accepted)


def _gen(lab: Lab, omega: float) -> Node:
    """The corpora that other experiments have are not written again."""
    scale = lab.scale
    if omega in (0.0, OMEGA):
        return scale.gen(omega)
    return scale.gen(omega, limit=min(scale.judged, scale.limit or scale.judged))


def _read(lab: Lab) -> ExperimentOutcome:
    scale = lab.scale
    written = {omega: rows_of(lab, scale.judgement(_gen(lab, omega)), scale.judged) for omega in scale.omegas}
    n = min(map(len, written.values()))
    judged = {omega: _judged(omega, rows[:n]) for omega, rows in written.items()}
    said: list[Said] = [
        f"{scale.llm} wrote, and {scale.judge} judged: another model, which wrote none of it.",
        *(
            over_items(
                f"ω {better:g} against {worse:g}, the share that {scale.judge} accepts",
                judged[better].accepted,
                judged[worse].accepted,
                "premises",
            )
            for better, worse in ((OMEGA, 0.0), (0.0, min(scale.omegas)), (OMEGA, max(scale.omegas)))
        ),
    ]
    table = ResultTable(
        f"Generation by ω, judged by {scale.judge} instead of people",
        ("ω", "accepted, %", "against ω 0", "copies x+", "copies x-", "distinct x-", "n", "paper"),
        [_cells(row, judged[0.0]) for row in judged.values()],
        f"accepted: neither hypothesis copies the premise, and the entailment is the one that {_finds(scale.judge)};"
        " ± standard error. No model judges as people do: f5-hypotheses.csv is for people to judge blind, f5-key.csv says"
        " which ω wrote what.",
    )
    rows = [
        {"omega": row.omega, "accepted": float(row.accepted.mean()), "distinct": row.distinct, "n": row.n}
        for row in judged.values()
    ]
    document = {"experiment": "f5", "judge": scale.judge, "writer": scale.llm, "rows": rows}
    return ExperimentOutcome([table], said, document, lambda: _plot(list(judged.values())), _for_people(written, n))


def _finds(judge: str) -> str:
    """What a judge goes by: an encoder cannot tell what follows from what is merely close, a classifier is made to."""
    return "it finds more similar to the premise" if judge.startswith("encoder:") else "it finds likelier to follow"


def _judged(omega: float, rows: Sequence[ListedTriplet]) -> JudgedOmega:
    """Rows with the judge's scores: no copy, and the entailment above the contradiction, is accepted."""
    from store.rows.decisions import plain

    above = np.array([row.a is not None and row.b is not None and row.a > row.b for row in rows])
    copied = np.array([copies(row) for row in rows])
    distinct = 100 * len({plain(row.contradiction) for row in rows}) / len(rows)
    return JudgedOmega(omega, 100.0 * (above & ~copied.any(axis=1)), copied, distinct)


def _cells(row: JudgedOmega, base: JudgedOmega) -> list[str]:
    error = row.accepted.std(ddof=1) / np.sqrt(row.n) if row.n > 1 else 0.0
    return [
        f"{row.omega:g}",
        f"{row.accepted.mean():.1f} ± {error:.1f}",
        f"{row.accepted.mean() - base.accepted.mean():+.1f}",
        *(f"{share:.1f} %" for share in 100 * row.copied.mean(axis=0)),
        f"{row.distinct:.1f} %",
        f"{row.n:,}",
        UNKNOWN,
    ]


def _for_people(written: Mapping[float, Sequence[ListedTriplet]], n: int) -> dict[str, str]:
    """The hypotheses in an order that tells nothing, and the key to it."""
    rows = [
        (_blind(omega, row, role), omega, (row.premise, role, text, ""))
        for omega, triplets in written.items()
        for row in triplets[:n]
        for role, text in (("entailment", row.entailment), ("contradiction", row.contradiction))
    ]
    rows.sort(key=lambda row: row[0])
    asked = ("id", "premise", "asked for", "hypothesis", "right (1 or 0)")
    return {
        "f5-hypotheses.csv": comma_separated(asked, [(id, *cells) for id, _, cells in rows]),
        "f5-key.csv": comma_separated(("id", "omega"), [(id, omega) for id, omega, _ in rows]),
    }


def _blind(omega: float, row: ListedTriplet, role: str) -> str:
    """A name that does not tell the ω."""
    return hashlib.blake2b(f"{omega}/{row.premise_id}/{role}".encode(), digest_size=6).hexdigest()


def _plot(judged: Sequence[JudgedOmega]) -> Figure:
    """What the judge accepts, and what it cannot see: contradictions that are the same for many premises."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3), layout="constrained")
    axes = figure.subplots()
    rows = sorted(judged, key=lambda row: row.omega)
    omegas = [row.omega for row in rows]
    axes.errorbar(
        omegas,
        [row.accepted.mean() for row in rows],
        [row.accepted.std() / np.sqrt(row.n) for row in rows],
        color=COLOURS["first"],
        marker="o",
        markersize=4,
        capsize=3,
        label="accepted by the judge",
    )
    axes.plot(
        omegas,
        [row.distinct for row in rows],
        color=COLOURS["second"],
        linestyle="--",
        marker="s",
        markersize=3,
        label="distinct x-",
    )
    axes.set(xlabel="ω", ylabel="% of premises")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def _nodes(lab: Lab) -> list[Node]:
    return [lab.scale.judgement(_gen(lab, omega)) for omega in lab.scale.omegas]


F5 = Read("f5", "Effect of ω on generation", _nodes, _read)
