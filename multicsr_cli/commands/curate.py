"""`multicsr curate`: scores -> decision."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import multicsr.curate
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from stages.config import CurateConfig, PairConfig
from store.records import Run


@options.takes(CurateConfig, PairConfig)
def command(
    run: RunName = "latest",
    *,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="multicsr: the rule over triplets; claif: pairs, with smoothed labels and random partners.",
            show_default="what was scored",
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Print what a grid of thresholds would keep; write nothing.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
    **told: Any,
) -> None:
    """Keep the triplets whose scores fit: a = sim(premise, entailment), b = sim(premise, contradiction)."""
    from store.database import Store

    store = Store.open(db, create=False, write=not sweep)
    parent = store.find(run, ("score",))
    if sweep:
        grid = multicsr.curate.sweep(store, parent, strategy, **told)
        screen.document({"parent": parent.id, "grid": grid}) if json else _show_sweep(parent, grid, told)
        return
    wanted = multicsr.curate.job(store, parent, strategy, **told)
    if isinstance(wanted.settings, CurateConfig) and not told.keys() & {"alpha", "beta", "gamma"}:
        rule = wanted.settings
        screen.say(f"keeping a >= {rule.alpha:g}, b <= {rule.beta:g}, a >= b + {rule.gamma:g}")
    done = screen.drive(wanted).run
    if json:
        screen.document({"run": done.id, "parent": done.parent, **_without_funnel(done)})
    else:
        _show(done, wanted.settings)


def _without_funnel(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.counts.items() if name != "funnel"}


def _show(run: Run, settings: Any) -> None:
    pairs = isinstance(settings, PairConfig)
    counts = ("kept", "random", "dropped") if pairs else ("kept", "dropped")
    screen.facts(f"curate {run.id}", [(name, run.counts[name]) for name in counts])
    if run.counts["reasons"]:
        screen.table(
            "dropped because", ("reason", "pairs" if pairs else "premises"), list(run.counts["reasons"].items())
        )
    train = f"multicsr train {run.id}{' --objective claif' if pairs else ''}"
    screen.say(f"next: multicsr inspect {run.id} --rejected   or   {train}")


def _show_sweep(parent: Run, grid: list[dict[str, float]], told: dict[str, Any]) -> None:
    alphas, betas, gammas = (sorted({row[name] for row in grid}) for name in ("alpha", "beta", "gamma"))
    floor = told.get("min_contradiction")
    over = f", b >= {floor:g}" if floor else ""
    kept = {(row["alpha"], row["beta"], row["gamma"]): row["kept"] for row in grid}
    for gamma in gammas:
        screen.table(
            f"kept with gamma = {gamma:g}{over}, score run {parent.id}",
            ["alpha", *(f"beta {beta:g}" for beta in betas)],
            [[f"{alpha:g}", *(kept[alpha, beta, gamma] for beta in betas)] for alpha in alphas],
        )
