"""The tables: what happened, as SQL; `store/views.py` has the views for those who read, `store/migrations.py` makes both.

Arrow: all of them end here. Tables are STRICT. What a model said and what was measured is written once and only added to:
premises, prompts, drafts, scores, decisions, judgements, reviews. Four things change after they are written: a run's
`counts` grow with what it spends and its `finished` is set once; `sources.imported` and `.duplicates` are set when the last
row has come; a step or figure that is computed again after a restart replaces its equal; and a resume point goes when a
newer one, or the model, is there.

Why `drafts` and `hypotheses` are two: a prompt with its shots is longer than the sentence it makes and is the same for
thousands of premises, so the template is stored once in `prompts`, and the view puts the premise back into it.

Why `decisions` is a view: a decision follows from two scores and the run's thresholds, so a million of them need no row
each. `pairs` holds the two scores of a premise side by side, once a score run; `rules` the thresholds of a curate run; and
`repeats` the few premises that a comparison of texts drops. None of the three ever changes, so neither does what the view
`ruled` says. CLAIF decides on a pair at a time, partly by a draw, so `partners` has a row a pair.

Why `masked` has keys and no texts: a negative that a training's mask removed is one of the drafts, or a premise, so the view
`masked_pairs` has its words. The keys are those of what was trained on: the role as it was read, after any swap, whatever
persons say later. Examples are told apart by their places in the training, since a corpus may join it twice.

Why a review is keyed on the gen run: a person judges texts, and every curation of these texts, earlier or later, is to hear
it. What a person said is kept word by word; the last word counts, and taking one back is another row. So a training that
knew an earlier word (its run names their digest) can still be told what it knew.
"""

from __future__ import annotations

from store import rule

# "mcsr" as a big-endian integer: tells a multicsr store from any other SQLite file.
APPLICATION_ID = 0x6D637372

# The migrations there are, oldest first; store/migrations.py applies them. Known by name here, so that opening a store that
# is up to date does not import sqlite-utils.
MIGRATIONS = ("m001_store",)

# The store version that the first migration makes. A file with a lower one has a layout that no migration takes up.
FIRST_VERSION = 8

HYPOTHESIS = "role IN ('entailment', 'contradiction') OR role GLOB 'rewrite-[0-9]*'"

# What SQLite says of an index over another table's texts: the two that keep it true. It is filled by one statement a batch
# (store/rows/premises.py, store/rows/drafts.py): a trigger on INSERT would write a segment of the index for every row, which
# takes more time than all else of an import.
SEARCHED = ("premises", "drafts")
INDEX_OF_TEXTS = (
    "CREATE VIRTUAL TABLE {0}_fts USING FTS5 (text, content={0})",
    """
    CREATE TRIGGER {0}_ad AFTER DELETE ON {0} BEGIN
        INSERT INTO {0}_fts ({0}_fts, rowid, text) VALUES ('delete', old.rowid, old.text);
    END
    """,
    """
    CREATE TRIGGER {0}_au AFTER UPDATE ON {0} BEGIN
        INSERT INTO {0}_fts ({0}_fts, rowid, text) VALUES ('delete', old.rowid, old.text);
        INSERT INTO {0}_fts (rowid, text) VALUES (new.rowid, new.text);
    END
    """,
)

