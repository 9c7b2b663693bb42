"""`multicsr inspect`: what the LLM wrote, and why it was refused."""

from __future__ import annotations

from typing import Annotated

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from store.records import Problem

ROWS = 2**31 - 1  # more than any store holds


def command(
    run: RunName = "latest",
    rejected: Annotated[bool, typer.Option("--rejected", help="Only what was dropped.")] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="R", help="Only what was dropped for this reason, e.g. 'b>beta'.")
    ] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only rows in which these words occur.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=ROWS, help="Rows shown.")] = 50,
    offset: Annotated[int, typer.Option(metavar="N", min=0, max=ROWS, help="Rows skipped first.")] = 0,
    plain: Annotated[bool, typer.Option("--plain", help="Print rows, also in a terminal.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show triplets with their scores, the decision and its reason; the funnel above them."""
    from store import browse
    from store.database import Store

    store = Store.open(db, create=False, write=False)
    shown = browse.view(store, store.find(run, ("curate", "score", "gen")))
    if (rejected or reason) and shown.curate is None:
        raise Problem(
            f"run {(shown.score or shown.gen).id} has no decisions yet",
            "run `multicsr curate` first, or give a curate run",
        )
    if reason is not None and shown.curate is not None and reason not in (known := browse.reasons(store, shown.curate)):
        raise Problem(
            f"nothing was dropped for {reason!r}", f"the reasons are {', '.join(known) or 'none: all were kept'}"
        )
    rows = browse.rows(store, shown, rejected=rejected, reason=reason, search=search, limit=limit, offset=offset)
    funnel = browse.funnel(store, shown)
    newest = shown.curate or shown.score or shown.gen
    if json:
        screen.document(
            {"run": newest.id, "funnel": funnel, "rows": [dict(list(row._asdict().items())[:-1]) for row in rows]}
        )
        return
    levels = [(name.replace("_", " "), count) for name, count in funnel.items() if name != "reasons"]
    screen.facts(
        f"{newest.stage} {newest.id}",
        levels + [(f"  {why}", count) for why, count in funnel.get("reasons", {}).items()],
    )
    screen.table(
        f"{len(rows)} rows from {offset + 1}",
        ("premise", "entailment", "a", "contradiction", "b", "verdict"),
        [(row.premise, row.entailment, row.a, row.contradiction, row.b, row.reason or row.verdict) for row in rows],
    )
    if len(rows) == limit:
        screen.say(f"more: --offset {offset + limit}")
