"""f7: how similar premises are to the hypotheses of others in a batch of the joined corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multicsr.paper.experiments.baselines import needs_labelled
from multicsr.paper.experiments.t11 import corpora
from multicsr.paper.outcome import UNKNOWN, ExperimentOutcome, ResultTable
from multicsr.paper.read import Read
from multicsr.report.blocks import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr.paper.lab.lab import Lab
    from store.records import Triplet

IN_BATCH, THRESHOLD, PUBLISHED_SHARE = 256, 0.7, 18.6
DRAWS = 10  # batches: how far their shares are apart tells what one of them is worth
BINS = 20


def _read(lab: Lab) -> ExperimentOutcome:
    model, joined = lab.scale.backbone.supervised, _joined(lab)
    batches = [[joined[place] for place in places] for places in drawn(len(joined))]
    every = [cross_cosines(lab, model, batch) for batch in batches]
    shares = [100 * float((cosines > THRESHOLD).mean()) for cosines in every]
    cross, size, share = every[0], len(batches[0]), shares[0]
    alike = _share_a_premise(batches[0])[cross > THRESHOLD]
    more = sum(one > PUBLISHED_SHARE for one in shares)
    said = [
        f"{share:.2f} % of {cross.size:,} cross pairs in a batch of {size} have a cosine above {THRESHOLD:g} by {model}; in"
        f" the paper more than {PUBLISHED_SHARE} %.",
        f"Of {DRAWS} batches {more} have more than that: {min(shares):.2f} to {max(shares):.2f} %.",
        f"Of the {alike.size:,} pairs above {THRESHOLD:g}, {int(alike.sum()):,} are with a hypothesis of an equal premise.",
    ]
    table = ResultTable(
        f"Cosines by {model} between premises and the hypotheses of others in a batch of {size}",
        ("cosine", "ours", "paper"),
        _cells(cross, share),
        "A batch of what the LLM wrote for the premises of a labelled NLI corpus, joined with that corpus: premises may occur"
        " twice. The paper's model is supervised SimCSE-RoBERTa.",
    )
    document = {"experiment": "f7", "share_above": share, "shares": shares, "pairs": int(cross.size)}
    return ExperimentOutcome([table], said, document, lambda: _plot(cross))


def _joined(lab: Lab) -> list[Triplet]:
    from store.rows import training

    return [triplet for corpus in corpora(lab) for triplet in training.triplets(lab.store, lab.make(corpus))]


def drawn(count: int) -> list[np.ndarray]:
    """The places of `DRAWS` batches of `IN_BATCH` triplets of `count`, or of all where there are no more."""
    return [np.random.default_rng(draw).permutation(count)[:IN_BATCH] for draw in range(DRAWS)]


def cross_cosines(lab: Lab, model: str, batch: list[Triplet]) -> np.ndarray:
    """Of a batch of n triplets the cosines of each premise with the others' entailments and contradictions, (2n(n - 1),)."""
    vectors = lab.encode(model, [text for triplet in batch for text in triplet]).reshape(len(batch), 3, -1)
    cosines = np.stack([vectors[:, 0] @ vectors[:, role].T for role in (1, 2)])
    pairs: np.ndarray = cosines[:, ~np.eye(len(batch), dtype=bool)].ravel()
    return pairs


def _share_a_premise(batch: list[Triplet]) -> np.ndarray:
    """Whether the two triplets of each cross pair have equal premises, in the order of `cross_cosines`."""
    premises = np.array([triplet.premise for triplet in batch])
    same = premises[:, None] == premises
    return np.tile(same[~np.eye(len(batch), dtype=bool)], 2)


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


F7 = Read("f7", "Cosines within a batch", lambda lab: list(corpora(lab)), _read, needs=needs_labelled)
