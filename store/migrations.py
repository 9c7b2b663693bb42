"""Bringing a file up to the schema. One migration mechanism, sqlite-utils' own: a migration and its record commit together.

Imported only when a store is created or upgraded: sqlite-utils loads pandas where that is installed, half a second that
`multicsr inspect` would feel. A migration is never edited once a store was made with it; the next one is appended here and in
`schema.MIGRATIONS`, and sets the next version.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from store import schema, views

migrations = Migrations("multicsr")


def apply(connection: sqlite3.Connection) -> None:
    """Apply what is missing."""
    migrations.apply(Database(connection, execute_plugins=False))


@migrations()
def m001_store(db: Database) -> None:
    for statement in schema.TABLES + views.VIEWS:
        db.execute(statement)
    # With the tables or not at all: tables under a lower version are another layout.
    db.execute(f"PRAGMA user_version = {schema.FIRST_VERSION}")
