"""Curation. Arrow: scores -> decision; here, settings -> a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from multicsr.job import Job
from stages import curate
from stages.claif import pairs
from stages.config import CurateConfig, PairConfig
from stages.settings import complete, settings_of
from stages.stage import Ticks
from store.problem import Problem
from store.records import Run
from store.rows import drafts

if TYPE_CHECKING:
    from store.database import Store

# The paper's. A likelihood score is the share of information explained and runs lower, so its thresholds were chosen on
# development data (docs/defaults.md); for no other score were any chosen.
PAPER = {"alpha": 3.0, "beta": 3.0, "gamma": 1.0}
LIKELIHOOD = {"alpha": 2.0, "beta": 2.5, "gamma": 1.0}


@dataclass(frozen=True)
class Strategy:
    """How scores become decisions: the settings, the stage, whether it is of rewrites, what nobody told, whether a grid of
    thresholds can be tried."""

    settings: type[Any]
    version: int
    run: Callable[..., Ticks]
    of_rewrites: bool
    usual: Callable[[Run], Mapping[str, Any]]
    swept: bool


def usual(scored: Run) -> dict[str, float]:
    """The thresholds that suit how a run was scored."""
    return LIKELIHOOD if scored.config["by"] == "likelihood" else PAPER


STRATEGIES = {
    "multicsr": Strategy(CurateConfig, curate.VERSION, curate.run, False, usual, True),
    "claif": Strategy(PairConfig, pairs.VERSION, pairs.run, True, lambda scored: {}, False),
}


def job(store: Store, scored: Run, strategy: str | None = None, **told: Any) -> Job:
    """The curation of the score run `scored`; thresholds that are not told are those that suit how it was scored.

    `strategy` is multicsr (the rule over triplets) or claif (pairs); None for what was scored. `told` are settings of
    CurateConfig or PairConfig. Raises Problem for one that is out of range, or that the strategy does not read.
    """
    refuse_unread(store, scored, strategy, told)
    way = STRATEGIES[strategy_of(store, scored)]
    config = way.settings(**{**way.usual(scored), **complete(way.settings, told)})
    start = partial(way.run, store, config, scored)
    return Job(store, "curate", way.version, config, scored.id, start, "curate", "premises")


def sweep(store: Store, scored: Run, strategy: str | None = None, **told: Any) -> list[dict[str, float]]:
    """What a grid of thresholds would keep of `scored`, as alpha, beta, gamma and kept; writes nothing.

    Of the settings, swap_reversed and min_contradiction are heard. Raises Problem as `job` does.
    """
    refuse_unread(store, scored, strategy, {**told, "sweep": True})
    return curate.sweep(store, scored, bool(told.get("swap_reversed")), told.get("min_contradiction") or 0.0)


def strategy_of(store: Store, scored: Run) -> str:
    """How the hypotheses of a score run are decided on: as triplets, or as CLAIF's pairs."""
    rewrites = drafts.are_rewrites(store, store.parent(scored))
    return next(name for name, way in STRATEGIES.items() if way.of_rewrites == rewrites)


def refuse_unread(store: Store, scored: Run, strategy: str | None, told: dict[str, Any]) -> None:
    """Raise Problem for a strategy that does not go with what was scored, and for a setting that it does not read."""
    suits = strategy_of(store, scored)
    if strategy not in (None, suits):
        raise Problem(
            f"strategy {strategy} does not go with score run {scored.id}, whose strategy is {suits}",
            f"leave it out, or give {suits}",
            "strategy",
        )
    way = STRATEGIES[suits]
    read = {setting.name for setting in settings_of(way.settings)} | ({"sweep"} if way.swept else set())
    for name, value in told.items():
        if name not in read and value is not None and value is not False:
            raise Problem(f"{name} has no use with strategy={suits}", "leave it out", name)
