"""A store of the version before keeps what it says: decisions that were rows read the same as a view."""

from __future__ import annotations

import json
from dataclasses import replace
from sqlite3 import IntegrityError

import pytest
from rows import CURATE, GEN, SCORE, Made
from sqlite_utils import Database

from stages import curate
from stages.config import CurateConfig
from store import migrations, schema
from store.database import Store
from store.read import triplets as browse
from store.records import as_config, canonical
from store.rows import judgements, training
from store.rows.judgements import JudgementRow

MADE = [
    Made("A dog runs.", "A dog moves.", "No dog runs.", a=4.0, b=1.0),
    Made("a dog, runs", "a dog moves", "no dog runs", a=4.0, b=1.0),
    Made("Rain falls.", "It rains.", "It is dry.", a=2.0, b=0.5),
    Made("He sings.", "He makes music.", "", c_problem="empty", a=4.5, b=None),
    Made("She sleeps.", "She rests.", "She is awake.", a=4.0, b=3.5),
    Made("They ate.", "they ate", "They fasted.", a=5.0, b=0.0),
    Made("We read.", "We sleep.", "We read a book.", a=1.0, b=4.0),
    Made("It ends.", "It stops.", "It goes on.", a=None, b=1.0),
]
COPIES = replace(CURATE, drop_copies=True, drop_duplicates=True)
SWAP = replace(COPIES, swap_reversed=True)
# What the first version wrote: (reason, swapped) of each premise above.
KEPT, LAST = (None, 0), ("unscored", 0)
WRITTEN: list[tuple[CurateConfig, list[tuple[str | None, int]]]] = [
    (
        CURATE,
        [KEPT, KEPT, ("a<alpha", 0), ("empty", 0), ("b>beta", 0), KEPT, ("a<alpha", 0), LAST],
    ),
    (
        COPIES,
        [KEPT, ("duplicate", 0), ("a<alpha", 0), ("empty", 0), ("b>beta", 0), ("copy", 0), ("a<alpha", 0), LAST],
    ),
    (
        SWAP,
        [KEPT, ("duplicate", 0), ("a<alpha", 0), ("empty", 0), ("b>beta", 0), ("copy", 0), (None, 1), LAST],
    ),
]


@pytest.fixture
def old() -> Store:
    """A store as the first version left it: its own tables and triggers, and a row a decision."""
    db = Database(memory=True)
    migrations.migrations.apply(db, stop_before="m002_decisions_are_a_view")
    connection = db.conn
    ids = {"gen": "g" * 12, "score": "s" * 12}
    for stage, config, parent in (("gen", GEN, None), ("score", SCORE, ids["gen"])):
        _run(db, ids[stage], stage, parent, config)
    connection.execute("INSERT INTO sources (name, path, digest, rows) VALUES ('made', 'made.txt', 'd', 8)")
    connection.execute("INSERT INTO prompts (text) VALUES ('{premise}')")
    for id, one in enumerate(MADE, start=1):
        connection.execute("INSERT INTO premises (source, position, text) VALUES ('made', ?, ?)", [id, one.x])
        for role, text, problem, value in (
            ("entailment", one.x_plus, one.e_problem, one.a),
            ("contradiction", one.x_minus, one.c_problem, one.b),
        ):
            connection.execute(
                "INSERT INTO drafts (run, premise, role, text, problem, prompt, tokens) VALUES (?, ?, ?, ?, ?, 1, 1)",
                [ids["gen"], id, role, text, problem],
            )
            connection.execute(
                "INSERT INTO scores (run, premise, role, value, reply) VALUES (?, ?, ?, ?, '')",
                [ids["score"], id, role, value],
            )
    for number, (config, made) in enumerate(WRITTEN):
        _run(db, f"c{number}", "curate", ids["score"], config)
        connection.executemany(
            "INSERT INTO decisions (run, premise, verdict, reason, swapped) VALUES (?, ?, ?, ?, ?)",
            [
                (f"c{number}", id, "drop" if reason else "keep", reason, swapped)
                for id, (reason, swapped) in enumerate(made, start=1)
            ],
        )
    return Store(db.conn, None)


