"""f7: how similar premises are to the hypotheses of others in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multicsr.paper.claims import over_items
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read, rows_of
from multicsr.paper.scales import OMEGA
from multicsr.report.blocks import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab.lab import Lab

IN_BATCH, THRESHOLD, PUBLISHED_SHARE = 256, 0.7, 18.6
BINS = 20


def _read(lab: Lab) -> ExperimentOutcome:
    model = lab.scale.backbone.mask_model
    cosines = _cosines(lab, model)
    batch = cosines.shape[1]
    others = ~np.eye(batch, dtype=bool)
    cross = cosines[:, others]
    above = 100 * np.array([(cosines[:, place, others[place]] > THRESHOLD).mean() for place in range(batch)])
    share = 100 * float((cross > THRESHOLD).mean())
    said = [
        f"{share:.2f} % of {cross.size:,} cross pairs in a batch of {batch} have a cosine above {THRESHOLD:g} by {model}.",
        over_items(
            f"This share, less the paper's {PUBLISHED_SHARE} %",
            above,
            np.full(len(above), PUBLISHED_SHARE),
            "premises",
            says=("more", "less"),
        ),
    ]
    table = ResultTable(
        f"Cosines by {model} between premises and the hypotheses of others in a batch of {batch}",
        ("cosine", "ours", "paper"),
        _cells(cross, share),
        "The paper's batch joins generated and labelled NLI triplets, so that premises occur twice; ours is generated alone.",
    )
    document = {"experiment": "f7", "share_above": share, "pairs": int(cross.size)}
    return ExperimentOutcome([table], said, document, lambda: _plot(cross))


def _cosines(lab: Lab, model: str) -> np.ndarray:
    """Of a batch of n premises drawn from the corpus: cosines with all entailments and all contradictions, (2, n, n)."""
    rows = rows_of(lab, lab.scale.gen(OMEGA))
    places = np.random.default_rng(0).permutation(len(rows))[:IN_BATCH]
    texts = [
        text
        for place in places
        for text in (rows[place].premise, rows[place].entailment or " ", rows[place].contradiction or " ")
    ]
    vectors = lab.encode(model, texts).reshape(len(places), 3, -1)
    return np.stack([vectors[:, 0] @ vectors[:, role].T for role in (1, 2)])


def _cells(cross: np.ndarray, share: float) -> list[list[str]]:
    """A line for each tenth of a cosine that occurs, and one for the `share` above the threshold."""
    counts, edges = np.histogram(cross, bins=BINS, range=(-1, 1))
    cells = [
        [f"{low:.1f} to {high:.1f}", f"{100 * count / cross.size:.2f} %", UNKNOWN]
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    return [*cells, [f"above {THRESHOLD:g}", f"{share:.2f} %", f"more than {PUBLISHED_SHARE} %"]]


def _plot(cross: np.ndarray) -> Figure:
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


F7 = Read("f7", "Cosines within a batch", lambda lab: [lab.scale.gen(OMEGA)], _read)
