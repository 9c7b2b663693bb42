"""The experiments that read what an LLM wrote: f1, t12, f5, f7. Arrow: hypotheses, decisions -> table, plot, sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from multicsr.paper.claims import PREMISES, SIGNIFICANT, chance, verdict
from multicsr.paper.outcome import UNKNOWN, Outcome, Table, comma_separated
from multicsr.paper.plan import Node
from multicsr.paper.read import Read, changed, rows_of
from multicsr.paper.scales import OMEGA
from multicsr.report.blocks import COLOURS
from stages.tasks.metrics import paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab import Lab
    from store.read.triplets import ListedTriplet


def _copies(row: ListedTriplet) -> tuple[bool, bool]:
    """Whether each hypothesis copies its premise, case and punctuation aside."""
    from store.rows.decisions import plain

    return plain(row.entailment) == plain(row.premise), plain(row.contradiction) == plain(row.premise)


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"


def _f1(lab: Lab) -> Outcome:
    rows = rows_of(lab, lab.scale.score(lab.scale.gen(0.0)))
    scored = [row for row in rows if row.a is not None and row.b is not None]
    reversed_ = [row for row in scored if (row.a or 0) <= (row.b or 0) and not any(_copies(row))]
    copied = [row for row in rows if any(_copies(row))]
    shown = list(dict.fromkeys([*reversed_[:1], *copied[:1], *rows[:2]]))[:2]
    cells = [
        [row.premise, role, text, _score(value)]
        for row in shown
        for role, text, value in (("entailment", row.entailment, row.a), ("contradiction", row.contradiction, row.b))
    ]
    wrong = len([row for row in scored if (row.a or 0) <= (row.b or 0)])
    a, b = (
        [100 * float(value or 0) / 5 for value in values]
        for values in zip(*((row.a, row.b) for row in scored), strict=True)
    )
    above = verdict(
        "To be asked for an entailment instead of a contradiction", {"its own score": (a, b)}, PREMISES, claimed=False
    )
    said = [
        f"Of {len(rows):,} premises {len(copied):,} have a hypothesis that copies them, and of {len(scored):,} with both"
        f" scores {wrong:,} have a contradiction that scores no lower than their entailment: the failures of the paper's"
        f" figure {'occur' if wrong or copied else 'do not occur'} with {lab.scale.llm}.",
        above,
    ]
    table = Table(
        f"Two premises with what {lab.scale.llm} wrote under plain instructions (ω 0)",
        ("premise", "asked for", "written", "score"),
        cells,
        "score: similarity to the premise, 0 to 5, by the same LLM. ChatGPT's column of the figure needs its server.",
    )
    document = {"experiment": "f1", "premises": len(rows), "copied": len(copied), "reversed": wrong, "sentences": said}
    return Outcome([table], said, document)


def _t12(lab: Lab) -> Outcome:
    scale = lab.scale
    rows, others = (rows_of(lab, scale.curate(scale.gen(omega))) for omega in (OMEGA, 0.0))
    with_contrast, without = ({row.premise_id: row for row in some} for some in (rows, others))
    both = [(with_contrast[id], without[id]) for id in with_contrast if id in without]
    alpha, beta, gamma = scale.thresholds
    kept = [pair for pair in both if pair[0].verdict == "keep"]
    cases = [
        *kept[:2],
        *[pair for pair in kept if (pair[1].b or 0) > beta][:1],
        *[pair for pair in kept if pair[1].a is not None and pair[1].a < alpha][:1],
    ]
    cells: list[list[str]] = []
    for one, other in dict.fromkeys(cases or both[:4]):
        cells += [
            ["Premise", one.premise, UNKNOWN, UNKNOWN],
            ["Entailment", one.entailment, _score(one.a), one.reason or one.verdict or UNKNOWN],
            ["  w/o Stage 1", other.entailment, _score(other.a), other.reason or other.verdict or UNKNOWN],
            ["Contradiction", one.contradiction, _score(one.b), one.reason or one.verdict or UNKNOWN],
            ["  w/o Stage 1", other.contradiction, _score(other.b), other.reason or other.verdict or UNKNOWN],
        ]
    ours, theirs = ([100.0 * (pair[place].verdict == "keep") for pair in both] for place in (0, 1))
    anew, _ = changed(rows, others)
    said = [
        verdict(
            f"Contrastive decoding (ω {OMEGA:g} against 0)", {"the share that curation keeps": (ours, theirs)}, PREMISES
        ),
        f"ω {OMEGA:g} changed a hypothesis of {anew:,} of {len(both):,} premises.",
    ]
    table = Table(
        "Case studies",
        ("label", "original and generated sentences", "similarity", "curation"),
        cells,
        f"similarity to the premise by {scale.llm} itself, 0 to 5;"
        f" kept where a ≥ {alpha:g}, b ≤ {beta:g}, a ≥ b + {gamma:g}.",
    )
    document = {"experiment": "t12", "premises": len(both), "changed": anew, "sentences": said}
    return Outcome([table], said, document)


def _omega_gen(lab: Lab, omega: float) -> Node:
    """The corpora that other experiments have are not written again."""
    scale = lab.scale
    if omega in (0.0, OMEGA):
        return scale.gen(omega)
    return scale.gen(omega, limit=min(scale.judged, scale.limit or scale.judged))


def _judged(lab: Lab, rows: Sequence[ListedTriplet]) -> np.ndarray:
    """Whether the judge accepts each triplet, 1.0 or 0.0, (n,): no copy, and cos(x, x+) above cos(x, x-)."""
    texts = [text for row in rows for text in (row.premise, row.entailment or " ", row.contradiction or " ")]
    vectors = lab.encode(lab.scale.backbone.mask_model, texts).reshape(len(rows), 3, -1)
    nearer = np.einsum("nd,nd->n", vectors[:, 0], vectors[:, 1]) > np.einsum("nd,nd->n", vectors[:, 0], vectors[:, 2])
    good: np.ndarray = nearer & ~np.array([any(_copies(row)) for row in rows])
    return good.astype(float)


def _f5(lab: Lab) -> Outcome:
    from store.rows.decisions import plain

    scale, judge = lab.scale, lab.scale.backbone.mask_model
    wrote = {omega: rows_of(lab, _omega_gen(lab, omega), scale.judged) for omega in scale.omegas}
    accepted = {omega: 100 * _judged(lab, rows) for omega, rows in wrote.items()}
    n = min(map(len, accepted.values()))
    base = accepted[0.0][:n].mean()
    cells, distinct = [], dict[float, float]()
    for omega, rows in wrote.items():
        values, copies = accepted[omega][:n], [_copies(row) for row in rows[:n]]
        distinct[omega] = 100 * len({plain(row.contradiction) for row in rows[:n]}) / n
        shares = (100 * float(np.mean([one[place] for one in copies])) for place in (0, 1))
        error = values.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
        cells.append(
            [
                f"{omega:g}",
                f"{values.mean():.1f} ± {error:.1f}",
                f"{values.mean() - base:+.1f}",
                *(f"{share:.1f} %" for share in shares),
                f"{distinct[omega]:.1f} %",
                f"{n:,}",
                UNKNOWN,
            ]
        )
    said = [
        verdict(
            f"ω {better:g} against {worse:g}",
            {f"the share that {judge} accepts": (list(accepted[better][:n]), list(accepted[worse][:n]))},
            PREMISES,
        )
        for better, worse in ((OMEGA, 0.0), (0.0, min(scale.omegas)), (OMEGA, max(scale.omegas)))
    ]
    table = Table(
        f"Generation by ω, judged by the similarity model {judge} instead of people",
        ("ω", "accepted, %", "against ω 0", "copies x+", "copies x-", "distinct x-", "n", "paper"),
        cells,
        "accepted: neither hypothesis copies the premise, and the entailment is the more similar one; ± standard error."
        " A similarity model cannot tell what follows from what is merely close: f5-hypotheses.csv is for people to judge"
        " blind, f5-key.csv says which ω wrote what.",
    )
    document = {
        "experiment": "f5",
        "judge": judge,
        "rows": [
            {"omega": omega, "accepted": float(values[:n].mean()), "distinct": distinct[omega], "n": n}
            for omega, values in accepted.items()
        ],
        "sentences": said,
    }
    return Outcome([table], said, document, lambda: _f5_plot(accepted, distinct, n), _for_people(wrote, n))


def _for_people(wrote: dict[float, list[ListedTriplet]], n: int) -> dict[str, str]:
    """The hypotheses in an order that tells nothing, and the key to it."""
    rows = [
        (
            hashlib.blake2b(f"{omega}/{row.premise_id}/{role}".encode(), digest_size=6).hexdigest(),
            omega,
            role,
            row,
            text,
        )
        for omega, written in wrote.items()
        for row in written[:n]
        for role, text in (("entailment", row.entailment), ("contradiction", row.contradiction))
    ]
    rows.sort(key=lambda one: one[0])
    blind = [(id, row.premise, role, text, "") for id, _, role, row, text in rows]
    return {
        "f5-hypotheses.csv": comma_separated(("id", "premise", "asked for", "hypothesis", "right (1 or 0)"), blind),
        "f5-key.csv": comma_separated(("id", "omega"), [(id, omega) for id, omega, *_ in rows]),
    }


def _f5_plot(accepted: dict[float, np.ndarray], distinct: dict[float, float], n: int) -> Figure:
    """What the judge accepts, and what it cannot see: contradictions that are the same for many premises."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3), layout="constrained")
    axes = figure.subplots()
    omegas = sorted(accepted)
    values = [accepted[omega][:n] for omega in omegas]
    axes.errorbar(
        omegas,
        [one.mean() for one in values],
        [one.std() / np.sqrt(n) for one in values],
        color=COLOURS["first"],
        marker="o",
        markersize=4,
        capsize=3,
        label="accepted by the judge",
    )
    shown = [distinct[omega] for omega in omegas]
    axes.plot(omegas, shown, color=COLOURS["second"], linestyle="--", marker="s", markersize=3, label="distinct x-")
    axes.set(xlabel="ω", ylabel="% of premises")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


