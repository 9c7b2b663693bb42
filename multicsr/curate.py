"""Curation. Arrow: scores -> decision; here, settings -> a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from multicsr.job import Job
from stages import curate
from stages.claif import pairs
from stages.config import CurateConfig, PairConfig
from stages.settings import complete
from store.problem import Problem
from store.records import Run
from store.rows import drafts

if TYPE_CHECKING:
    from store.database import Store

# The paper's. A likelihood score is the share of information explained and runs lower, so its thresholds were chosen on
# development data (docs/defaults.md); for no other score were any chosen.
PAPER = {"alpha": 3.0, "beta": 3.0, "gamma": 1.0}
LIKELIHOOD = {"alpha": 2.0, "beta": 2.5, "gamma": 1.0}

STRATEGIES = {"multicsr": CurateConfig, "claif": PairConfig}


def job(store: Store, scored: Run, strategy: str | None = None, **told: Any) -> Job:
    """The curation of the score run `scored`; thresholds that are not told are those that suit how it was scored.

    `strategy` is multicsr (the rule over triplets) or claif (pairs); None for what was scored. `told` are settings of
    CurateConfig or PairConfig. Raises Problem for one that is out of range, or that the strategy does not read.
    """
    refuse_unread(store, scored, strategy, told)
    if strategy_of(store, scored) == "claif":
        settings = PairConfig(**complete(PairConfig, told))
        start = partial(pairs.run, store, settings, scored)
        return Job(store, "curate", pairs.VERSION, settings, scored.id, start, "curate", "premises")
    config = CurateConfig(**{**usual(scored), **complete(CurateConfig, told)})
    return Job(
        store,
        "curate",
        curate.VERSION,
        config,
        scored.id,
        partial(curate.run, store, config, scored),
        "curate",
        "premises",
    )


def sweep(store: Store, scored: Run, strategy: str | None = None, **told: Any) -> list[dict[str, float]]:
    """What a grid of thresholds would keep of `scored`, as alpha, beta, gamma and kept; writes nothing.

    Of the settings, swap_reversed and min_contradiction are heard. Raises Problem as `job` does.
    """
    refuse_unread(store, scored, strategy, {**told, "sweep": True})
    return curate.sweep(store, scored, bool(told.get("swap_reversed")), told.get("min_contradiction") or 0.0)


def usual(scored: Run) -> dict[str, float]:
    """The thresholds that suit how a run was scored."""
    return LIKELIHOOD if scored.config["by"] == "likelihood" else PAPER


def strategy_of(store: Store, scored: Run) -> str:
    """How the hypotheses of a score run are decided on: as triplets, or as CLAIF's pairs."""
    return "claif" if drafts.are_rewrites(store, store.parent(scored)) else "multicsr"


def refuse_unread(store: Store, scored: Run, strategy: str | None, told: dict[str, Any]) -> None:
    """Raise Problem for a strategy that does not go with what was scored, and for a setting that it does not read."""
    suits = strategy_of(store, scored)
    if strategy not in (None, suits):
        raise Problem(
            f"strategy {strategy} does not go with score run {scored.id}, whose strategy is {suits}",
            f"leave it out, or give {suits}",
            "strategy",
        )
    read = STRATEGIES[suits].__dataclass_fields__.keys() | ({"sweep"} if suits == "multicsr" else set())
    for name, value in told.items():
        if name not in read and value is not None and value is not False:
            raise Problem(f"{name} has no use with strategy={suits}", "leave it out", name)
