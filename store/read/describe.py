"""The store described: its page, its listing and its metadata for Datasette, made from `store/read/described`.

`docs/store.md` and `multicsr store` show it; a test holds it to the schema.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from store.database import Store
from store.markdown import Marked, code, table
from store.read.described.queries import QUERIES
from store.read.described.tables import TABLES
from store.read.described.views import VIEWS
from store.read.described.words import DescribedObject


class Object(NamedTuple):
    """A table or view of a store with its size."""

    name: str
    kind: str
    rows: int
    described: DescribedObject


def objects(store: Store) -> list[Object]:
    """Every table and view that is described, views first, with their rows."""
    return [
        Object(name, kind, int(store.one(f"SELECT count(*) FROM {name}")[0]), described)
        for kind, group in (("view", VIEWS), ("table", TABLES))
        for name, described in group.items()
    ]


def markdown() -> str:
    """The page about the store for people who query it."""
    lines = [
        "# The store, as others may read it",
        "",
        "One SQLite file; this page is made by `multicsr store --markdown`. Open it with `sqlite3 multicsr.db`, with pandas,",
        "or with Datasette: `multicsr store --datasette metadata.json`, then `datasette multicsr.db -m metadata.json`.",
        "It may be read while a stage writes it (WAL). Names and columns of the views stay.",
    ]
    for title, group in (("Views", VIEWS), ("Tables", TABLES)):
        lines += ["", f"## {title}"]
        for name, described in group.items():
            rows = [(code(column), Marked(about)) for column, about in described.columns.items()]
            lines += ["", f"### {name}", "", f"{described.about}.", ""]
            lines += table(("column", "what it holds"), rows, tight=True)
    lines += ["", "## Queries"]
    for query in QUERIES:
        lines += ["", f"**{query.question}**", "", "```sql", query.sql, "```"]
    return "\n".join(lines) + "\n"


def datasette(database: str) -> dict[str, Any]:
    """Metadata with which Datasette shows the store called `database` (its file's name without ending)."""
    tables: dict[str, dict[str, Any]] = {
        name: {"description": described.about, "columns": described.columns}
        for name, described in (VIEWS | TABLES).items()
    }
    for name, label in (("premises", "text"), ("drafts", "text"), ("prompts", "text"), ("runs", "id")):
        tables[name]["label_column"] = label
    for name in ("pairs", "rules", "repeats"):
        tables[name]["hidden"] = True
    queries = {query.name: {"title": query.question, "sql": query.sql} for query in QUERIES}
    return {
        "title": "multicsr",
        "description": "Premises, hypotheses, scores, decisions and trainings of one store",
        "databases": {database: {"tables": tables, "queries": queries}},
    }
