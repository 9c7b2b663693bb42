"""The schema: tables for what happened, views for those who read, as SQL; `store/migrations.py` puts it into a file.

Arrow: all of them end here. Tables are STRICT and rows are never updated once written, save that a run is marked
finished. A store that has run a migration this version does not know
is newer, and is refused before anything is touched.

Why `drafts` and `hypotheses` are two: a prompt with its shots is longer than the sentence it makes and is the same for
thousands of premises, so the template is stored once in `prompts`, and the view puts the premise back into it.

Why `decisions` is a view: a decision follows from two scores and the run's thresholds, so a million of them need no row
each. `pairs` holds the two scores of a premise side by side, once a score run; `rules` the thresholds of a curate run; and
`repeats` the few premises that a comparison of texts drops. None of the three ever changes, so neither does what the view
`ruled` says.

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
MIGRATIONS = (
    "m001_store",
    "m002_decisions_are_a_view",
    "m003_judgements",
    "m004_reviews",
    "m005_rewrites",
    "m006_min_contradiction",
)

# Both scores of each premise side by side; a condition and a GROUP BY follow.
PAIRED = """
    SELECT run, premise, max(value) FILTER (WHERE role = 'entailment') AS a,
           max(value) FILTER (WHERE role = 'contradiction') AS b FROM scores
"""

# The first problem of a pair's hypotheses. Few have one, so it is looked up for these alone.
FIRST_PROBLEM = """
    (SELECT problem FROM drafts JOIN runs AS score ON score.parent = drafts.run
     WHERE score.id = pairs.run AND drafts.premise = pairs.premise AND problem IS NOT NULL ORDER BY role DESC LIMIT 1)
