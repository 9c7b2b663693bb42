"""The negatives that a training's mask removed, for a person to judge its threshold by. Reads only."""

from __future__ import annotations

from typing import NamedTuple

from store.database import Store
from store.problem import Problem
from store.read.triplets import full_text_query
from store.records import Run

# The rows of a run, those with certain words only, and how they are ordered.
MASKED = "FROM masked_pairs WHERE run = :run"
FOUND = (
    " AND (premise_id IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search)"
    " OR other_premise_id IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search)"
    " OR draft IN (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search))"
)
ORDER = "ORDER BY times DESC, cosine DESC, place, other_place, role"


class Mask(NamedTuple):
    """The mask of a finished training. model: P. sigma: the cosine from which on it masked, None where it has no such one:
    under a margin each premise has its own. quantile, margin: what was asked for instead of a cosine, if anything was.
    share: of all negatives, how much it removed."""

    model: str
    sigma: float | None
    quantile: float | None
    margin: float | None
    share: float


class ListedMasked(NamedTuple):
    """A premise x_i and a hypothesis (or premise) of the other premise x_k that it was masked for; role: as it was trained
    on. cosine: P's. times: in how many batches."""

    premise: str
    other_premise: str
    hypothesis: str
    role: str
    cosine: float
    times: int
    premise_id: int
    other_premise_id: int


def mask(run: Run) -> Mask:
    """The mask of a train run. Raises Problem where it has none, or is not finished."""
    config, counts = run.config, run.counts
    if config["objective"] == "claif":
        raise Problem(
            f"train run {run.id} has no mask (objective=claif learns from each pair alone)",
            "give a training by an objective with in-batch negatives, such as multicsr",
        )
    if config["mask_model"] == "none":
        raise Problem(
            f"train run {run.id} has no mask (mask_model=none)", "train with a mask model, such as mask_model=minilm"
        )
    if not run.finished:
        raise Problem(f"train run {run.id} is not finished", "run the same `multicsr train` again; it goes on")
    margin = config.get("sigma_margin")
    sigma = None if margin is not None else counts.get("sigma", config.get("sigma"))
    return Mask(config["mask_model"], sigma, config.get("sigma_quantile"), margin, counts["masked_share"])


def count(store: Store, run: Run) -> int:
    """How many rows there are of a train run."""
    (number,) = store.one(f"SELECT count(*) {MASKED}", {"run": run.id})
    return int(number)


def listed(
    store: Store, run: Run, *, search: str | None = None, limit: int = 50, offset: int = 0
) -> list[ListedMasked]:
    """A page of the rows of a train run, the most often masked first, then the most similar. `search` finds words in
    premises and hypotheses."""
    rows = store.rows(
        f"SELECT {', '.join(ListedMasked._fields)} {MASKED} {FOUND if search else ''} {ORDER}"
        " LIMIT :limit OFFSET :offset",
        {"run": run.id, "search": full_text_query(search or ""), "limit": limit, "offset": offset},
    )
    return [ListedMasked(*row) for row in rows]