IN_BATCH, THRESHOLD, PUBLISHED_SHARE = 256, 0.7, 18.6
BINS = 20


def _f7(lab: Lab) -> Outcome:
    rows = rows_of(lab, lab.scale.gen(OMEGA))
    model = lab.scale.backbone.mask_model
    drawn = np.random.default_rng(0).permutation(len(rows))[:IN_BATCH]
    texts = [
        text
        for place in drawn
        for text in (rows[place].premise, rows[place].entailment or " ", rows[place].contradiction or " ")
    ]
    vectors = lab.encode(model, texts).reshape(len(drawn), 3, -1)
    others = ~np.eye(len(drawn), dtype=bool)
    cosines = np.stack([vectors[:, 0] @ vectors[:, role].T for role in (1, 2)])  # (2, n, n)
    cross = cosines[:, others]
    above = 100 * np.array([(cosines[:, place, others[place]] > THRESHOLD).mean() for place in range(len(drawn))])
    counts, edges = np.histogram(cross, bins=BINS, range=(-1, 1))
    cells = [
        [f"{low:.1f} to {high:.1f}", f"{100 * count / cross.size:.2f} %", UNKNOWN]
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    share = 100 * float((cross > THRESHOLD).mean())
    cells.append([f"above {THRESHOLD:g}", f"{share:.2f} %", f"more than {PUBLISHED_SHARE} %"])
    _, _, p = paired(above, np.full(len(above), PUBLISHED_SHARE))
    place = "cannot be told from" if p >= SIGNIFICANT else "is more than" if share > PUBLISHED_SHARE else "is less than"
    holds = "holds here" if place == "is more than" else "does not hold here"
    said = [
        f"{share:.2f} % of {cross.size:,} cross pairs in a batch of {len(drawn)} have a cosine above {THRESHOLD:g} by"
        f" {model}, which {place} the paper's {PUBLISHED_SHARE} % (paired t test over"
        f" premises, {chance(p)}): its claim {holds}."
    ]
    table = Table(
        f"Cosines by {model} between premises and the hypotheses of others in a batch of {len(drawn)}",
        ("cosine", "ours", "paper"),
        cells,
        "The paper's batch joins generated and labelled NLI triplets, so that premises occur twice; ours is generated alone.",
    )
    document = {"experiment": "f7", "share_above": share, "pairs": int(cross.size), "sentences": said}
    return Outcome([table], said, document, lambda: _f7_plot(cross))


def _f7_plot(cross: np.ndarray) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(
        cross.ravel(),
        bins=2 * BINS,
        range=(-1, 1),
        color=COLOURS["first"],
        weights=np.full(cross.size, 100 / cross.size),
    )
    axes.axvline(THRESHOLD, color=COLOURS["second"], linestyle="--")
    axes.set(xlabel="cosine", ylabel="% of cross pairs")
    return figure


WRITTEN = (
    Read("t12", "Case studies", lambda lab: [lab.scale.curate(lab.scale.gen(one)) for one in (OMEGA, 0.0)], _t12),
    Read("f1", "What the LLM writes under plain instructions", lambda lab: [lab.scale.score(lab.scale.gen(0.0))], _f1),
    Read("f5", "Effect of ω on generation", lambda lab: [_omega_gen(lab, one) for one in lab.scale.omegas], _f5),
    Read("f7", "Cosines within a batch", lambda lab: [lab.scale.gen(OMEGA)], _f7),
)