"""

# The levels of the rule, in their order, as branches of a CASE over the columns of `rules`.
LEVELS = "\n            ".join(
    f"WHEN NOT ({level.passes(rule.A, rule.B, rule.columns()[level.threshold])}) THEN '{level.reason}'"
    for level in rule.LEVELS
)

TABLES = [
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
    """
    CREATE TABLE drafts (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK (role IN ('entailment', 'contradiction')),
        text TEXT NOT NULL,
        raw TEXT,
        problem TEXT,
        prompt INTEGER NOT NULL REFERENCES prompts(id),
        tokens INTEGER NOT NULL,
        UNIQUE (run, premise, role)
    ) STRICT
    """,
    """
    CREATE TABLE scores (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK (role IN ('entailment', 'contradiction')),
        value REAL CHECK (value BETWEEN 0 AND 5),
        reply TEXT NOT NULL,
        PRIMARY KEY (run, premise, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE decisions (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        verdict TEXT NOT NULL CHECK (verdict IN ('keep', 'drop')),
        reason TEXT CHECK ((verdict = 'keep') = (reason IS NULL)),
        swapped INTEGER NOT NULL DEFAULT 0 CHECK (swapped IN (0, 1)),
        PRIMARY KEY (run, premise)
    ) STRICT, WITHOUT ROWID
    """,
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
]

VIEWS = [
    """
    CREATE VIEW hypotheses AS
    SELECT drafts.run, drafts.premise, drafts.role, drafts.text,
           replace(prompts.text, '{premise}', premises.text) AS prompt,
           drafts.tokens, drafts.problem, drafts.raw
    FROM drafts JOIN premises ON premises.id = drafts.premise JOIN prompts ON prompts.id = drafts.prompt
    """,
    # What `train` reads: the kept triplets of a curate run, or every triplet of a gen run.
    """
    CREATE VIEW triplets AS
    SELECT curate.id AS run, premises.id AS premise_id, premises.source AS source, premises.text AS premise,
           iif(decisions.swapped, c.text, e.text) AS entailment,
           iif(decisions.swapped, e.text, c.text) AS contradiction,
           iif(decisions.swapped, sc.value, se.value) AS a,
           iif(decisions.swapped, se.value, sc.value) AS b
    FROM runs AS curate
    JOIN runs AS score ON score.id = curate.parent
    JOIN decisions ON decisions.run = curate.id AND decisions.verdict = 'keep'
    JOIN premises ON premises.id = decisions.premise
    JOIN drafts AS e ON e.run = score.parent AND e.premise = premises.id AND e.role = 'entailment'
    JOIN drafts AS c ON c.run = score.parent AND c.premise = premises.id AND c.role = 'contradiction'
    JOIN scores AS se ON se.run = score.id AND se.premise = premises.id AND se.role = 'entailment'
    JOIN scores AS sc ON sc.run = score.id AND sc.premise = premises.id AND sc.role = 'contradiction'
    WHERE curate.stage = 'curate'
    UNION ALL
    SELECT gen.id, premises.id, premises.source, premises.text, e.text, c.text, NULL, NULL
    FROM runs AS gen
    JOIN drafts AS e ON e.run = gen.id AND e.role = 'entailment' AND e.text <> ''
    JOIN drafts AS c ON c.run = gen.id AND c.premise = e.premise AND c.role = 'contradiction' AND c.text <> ''
    JOIN premises ON premises.id = e.premise
    WHERE gen.stage = 'gen'
    """,
    # One row a level: how many premises reached it, and for each reason how many were dropped for it.
    """
    CREATE VIEW funnel AS
    SELECT runs.id AS run, level.key AS level, NULL AS reason, level.value AS premises
    FROM runs, json_each(runs.counts, '$.funnel') AS level WHERE runs.stage = 'curate'
    UNION ALL
    SELECT runs.id, 'dropped', why.key, why.value
    FROM runs, json_each(runs.counts, '$.reasons') AS why WHERE runs.stage = 'curate'
    """,
    """
    CREATE VIEW lineage AS
    WITH RECURSIVE line(run, distance, ancestor) AS (
        SELECT id, 0, id FROM runs
        UNION ALL
        SELECT line.run, line.distance + 1, runs.parent
        FROM line JOIN runs ON runs.id = line.ancestor WHERE runs.parent IS NOT NULL
    )
    SELECT line.run, line.distance, line.ancestor, runs.stage, runs.config
    FROM line JOIN runs ON runs.id = line.ancestor
    """,
    """
    CREATE VIEW leaderboard AS
    SELECT metrics.task, metrics.subset, metrics.name AS metric, metrics.value, metrics.error, metrics.n,
           runs.config ->> 'model' AS model, runs.parent AS trained, runs.id AS run
    FROM metrics JOIN runs ON runs.id = metrics.run
    WHERE runs.stage = 'eval' AND runs.finished IS NOT NULL
    ORDER BY metrics.task, metrics.subset, metrics.name, metrics.value DESC
    """,
]


# One statement after the other; what the table `decisions` held is what the view gives.
SIDE_BY_SIDE = [
    # The full-text index is filled by one statement a batch (store/rows/premises.py, store/rows/drafts.py): a trigger wrote a
    # segment of the index for every row, which took more time than all else of an import.
    "DROP TRIGGER premises_ai",
    "DROP TRIGGER drafts_ai",
    "CREATE INDEX drafts_with_problem ON drafts(run, premise, role, problem) WHERE problem IS NOT NULL",
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
    """
    CREATE TABLE rules (
        run TEXT PRIMARY KEY REFERENCES runs(id),
        score TEXT NOT NULL REFERENCES runs(id),
        alpha REAL NOT NULL,
        beta REAL NOT NULL,
        gamma REAL NOT NULL,
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
    """
    INSERT INTO rules
    SELECT id, parent, config ->> 'alpha', config ->> 'beta', config ->> 'gamma', config ->> 'swap_reversed'
    FROM runs WHERE stage = 'curate'
    """,
    f"INSERT INTO pairs (run, premise, a, b) {PAIRED} WHERE run IN (SELECT score FROM rules) GROUP BY run, premise",
    f"UPDATE pairs SET problem = {FIRST_PROBLEM} WHERE premise IN (SELECT premise FROM drafts WHERE problem IS NOT NULL)",
    "INSERT INTO repeats SELECT run, premise, reason FROM decisions WHERE reason IN ('copy', 'duplicate')",
    "DROP VIEW triplets",
    "DROP TABLE decisions",
    # The rule (MultiCSR, eq. 4) with the first reason that applies, NULL to keep. Scores are rounded when they are stored,
    # gamma and b are not added in binary to the same digits, hence the tiny allowance: 3.3 >= 2.3 + 1.0 must hold. With
    # `swap`, a pair whose scores are reversed changes roles, as the released MultiCSR code does; the paper drops it.
    """
    CREATE VIEW decisions AS
    WITH read AS (
        SELECT rules.run, pairs.premise, pairs.problem, rules.alpha, rules.beta, rules.gamma,
               coalesce(rules.swap AND pairs.a < pairs.b, 0) AS swapped,
               iif(rules.swap AND pairs.a < pairs.b, pairs.b, pairs.a) AS a,
               iif(rules.swap AND pairs.a < pairs.b, pairs.a, pairs.b) AS b
        FROM rules JOIN pairs ON pairs.run = rules.score
    ), reasoned AS (
        SELECT run, premise, swapped, a, b, CASE
            WHEN problem IS NOT NULL THEN problem
            WHEN a IS NULL OR b IS NULL THEN 'unscored'
            WHEN a < alpha THEN 'a<alpha'
            WHEN b > beta THEN 'b>beta'
            WHEN a < b + gamma - 1e-9 THEN 'a<b+gamma'
            ELSE (SELECT reason FROM repeats WHERE repeats.run = read.run AND repeats.premise = read.premise)
        END AS reason FROM read
    )
    SELECT run, premise, iif(reason IS NULL, 'keep', 'drop') AS verdict, reason, swapped, a, b FROM reasoned
    """,
    """
    CREATE VIEW triplets AS
    SELECT rules.run AS run, premises.id AS premise_id, premises.source AS source, premises.text AS premise,
           iif(decisions.swapped, c.text, e.text) AS entailment,
           iif(decisions.swapped, e.text, c.text) AS contradiction,
           decisions.a AS a, decisions.b AS b
    FROM rules
    JOIN runs AS score ON score.id = rules.score
    JOIN decisions ON decisions.run = rules.run AND decisions.verdict = 'keep'
    JOIN premises ON premises.id = decisions.premise
    JOIN drafts AS e ON e.run = score.parent AND e.premise = premises.id AND e.role = 'entailment'
    JOIN drafts AS c ON c.run = score.parent AND c.premise = premises.id AND c.role = 'contradiction'
    UNION ALL
    SELECT gen.id, premises.id, premises.source, premises.text, e.text, c.text, NULL, NULL
    FROM runs AS gen
    JOIN drafts AS e ON e.run = gen.id AND e.role = 'entailment' AND e.text <> ''
    JOIN drafts AS c ON c.run = gen.id AND c.premise = e.premise AND c.role = 'contradiction' AND c.text <> ''
    JOIN premises ON premises.id = e.premise
    WHERE gen.stage = 'gen'
    """,
]

# `position` counts the judged pairs of a subset from 1, in the order of its file.
JUDGEMENTS = """
    CREATE TABLE judgements (
        run TEXT NOT NULL REFERENCES runs(id),
        task TEXT NOT NULL,
        subset TEXT NOT NULL DEFAULT '',
        position INTEGER NOT NULL CHECK (position > 0),
        value REAL CHECK (value BETWEEN 0 AND 5),
        reply TEXT NOT NULL,
        PRIMARY KEY (run, task, subset, position)
    ) STRICT, WITHOUT ROWID
"""

# A person's word over the rule. The views of before read `ruled` under its own name, and `decisions` what counts in the end.
REVIEWS = [
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
    # The words in force: the last one over each triplet of a gen run, unless it was taken back (no verdict).
    """
    CREATE VIEW reviewed AS
    SELECT run, premise, verdict, note, written FROM reviews
    WHERE verdict NOTNULL AND id = (
        SELECT max(later.id) FROM reviews AS later WHERE later.run = reviews.run AND later.premise = reviews.premise
    )
    """,
    "DROP VIEW triplets",
    "DROP VIEW decisions",
    "DROP VIEW funnel",
    # What the rule says, whatever anybody thinks of it: the view `decisions` of before.
    """
    CREATE VIEW ruled AS
    WITH read AS (
        SELECT rules.run, rules.score, pairs.premise, pairs.problem, rules.alpha, rules.beta, rules.gamma,
               coalesce(rules.swap AND pairs.a < pairs.b, 0) AS swapped,
               iif(rules.swap AND pairs.a < pairs.b, pairs.b, pairs.a) AS a,
               iif(rules.swap AND pairs.a < pairs.b, pairs.a, pairs.b) AS b
        FROM rules JOIN pairs ON pairs.run = rules.score
    ), reasoned AS (
        SELECT run, score, premise, swapped, a, b, CASE
            WHEN problem IS NOT NULL THEN problem
            WHEN a IS NULL OR b IS NULL THEN 'unscored'
            WHEN a < alpha THEN 'a<alpha'
            WHEN b > beta THEN 'b>beta'
            WHEN a < b + gamma - 1e-9 THEN 'a<b+gamma'
            ELSE (SELECT reason FROM repeats WHERE repeats.run = read.run AND repeats.premise = read.premise)
        END AS reason FROM read
    )
    SELECT run, score, premise, iif(reason IS NULL, 'keep', 'drop') AS verdict, reason, swapped, a, b FROM reasoned
    """,
    # A reason is the rule's where the rule drops; 'review' where only a person does.
    """
    CREATE VIEW decisions AS
    SELECT ruled.run, ruled.premise, coalesce(reviewed.verdict, ruled.verdict) AS verdict,
           CASE coalesce(reviewed.verdict, ruled.verdict) WHEN 'drop' THEN coalesce(ruled.reason, 'review') END AS reason,
           ruled.swapped, ruled.a, ruled.b, reviewed.verdict AS review
    FROM ruled JOIN runs AS score ON score.id = ruled.score
    LEFT JOIN reviewed ON reviewed.run = score.parent AND reviewed.premise = ruled.premise
    """,
    # The decisions that a person turned. CROSS JOIN: from the few words to the rule, never the other way round.
    """
    CREATE VIEW overruled AS
    SELECT ruled.run, ruled.premise, reviewed.verdict, ruled.reason, reviewed.note
    FROM reviewed CROSS JOIN runs AS score ON score.parent = reviewed.run
    CROSS JOIN rules ON rules.score = score.id
    CROSS JOIN ruled ON ruled.run = rules.run AND ruled.premise = reviewed.premise
    WHERE reviewed.verdict <> ruled.verdict
    """,
    """
    CREATE VIEW triplets AS
    SELECT rules.run AS run, premises.id AS premise_id, premises.source AS source, premises.text AS premise,
           iif(decisions.swapped, c.text, e.text) AS entailment,
           iif(decisions.swapped, e.text, c.text) AS contradiction,
           decisions.a AS a, decisions.b AS b
    FROM rules
    JOIN runs AS score ON score.id = rules.score
    JOIN decisions ON decisions.run = rules.run AND decisions.verdict = 'keep'
    JOIN premises ON premises.id = decisions.premise
    JOIN drafts AS e ON e.run = score.parent AND e.premise = premises.id AND e.role = 'entailment'
    JOIN drafts AS c ON c.run = score.parent AND c.premise = premises.id AND c.role = 'contradiction'
    UNION ALL
    SELECT gen.id, premises.id, premises.source, premises.text, e.text, c.text, NULL, NULL
    FROM runs AS gen
    JOIN drafts AS e ON e.run = gen.id AND e.role = 'entailment' AND e.text <> ''
    JOIN drafts AS c ON c.run = gen.id AND c.premise = e.premise AND c.role = 'contradiction' AND c.text <> ''
    JOIN premises ON premises.id = e.premise
    LEFT JOIN reviewed ON reviewed.run = gen.id AND reviewed.premise = e.premise
    WHERE gen.stage = 'gen' AND reviewed.verdict IS NOT 'drop'
    """,
    # A run has counted what its rule does; what persons turned since is added here, and told apart as the reason 'review'.
    """
    CREATE VIEW funnel AS
    SELECT runs.id AS run, level.key AS level, NULL AS reason, level.value + iif(level.key = 'kept',
           (SELECT coalesce(sum(iif(verdict = 'keep', 1, -1)), 0) FROM overruled WHERE run = runs.id), 0) AS premises
    FROM runs, json_each(runs.counts, '$.funnel') AS level WHERE runs.stage = 'curate'
    UNION ALL
    SELECT runs.id, 'dropped', why.key,
           why.value - (SELECT count(*) FROM overruled WHERE run = runs.id AND reason = why.key)
    FROM runs, json_each(runs.counts, '$.reasons') AS why WHERE runs.stage = 'curate'
    UNION ALL
    SELECT overruled.run, iif(verdict = 'keep', 'kept', 'dropped'), 'review', count(*)
    FROM overruled JOIN runs ON runs.id = overruled.run WHERE runs.counts ->> 'funnel' NOTNULL
    GROUP BY overruled.run, verdict
    """,
]

# CLAIF's road beside the triplets' one: a premise has rewrites in place of two hypotheses, and a pair is decided on at a
# time. A CHECK cannot be altered, so both tables are built anew around theirs. A draft keeps its id, by which the full-text
# index knows it. `masked` is what stands in the prompt in the premise's place: the premise with words masked.
ROLE = "CHECK (role IN ('entailment', 'contradiction') OR role GLOB 'rewrite-[0-9]*')"
REWRITES = [
    f"""
    CREATE TABLE new_drafts (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL {ROLE},
        text TEXT NOT NULL,
        raw TEXT,
        problem TEXT,
        prompt INTEGER NOT NULL REFERENCES prompts(id),
        masked TEXT,
        tokens INTEGER NOT NULL,
        UNIQUE (run, premise, role)
    ) STRICT
    """,
    """
    INSERT INTO new_drafts (id, run, premise, role, text, raw, problem, prompt, tokens)
    SELECT id, run, premise, role, text, raw, problem, prompt, tokens FROM drafts ORDER BY id
    """,
    "DROP TABLE drafts",
    "ALTER TABLE new_drafts RENAME TO drafts",
    f"""
    CREATE TABLE new_scores (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL {ROLE},
        value REAL CHECK (value BETWEEN 0 AND 5),
        reply TEXT NOT NULL,
        PRIMARY KEY (run, premise, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO new_scores (run, premise, role, value, reply)
    SELECT run, premise, role, value, reply FROM scores ORDER BY run, premise, role
    """,
    "DROP TABLE scores",
    "ALTER TABLE new_scores RENAME TO scores",
    # A rewrite and its verdict, or another premise (`other`) that was drawn as a partner of nothing in common.
    """
    CREATE TABLE partners (
        run TEXT NOT NULL REFERENCES runs(id),
        premise INTEGER NOT NULL REFERENCES premises(id),
        role TEXT NOT NULL CHECK (role GLOB 'rewrite-[0-9]*' OR role GLOB 'random-[0-9]*'),
        other INTEGER REFERENCES premises(id) CHECK ((other NOTNULL) = (role GLOB 'random-*')),
        label REAL CHECK (label BETWEEN 0 AND 1),
        verdict TEXT NOT NULL CHECK (verdict IN ('keep', 'drop')),
        reason TEXT CHECK ((verdict = 'keep') = (reason IS NULL)),
        PRIMARY KEY (run, premise, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE VIEW hypotheses AS
    SELECT drafts.run, drafts.premise, drafts.role, drafts.text,
           replace(prompts.text, '{premise}', coalesce(drafts.masked, premises.text)) AS prompt,
           drafts.tokens, drafts.problem, drafts.raw
    FROM drafts JOIN premises ON premises.id = drafts.premise JOIN prompts ON prompts.id = drafts.prompt
    """,
    # What `train` reads where pairs were curated.
    """
    CREATE VIEW sentence_pairs AS
    SELECT partners.run, partners.premise AS premise_id, premises.text AS premise,
           coalesce(other.text, drafts.text) AS partner, partners.label, scores.value AS score, partners.role
    FROM partners
    JOIN runs AS curate ON curate.id = partners.run
    JOIN runs AS score ON score.id = curate.parent
    JOIN premises ON premises.id = partners.premise
    LEFT JOIN premises AS other ON other.id = partners.other
    LEFT JOIN drafts ON drafts.run = score.parent AND drafts.premise = partners.premise AND drafts.role = partners.role
    LEFT JOIN scores ON scores.run = score.id AND scores.premise = partners.premise AND scores.role = partners.role
    WHERE partners.verdict = 'keep'
    """,
]

# A floor on b beside the rule of eq. 4: a contradiction that is merely unrelated is too easy a negative. It is asked last
# of the scores, so that its reason counts what the floor costs; 0 is no floor.
MIN_CONTRADICTION = [
    "ALTER TABLE rules ADD COLUMN min_contradiction REAL NOT NULL DEFAULT 0",
    "DROP VIEW ruled",
    f"""
    CREATE VIEW ruled AS
    WITH read AS (
        SELECT rules.run, rules.score, premise, problem, {", ".join(rule.columns())},
               coalesce(swap AND {rule.is_reversed(rule.A, rule.B)}, 0) AS swapped, {rule.as_read("swap")}
        FROM rules JOIN pairs ON pairs.run = rules.score
    ), reasoned AS (
        SELECT run, score, premise, swapped, a, b, CASE
            WHEN problem IS NOT NULL THEN problem
            WHEN a IS NULL OR b IS NULL THEN '{rule.UNSCORED}'
            {LEVELS}
            ELSE (SELECT reason FROM repeats WHERE repeats.run = read.run AND repeats.premise = read.premise)
        END AS reason FROM read
    )
    SELECT run, score, premise, iif(reason IS NULL, 'keep', 'drop') AS verdict, reason, swapped, a, b FROM reasoned
    """,
]


def newest() -> int:
    """The version this code writes: the number of migrations it knows."""
    return len(MIGRATIONS)
