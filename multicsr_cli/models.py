"""`multicsr models`: aliases and what is installed."""

from __future__ import annotations

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json


def command(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the model aliases: what is on this machine, and how to get what is not."""
    from stages.models import catalog

    listed = catalog.listing()
    if json:
        names = ("name", "kind", "about", "installed", "where")
        screen.document({"models": [{name: getattr(row, name) for name in names} for row in listed]})
        return
    screen.table(
        "models",
        ("name", "kind", "what it is", "installed", "if not"),
        [(row.name, row.kind, row.about, row.installed, "" if row.installed else row.where) for row in listed],
        caption="Any hub id (owner/name) or local folder can be given instead, and openai:MODEL with --base-url URL"
        " for an LLM behind an OpenAI-compatible server.",
    )
