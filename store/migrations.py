"""Bringing a file up to the schema. One migration mechanism, sqlite-utils' own: a migration and its record commit together.

Imported only when a store is created or upgraded: sqlite-utils loads pandas where that is installed, half a second that
`multicsr inspect` would feel.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from store import schema

migrations = Migrations("multicsr")


def apply(connection: sqlite3.Connection) -> None:
    """Apply what is missing."""
    migrations.apply(Database(connection, execute_plugins=False))


@migrations()
def m001_store(db: Database) -> None:
    for statement in schema.TABLES + schema.VIEWS:
        db.execute(statement)
    db["premises"].enable_fts(["text"], fts_version="FTS5", create_triggers=True)  # type: ignore[union-attr]
    db["drafts"].enable_fts(["text"], fts_version="FTS5", create_triggers=True)  # type: ignore[union-attr]


@migrations()
def m002_decisions_are_a_view(db: Database) -> None:
    for statement in schema.SIDE_BY_SIDE:
        db.execute(statement)


@migrations()
def m003_judgements(db: Database) -> None:
    db.execute(schema.JUDGEMENTS)


@migrations()
def m004_reviews(db: Database) -> None:
    for statement in schema.REVIEWS:
        db.execute(statement)


@migrations()
def m005_rewrites(db: Database) -> None:
    # Triggers and indexes go with their table, and a view that reads a table which is gone for a moment would forbid to give
    # another one its name.
    kept = db.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type = 'view'"
        " OR (type IN ('index', 'trigger') AND tbl_name IN ('drafts', 'scores') AND sql NOTNULL) ORDER BY rowid"
    ).fetchall()
    for kind, name, _ in kept:
        if kind == "view":
            db.execute(f"DROP VIEW {name}")
    for statement in schema.REWRITES:
        db.execute(statement)
    for _, name, sql in kept:
        if name != "hypotheses":  # it has become another one
            db.execute(sql)


@migrations()
def m006_min_contradiction(db: Database) -> None:
    for statement in schema.MIN_CONTRADICTION:
        db.execute(statement)
