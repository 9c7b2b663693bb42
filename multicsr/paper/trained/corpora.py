"""What the LLM wrote in the corpora that models learned from, and how much of it is kept. Arrow: curate node -> figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from multicsr.paper.outcome import ResultTable

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.node import Node
    from multicsr.paper.trained.rows import RowFigures
    from store.read.figures import WrittenShares


class CuratedCorpus(NamedTuple):
    """What is written, the share of scored premises whose entailment scores above its contradiction, and triplets kept."""

    written: WrittenShares
    ordered: float
    kept: int


COLUMNS = ("corpus", "premises", "copies x+", "copies x-", "distinct x-", "a > b", "kept")
CAPTION = (
    "x+ entailment, x- contradiction; copies of the premise (case and punctuation aside) and distinct contradictions are"
    " shares of all premises; a > b: share of scored premises whose entailment scores above its contradiction; kept:"
    " triplets left by curation."
)


def tables(lab: Lab, results: Sequence[RowFigures]) -> list[ResultTable]:
    """A table of the corpora behind the rows; none where no row names one."""
    rows = []
    for corpus in dict.fromkeys(result.row.corpus for result in results if result.row.corpus is not None):
        written, ordered, kept = _curated(lab, corpus)
        shares = (f"{100 * share:.1f} %" for share in (*written[1:], ordered))
        rows.append([_name(corpus), f"{written.premises:,}", *shares, f"{kept:,}"])
    return [ResultTable("What the LLM wrote", COLUMNS, rows, CAPTION)] if rows else []


def document(lab: Lab, result: RowFigures) -> dict[str, Any]:
    """The corpus of a row, for the JSON document."""
    if result.row.corpus is None:
        return {"corpus": None, "ordered_share": None, "kept": None}
    written, ordered, kept = _curated(lab, result.row.corpus)
    return {"corpus": written._asdict(), "ordered_share": ordered, "kept": kept}


def _curated(lab: Lab, corpus: Node) -> CuratedCorpus:
    from store.read import figures

    score, gen = corpus.ancestor("score"), corpus.ancestor("gen")
    assert score is not None
    assert gen is not None
    written, means = figures.written(lab.store, lab.make(gen)), figures.averages(lab.store, lab.make(score))
    return CuratedCorpus(written, means.ordered if means else 0.0, lab.make(corpus).counts["kept"])


def _name(corpus: Node) -> str:
    gen = corpus.ancestor("gen")
    assert gen is not None
    shown = f", L {gen['shots']}, λ {gen['min_similarity']:g}" if gen["demonstrations"] else ""
    return f"ω {gen['omega']:g}{shown}"
