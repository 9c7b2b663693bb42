"""`multicsr curate`: scores -> decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store

# alpha, beta, gamma of the paper. A likelihood score is the share of information explained and runs lower, so its
# thresholds were chosen on development data (docs/defaults.md); for no other score were any chosen.
PAPER = (3.0, 3.0, 1.0)
THRESHOLDS = {"likelihood": (2.0, 2.5, 1.0)}


def command(
    run: RunName = "latest",
    alpha: Annotated[
        float | None,
        typer.Option(parser=options.number, metavar="F", help="Keep iff a >= F ...", show_default="3; 2 by likelihood"),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(
            parser=options.number, metavar="F", help="... and b <= F ...", show_default="3; 2.5 by likelihood"
        ),
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option(parser=options.number, metavar="F", help="... and a >= b + F.", show_default="1"),
    ] = None,
    min_contradiction: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            metavar="F",
            help="Keep only b >= F too: less is too easy a negative.",
            show_default="none",
        ),
    ] = None,
    drop_copies: Annotated[
        bool, typer.Option("--drop-copies", help="Drop a triplet that repeats its premise.")
    ] = False,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Keep only the first of equal triplets.")
    ] = False,
    swap_reversed: Annotated[
        bool, typer.Option("--swap-reversed", help="Where a < b, swap the hypotheses first.")
    ] = False,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="multicsr: the rule over triplets; claif: pairs, with smoothed labels and random partners.",
            show_default="what was scored",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Draws random partners, with claif.", show_default="0")
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Print what a grid of thresholds would keep; write nothing.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Keep the triplets whose scores fit: a = sim(premise, entailment), b = sim(premise, contradiction)."""
    from stages import curate as stage
    from store.database import Store
    from store.rows import drafts

    store = Store.open(db, create=False, write=not sweep)
    parent = store.find(run, ("score",))
    found = "claif" if drafts.are_rewrites(store, store.parent(parent)) else "multicsr"
    if strategy not in (None, found):
        raise Problem(
            f"--strategy {strategy} does not go with score run {parent.id}, whose strategy is {found}",
            f"leave it out, or give {found}",
        )
    settings = {
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "min_contradiction": min_contradiction,
        "drop_copies": drop_copies,
        "drop_duplicates": drop_duplicates,
        "swap_reversed": swap_reversed,
        "sweep": sweep,
    }
    _refuse_unread(found, {"seed": seed} if found == "multicsr" else settings)
    if found == "claif":
        _curate_pairs(store, parent, seed or 0, json)
        return
    if sweep:
        rows = stage.sweep(store, parent, swap_reversed, min_contradiction)
        if json:
            names = ("alpha", "beta", "gamma", "kept")
            screen.document({"parent": parent.id, "grid": [dict(zip(names, row, strict=True)) for row in rows]})
        else:
            _show_sweep(parent, rows, min_contradiction)
        return
    config = plan(
        parent,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        min_contradiction=min_contradiction,
        drop_copies=drop_copies,
        drop_duplicates=drop_duplicates,
        swap_reversed=swap_reversed,
    )
    if (alpha, beta, gamma) == (None, None, None):
        screen.say(f"keeping a >= {config.alpha:g}, b <= {config.beta:g}, a >= b + {config.gamma:g}")
    done = make(store, parent, config)
    result = {"run": done.id, "parent": done.parent, **done.counts}
    result.pop("funnel")
    if json:
        screen.document(result)
        return
    screen.facts(f"curate {done.id}", [("kept", done.counts["kept"]), ("dropped", done.counts["dropped"])])
    if done.counts["reasons"]:
        screen.table("dropped because", ("reason", "premises"), list(done.counts["reasons"].items()))
    screen.say(f"next: multicsr inspect {done.id} --rejected   or   multicsr train {done.id}")


def _refuse_unread(strategy: str, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if value is not None and value is not False:
            raise Problem(f"--{name.replace('_', '-')} has no use with --strategy {strategy}", "leave it out")


def _curate_pairs(store: Store, parent: Run, seed: int, json: bool) -> None:
    """The same for pairs: `kept` and `dropped` count pairs, of which `random` were drawn."""
    done = make_pairs(store, parent, seed)
    result = {"run": done.id, "parent": done.parent, **done.counts}
    result.pop("funnel")
    if json:
        screen.document(result)
        return
    screen.facts(f"curate {done.id}", [(name, done.counts[name]) for name in ("kept", "random", "dropped")])
    if done.counts["reasons"]:
        screen.table("dropped because", ("reason", "pairs"), list(done.counts["reasons"].items()))
    screen.say(f"next: multicsr inspect {done.id} --rejected   or   multicsr train {done.id} --objective claif")


def make_pairs(store: Store, parent: Run, seed: int = 0, title: str | None = None) -> Run:
    """Decide on what is missing of the pairs of a score run of rewrites."""
    from stages.claif import pairs
    from stages.config import PairConfig

    config = PairConfig(seed)
    screen.drive(pairs.run(store, config, parent), title or "curate", "premises", announce=title is None)
    return store.begin("curate", pairs.VERSION, config, parent.id)


def plan(
    parent: Run,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    min_contradiction: float | None = None,
    drop_copies: bool = False,
    drop_duplicates: bool = False,
    swap_reversed: bool = False,
) -> Any:
    """The config, with the defaults that suit how the parent was scored."""
    from stages.config import CurateConfig

    chosen = zip((alpha, beta, gamma), usual(parent), strict=True)
    alpha, beta, gamma = (default if given is None else given for given, default in chosen)
    return CurateConfig(alpha, beta, gamma, drop_copies, drop_duplicates, swap_reversed, min_contradiction)


def usual(scored: Run) -> tuple[float, float, float]:
    """The thresholds alpha, beta and gamma that suit how a run was scored."""
    return THRESHOLDS.get(scored.config["by"], PAPER)


def make(store: Store, parent: Run, config: Any, title: str | None = None) -> Run:
    """Decide every premise."""
    from stages import curate as stage

    screen.drive(stage.run(store, config, parent), title or "curate", "premises", announce=title is None)
    return store.begin("curate", stage.VERSION, config, parent.id)


def _show_sweep(parent: Run, rows: list[tuple[float, float, float, int]], floor: float | None) -> None:
    betas = sorted({beta for _, beta, _, _ in rows})
    over = f", b >= {floor:g}" if floor else ""
    kept = {(alpha, beta, gamma): count for alpha, beta, gamma, count in rows}
    for gamma in sorted({gamma for _, _, gamma, _ in rows}):
        screen.table(
            f"kept with gamma = {gamma:g}{over}, score run {parent.id}",
            ["alpha", *(f"beta {beta:g}" for beta in betas)],
            [
                [f"{alpha:g}", *(kept[alpha, beta, gamma] for beta in betas)]
                for alpha in sorted({alpha for alpha, _, _, _ in rows})
            ],
        )