TABLES = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        stage TEXT NOT NULL,
        version INTEGER NOT NULL,
        parent TEXT REFERENCES runs(id),
        config TEXT NOT NULL CHECK (json_valid(config)),
        environment TEXT NOT NULL CHECK (json_valid(environment)),
        counts TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(counts)),
        started TEXT NOT NULL,
        finished TEXT
    ) STRICT
    """,
    """
    CREATE TABLE sources (
        name TEXT PRIMARY KEY,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        rows INTEGER NOT NULL,
        duplicates INTEGER,
        imported TEXT
    ) STRICT
    """,
    """
    CREATE TABLE premises (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL REFERENCES sources(name),
        position INTEGER NOT NULL,
        text TEXT NOT NULL,
        UNIQUE (source, text)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX premises_by_position ON premises(source, position)",
    "CREATE TABLE prompt_sets (digest TEXT PRIMARY KEY, name TEXT NOT NULL, toml TEXT NOT NULL) STRICT",
    "CREATE TABLE prompts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT",
    # `masked` is what stands in the prompt in the premise's place: the premise with words masked.
    f"""
    CREATE TABLE drafts (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK ({HYPOTHESIS}),
        text TEXT NOT NULL,
        raw TEXT,
        problem TEXT,
        prompt INTEGER NOT NULL REFERENCES prompts(id),
        masked TEXT,
        tokens INTEGER NOT NULL,
        UNIQUE (run, premise, role)
    ) STRICT
    """,
    "CREATE INDEX drafts_with_problem ON drafts(run, premise, role, problem) WHERE problem IS NOT NULL",
    *(statement.format(table) for table in SEARCHED for statement in INDEX_OF_TEXTS),
    f"""
    CREATE TABLE scores (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK ({HYPOTHESIS}),
        value REAL CHECK (value BETWEEN 0 AND 5),
        reply TEXT NOT NULL,
        PRIMARY KEY (run, premise, role)
    ) STRICT, WITHOUT ROWID
    """,
    # Without foreign keys: made from `scores`, which has them, and checking them again takes a tenth of a first curation.
    """
    CREATE TABLE pairs (
        run TEXT NOT NULL,
        premise INTEGER NOT NULL,
        a REAL,
        b REAL,
        problem TEXT,
        PRIMARY KEY (run, premise)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    CREATE TABLE rules (
        run TEXT PRIMARY KEY REFERENCES runs(id),
        score TEXT NOT NULL REFERENCES runs(id),
        {", ".join(f"{level.threshold} REAL NOT NULL" for level in rule.LEVELS)},
        swap INTEGER NOT NULL CHECK (swap IN (0, 1))
    ) STRICT
    """,
    """
    CREATE TABLE repeats (
        run TEXT NOT NULL REFERENCES rules(run),
        premise INTEGER NOT NULL REFERENCES premises(id),
        reason TEXT NOT NULL CHECK (reason IN ('copy', 'duplicate')),
        PRIMARY KEY (run, premise)
    ) STRICT, WITHOUT ROWID
    """,
    # A rewrite and its verdict, or a rewrite of another premise (`rewrite` of `other`), drawn as a partner of nothing in
    # common.
    """
    CREATE TABLE partners (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK (role GLOB 'rewrite-[0-9]*' OR role GLOB 'random-[0-9]*'),
        other INTEGER REFERENCES premises(id) CHECK ((other NOTNULL) = (role GLOB 'random-*') AND other <> premise),
        rewrite TEXT CHECK ((rewrite NOTNULL) = (other NOTNULL) AND rewrite GLOB 'rewrite-[0-9]*'),
        label REAL CHECK (label BETWEEN 0 AND 1),
        verdict TEXT NOT NULL CHECK (verdict IN ('keep', 'drop')),
        reason TEXT CHECK ((verdict = 'keep') = (reason IS NULL)),
        PRIMARY KEY (run, premise, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        verdict TEXT CHECK (verdict IN ('keep', 'drop')),
        note TEXT NOT NULL,
        written TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX reviews_by_triplet ON reviews(run, premise, id)",
    """
    CREATE TABLE steps (
        run TEXT NOT NULL REFERENCES runs(id),
        step INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        loss REAL NOT NULL,
        masked_share REAL NOT NULL,
        lr REAL NOT NULL,
        PRIMARY KEY (run, step)
    ) STRICT, WITHOUT ROWID
    """,
    # Of the premise at `place`, the text at `other_place`: a draft, or the premise there.
    """
    CREATE TABLE masked (
        run TEXT NOT NULL REFERENCES runs(id),
        place INTEGER NOT NULL CHECK (place >= 0),
        other_place INTEGER NOT NULL CHECK (other_place >= 0),
        role TEXT NOT NULL CHECK (role IN ('entailment', 'contradiction', 'premise')),
        premise INTEGER NOT NULL REFERENCES premises(id),
        other INTEGER NOT NULL REFERENCES premises(id),
        draft INTEGER REFERENCES drafts(id) CHECK ((draft IS NULL) = (role = 'premise')),
        cosine REAL NOT NULL,
        times INTEGER NOT NULL CHECK (times > 0),
        PRIMARY KEY (run, place, other_place, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE checkpoints (
        run TEXT NOT NULL REFERENCES runs(id),
        step INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('resume', 'model')),
        path TEXT NOT NULL,
        written TEXT NOT NULL,
        PRIMARY KEY (run, kind, step)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE metrics (
        run TEXT NOT NULL REFERENCES runs(id),
        task TEXT NOT NULL,
        subset TEXT NOT NULL DEFAULT '',
        name TEXT NOT NULL,
        step INTEGER NOT NULL DEFAULT 0,
        value REAL NOT NULL,
        n INTEGER NOT NULL,
        error REAL,
        PRIMARY KEY (run, task, subset, name, step)
    ) STRICT, WITHOUT ROWID
    """,
    # `position` counts the judged pairs of a subset from 1, in the order of its file.
    """
    CREATE TABLE judgements (
        run TEXT NOT NULL REFERENCES runs(id),
        task TEXT NOT NULL,
        subset TEXT NOT NULL DEFAULT '',
        position INTEGER NOT NULL CHECK (position > 0),
        value REAL CHECK (value BETWEEN 0 AND 5),
        reply TEXT NOT NULL,
        PRIMARY KEY (run, task, subset, position)
    ) STRICT, WITHOUT ROWID
    """,
)


def newest() -> int:
    """The version this code writes: one more for each migration after the first."""
    return FIRST_VERSION + len(MIGRATIONS) - 1
