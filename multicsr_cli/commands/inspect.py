"""`multicsr inspect`: what the LLM wrote, and why it was refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json, RunName
from store.problem import Problem

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import View
    from store.records import Run

STAGES = ("curate", "score", "gen")

ROWS = 2**31 - 1  # more than any store holds


class Listing(NamedTuple):
    """Rows as a table and as JSON objects, and how many reached each level."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    documents: Sequence[dict[str, Any]]
    funnel: dict[str, Any]


def command(
    run: RunName = "latest",
    rejected: Annotated[bool, typer.Option("--rejected", help="Only what was dropped.")] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="R", help="Only what was dropped for this reason, e.g. 'b>beta'.")
    ] = None,
    masked: Annotated[
        bool,
        typer.Option("--masked", help="Of a train run: the negatives that its mask removed, most often first."),
    ] = False,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only rows in which these words occur.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=ROWS, help="Rows shown.")] = 50,
    offset: Annotated[int, typer.Option(metavar="N", min=0, max=ROWS, help="Rows skipped first.")] = 0,
    plain: Annotated[bool, typer.Option("--plain", help="Print rows, also in a terminal.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Browse triplets with their scores, the decision and its reason; piped or with --plain, print them.

    RUN is a gen, score or curate run; with --masked a train run.
    """
    from store.database import Store

    store = Store.open(db, create=False, write=False)
    in_browser = _in_terminal() and not plain and not json
    if masked:
        if rejected or reason is not None:
            raise Problem("--masked lists pairs, which have no verdict", "leave out --rejected and --reason")
        _masked(store, db, run, in_browser, json, search=search, limit=limit, offset=offset)
        return
    name = _browsed(store, db, run, rejected=rejected, reason=reason, search=search, skip=offset) if in_browser else run
    if name is not None:
        _print(store, name, json, rejected=rejected, reason=reason, search=search, limit=limit, offset=offset)


def _browsed(store: Store, db: Path, name: str, **asked: Any) -> str | None:
    """Open the browser on a run; of a run of pairs, which are printed, the id instead."""
    from store.read import runs
    from store.rows import drafts

    chosen = _to_browse(store, name)
    if chosen is not None and drafts.are_rewrites(store, runs.view(store, chosen).gen):
        screen.say("the browser shows triplets; pairs are printed")
        return chosen.id
    _open(db, chosen, **asked)
    return None


def _print(
    store: Store,
    name: str,
    json: bool,
    *,
    rejected: bool,
    reason: str | None,
    search: str | None,
    limit: int,
    offset: int,
) -> None:
    """Print a page of a run's rows, and how many reached each level."""
    from store.read import runs
    from store.rows import drafts

    shown = runs.view(store, store.find(name, STAGES))
    _refuse(store, shown, rejected, reason)
    listed = _pairs if drafts.are_rewrites(store, shown.gen) else _triplets
    columns, rows, documents, funnel = listed(
        store, shown, rejected=rejected, reason=reason, search=search, limit=limit, offset=offset
    )
    newest = shown.curate or shown.score or shown.gen
    if json:
        screen.document({"run": newest.id, "funnel": funnel, "rows": documents})
        return
    levels = [(name.replace("_", " "), count) for name, count in funnel.items() if name != "reasons"]
    reasons = [(f"  {why}", count) for why, count in funnel.get("reasons", {}).items()]
    screen.facts(f"{newest.stage} {newest.id}", levels + reasons)
    screen.table(f"{len(rows)} rows from {offset + 1}", columns, rows)
    if len(rows) == limit:
        screen.say(f"more: --offset {offset + limit}")


def _masked(store: Store, db: Path, name: str, in_browser: bool, json: bool, **asked: Any) -> None:
    """What the mask of a train run removed, in the browser's tab or as rows."""
    from multicsr_cli import shown_masked
    from store.read.masked import mask

    run = store.find(name, ("train",))
    mask(run)
    if in_browser:
        from multicsr_cli.browse.app import Browser

        Browser(db, store.parent(run), masked=run, words=asked["search"] or "").run()
    else:
        shown_masked.show(store, run, json, **asked)


def _refuse(store: Store, shown: View, rejected: bool, reason: str | None) -> None:
    """Raise Problem where what was dropped is asked for and nothing was, or not for this reason."""
    from store.read import funnel

    if (rejected or reason) and shown.curate is None:
        raise Problem(
            f"run {(shown.score or shown.gen).id} has no decisions yet",
            "run `multicsr curate` first, or give a curate run",
        )
    if reason is None or shown.curate is None:
        return
    known = funnel.reasons(store, shown.curate)
    if reason not in known:
        raise Problem(
            f"nothing was dropped for {reason!r}", f"the reasons are {', '.join(known) or 'none: all were kept'}"
        )


def _triplets(store: Store, shown: View, **asked: Any) -> Listing:
    from store.read import funnel, triplets

    rows = triplets.listed(store, shown, **asked)
    return Listing(
        ("premise", "entailment", "a", "contradiction", "b", "verdict"),
        [(row.premise, row.entailment, row.a, row.contradiction, row.b, row.reason or row.verdict) for row in rows],
        [{name: value for name, value in row._asdict().items() if name != "premise_id"} for row in rows],
        funnel.levels(store, shown),
    )


def _pairs(store: Store, shown: View, **asked: Any) -> Listing:
    from store.read import pairs

    rows = pairs.listed(store, shown, **asked)
    return Listing(
        ("premise", "partner", "role", "rate", "score", "label", "verdict"),
        [(*row[:6], row.reason or row.verdict) for row in rows],
        [row._asdict() for row in rows],
        pairs.levels(store, shown),
    )


def _in_terminal() -> bool:
    # Textual draws on stderr, so that must be the terminal too.
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)) and os.environ.get("TERM") != "dumb"


def _to_browse(store: Store, name: str) -> Run | None:
    """The run to open the browser on: `latest` is also one that is being written where none is finished, or None yet."""
    try:
        return store.find(name, STAGES)
    except Problem:
        if name != "latest":
            raise
        from store.read.runs import newest_shown

        return newest_shown(store)


def _open(db: Path, run: Run | None, *, rejected: bool, reason: str | None, search: str | None, skip: int) -> None:
    from multicsr_cli.browse.app import Browser
    from multicsr_cli.browse.numbers import Chosen

    chosen = Chosen(verdict="drop" if rejected else "all", reason=reason, search=search or "")
    Browser(db, run, chosen, skip).run()
