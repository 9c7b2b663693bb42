"""`multicsr models`: aliases and what is installed, and the bundled prompt sets."""

from __future__ import annotations

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json


def command(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the model aliases: what is on this machine, and how to get what is not; and the prompt sets."""
    from stages.models import catalog
    from stages.texts import prompts

    listed = catalog.listing()
    sets = [prompts.load(name) for name in prompts.names()]
    if json:
        names = ("name", "kind", "about", "installed", "where")
        models = [{name: getattr(row, name) for name in names} for row in listed]
        kept = [{name: getattr(one, name) for name in ("name", "language", "description")} for one in sets]
        screen.document({"models": models, "prompts": kept})
        return
    screen.table(
        "models",
        ("name", "kind", "what it is", "installed", "if not"),
        [(row.name, row.kind, row.about, row.installed, "" if row.installed else row.where) for row in listed],
        caption="Any hub id (owner/name) or local folder can be given instead, and openai:MODEL with --base-url URL"
        " for an LLM behind an OpenAI-compatible server.",
    )
    screen.table(
        "prompt sets",
        ("name", "language", "what it is"),
        [(one.name, one.language or "", one.description) for one in sets],
        caption="--prompts takes one of these, or a TOML file of your own in any language.",
    )
