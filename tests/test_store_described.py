"""What is said of the store is true of it: every table, view and column, and queries that run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from conftest import Piped
from datasette.app import Datasette
from shell import multicsr

from store.database import Store
from store.read import describe
from store.read.described.queries import QUERIES, Query
from store.read.described.tables import TABLES
from store.read.described.views import VIEWS

ROOT = Path(__file__).resolve().parents[1]


def test_every_table_view_and_column_is_described_and_nothing_else(store: Store) -> None:
    found = {
        kind: {
            name: [column[1] for column in store.rows(f"PRAGMA table_info({name})")]
            for (name,) in store.rows(
                "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite%' AND name NOT LIKE '%\\_fts%'"
                " ESCAPE '\\' AND name NOT LIKE '\\_sqlite%' ESCAPE '\\'",
                [kind],
            )
        }
        for kind in ("table", "view")
    }
    for kind, described in (("table", TABLES), ("view", VIEWS)):
        assert {name: sorted(columns) for name, columns in found[kind].items()} == {
            name: sorted(one.columns) for name, one in described.items()
        }


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_every_query_runs_and_names_its_columns(piped: Piped, query: Query) -> None:
    store = Store.open(piped.db, create=False, write=False)
    cursor = store.connection.execute(query.sql)
    names = [column[0] for column in cursor.description]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    cursor.fetchall()


def test_ten_queries_answer_ten_questions() -> None:
    assert len({query.sql for query in QUERIES}) == len({query.name for query in QUERIES}) >= 10


def test_some_of_them_find_something(piped: Piped) -> None:
    store = Store.open(piped.db, create=False, write=False)
    answers = {query.name: store.rows(query.sql) for query in QUERIES}
    assert sum(row[2] for row in answers["reasons"]) == piped.said["curate"].json["dropped"]
    assert sum(row[3] for row in answers["score_histogram"]) == piped.said["score"].json["scored"]
    assert sum(row[2] for row in answers["training_curve"]) == piped.said["train"].json["steps"]
    assert {row[3] for row in answers["how_it_was_made"]} == {"gen", "score", "curate", "train", "eval"}


def test_the_page_about_the_store_is_made_from_it() -> None:
    """After a change: multicsr store --markdown > docs/store.md"""
    assert (ROOT / "docs" / "store.md").read_text(encoding="utf-8") == multicsr("store", "--markdown").out


def test_the_store_is_listed_with_its_rows(piped: Piped, tmp_path: Path) -> None:
    said = multicsr("store", "--db", piped.db, "--json", "--datasette", tmp_path / "m.json").json
    rows = {one["name"]: one["rows"] for one in said["objects"]}
    assert rows["premises"] == 10
    assert rows["drafts"] == rows["hypotheses"] == 20
    tables = json.loads((tmp_path / "m.json").read_text())["databases"]["s"]["tables"]
    assert set(tables) == set(rows)


def test_datasette_opens_it(piped: Piped, tmp_path: Path) -> None:
    """The real program, one page of a table and one of a query."""
    metadata = describe.datasette(piped.db.stem)

    async def pages() -> list[str]:
        served = Datasette([str(piped.db)], metadata=metadata)
        found = [await served.client.get(f"/{piped.db.stem}/{page}") for page in ("drafts", "reasons")]
        assert [page.status_code for page in found] == [200, 200]
        return [page.text for page in found]

    drafts, reasons = asyncio.run(pages())
    assert TABLES["drafts"].about.replace("`", "") in drafts.replace("`", "")
    assert f"/{piped.db.stem}/premises/1" in drafts  # a foreign key is a link
    assert "Why were triplets dropped?" in reasons