def _run(db: Database, id: str, stage: str, parent: str | None, config: object) -> None:
    db.conn.execute(
        "INSERT INTO runs (id, stage, version, parent, config, environment, started, finished)"
        " VALUES (?, ?, 1, ?, ?, '{}', 't', 't')",
        [id, stage, parent, canonical(as_config(config))],
    )


def test_a_store_without_judgements_takes_them(old: Store) -> None:
    """Its rows stay; a judgement of no run, out of range or without a reply is refused as in a new store."""
    migrations.apply(old.connection)
    fresh = Store.memory()
    described = "SELECT sql FROM sqlite_master WHERE name = 'judgements'"
    assert old.rows(described) == fresh.rows(described)
    assert old.one("SELECT count(*) FROM premises") == (len(MADE),)
    run = old.run("s" * 12)
    judgements.add(old, run, "stsb", [JudgementRow("", 1, 2.5, "2.5"), JudgementRow("", 2, None, "who knows")])
    assert judgements.values(old, run, "stsb") == {("", 1): 2.5, ("", 2): None}
    for row in (JudgementRow("", 1, 2.5, "twice"), JudgementRow("", 3, 5.5, "5.5"), JudgementRow("", 0, 1.0, "1")):
        with pytest.raises(IntegrityError):
            judgements.add(old, run, "stsb", [row])


def test_the_schema_names_the_migrations_there_are() -> None:
    assert [migration.name for migration in migrations.migrations._migrations] == list(schema.MIGRATIONS)


def test_decisions_and_triplets_read_as_before(old: Store) -> None:
    asked = (
        "SELECT run, premise, verdict, reason, swapped FROM decisions ORDER BY 1, 2",
        "SELECT * FROM triplets ORDER BY run, premise_id",
    )
    before = [old.rows(sql) for sql in asked]
    assert len(before[0]) == len(WRITTEN) * len(MADE)
    migrations.apply(old.connection)
    assert [old.rows(sql) for sql in asked] == before


def test_an_upgraded_store_goes_on(old: Store) -> None:
    """The same curation anew, and words that only the new way of filling the full-text index could find."""
    migrations.apply(old.connection)
    old.connection.execute("UPDATE runs SET counts = ? WHERE stage = 'gen'", [json.dumps({"premises": len(MADE)})])
    for config, made in WRITTEN:
        list(curate.run(old, config, old.run("s" * 12)))
        run = old.begin("curate", curate.VERSION, config, "s" * 12)
        found = old.rows("SELECT reason, swapped FROM decisions WHERE run = ? ORDER BY premise", [run.id])
        assert found == made
        assert len(list(training.triplets(old, run))) == run.counts["kept"] == sum(reason is None for reason, _ in made)
    assert [row.premise for row in browse.rows(old, browse.view(old, old.run("c0")), search="awake")] == ["She sleeps."]


def test_rewrites_get_room_beside_what_is_there(old: Store) -> None:
    """Rows, ids, the index of texts, indexes, triggers and views of the tables that are built anew stay; roles are more."""
    asked = (
        "SELECT id, run, premise, role, text, raw, problem, prompt, tokens FROM drafts ORDER BY id",
        "SELECT * FROM scores ORDER BY run, premise, role",
        "SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH 'dog' ORDER BY rowid",
        "SELECT * FROM hypotheses ORDER BY run, premise, role",
        "SELECT type, name FROM sqlite_master WHERE name <> 'partners' AND name <> 'sentence_pairs' ORDER BY 1, 2",
    )
    migrations.migrations.apply(Database(old.connection), stop_before="m005_rewrites")
    before = [old.rows(sql) for sql in asked]
    assert all(before)
    migrations.apply(old.connection)
    assert [old.rows(sql) for sql in asked] == before
    assert not old.rows("PRAGMA foreign_key_check")
    old.connection.execute("INSERT INTO drafts_fts (drafts_fts) VALUES ('integrity-check')")
    row = "INSERT INTO scores (run, premise, role, value, reply) VALUES (?, 1, ?, 1.0, '')"
    for role in ("rewrite-0", "rewrite-8", "rewrite-12"):
        old.connection.execute(row, ["s" * 12, role])
    for role in ("rewrite", "rewrite-", "paraphrase", "random-0", ""):
        with pytest.raises(IntegrityError):
            old.connection.execute(row, ["s" * 12, role])
