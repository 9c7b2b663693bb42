"""`multicsr store`: what is in the store, for those who query it."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.problem import Problem


def command(
    markdown: Annotated[bool, typer.Option("--markdown", help="The page about tables, views and queries.")] = False,
    datasette: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write metadata for `datasette STORE -m FILE`.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """List the store's views and tables with their rows; `sqlite3` and Datasette may read it."""
    from store import whole
    from store.database import Store
    from store.read import describe

    if markdown:
        if json or datasette:
            raise Problem("--markdown goes alone", "leave --json and --datasette out")
        sys.stdout.write(describe.markdown())
        return
    store = Store.open(db, create=False, write=False)
    found = describe.objects(store)
    if datasette is not None:
        if not datasette.resolve().parent.is_dir():
            raise Problem(f"the folder {datasette.resolve().parent} does not exist", "create it, or give another FILE")
        text = jsonlib.dumps(describe.datasette(db.stem), ensure_ascii=False, indent=2)
        whole.write(datasette, text + "\n")
        screen.say(f"next: datasette {db} -m {datasette}")
    if json:
        screen.document(
            {
                "store": str(db),
                "objects": [
                    {"name": one.name, "kind": one.kind, "rows": one.rows, "about": one.described.about}
                    for one in found
                ],
            }
        )
        return
    screen.table(str(db), ("name", "kind", "rows", "what a row is"), [(*one[:3], one.described.about) for one in found])
