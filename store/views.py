"""The views: what is read of the tables (`store/schema.py`), and the two selections that more than one query starts from.

Arrow: tables -> views. `ruled` (the rule alone) and `reviewed` (persons) give `decisions`, which gives `triplets`.
"""

from __future__ import annotations

from store.rule import LEVELS, UNSCORED, A, B, as_read, columns, is_reversed

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

# The levels of the rule, in their order, as branches of a CASE over a, b and the columns of `rules`.
BRANCHES = "\n            ".join(
    f"WHEN NOT ({level.passes(A, B, columns()[level.threshold])}) THEN '{level.reason}'" for level in LEVELS
)

VIEWS = (
    """
    CREATE VIEW hypotheses AS
    SELECT drafts.run, drafts.premise, drafts.role, drafts.text,
           replace(prompts.text, '{premise}', coalesce(drafts.masked, premises.text)) AS prompt,
           drafts.tokens, drafts.problem, drafts.raw
    FROM drafts JOIN premises ON premises.id = drafts.premise JOIN prompts ON prompts.id = drafts.prompt
    """,
    # What the rule says (MultiCSR, eq. 4; store/rule.py), whatever anybody thinks of it: the first reason that applies, NULL
    # to keep.
    f"""
    CREATE VIEW ruled AS
    WITH read AS (
        SELECT rules.run, rules.score, premise, problem, {", ".join(columns())},
               coalesce(swap AND {is_reversed(A, B)}, 0) AS swapped, {as_read("swap")}
        FROM rules JOIN pairs ON pairs.run = rules.score
    ), reasoned AS (
        SELECT run, score, premise, swapped, a, b, CASE
            WHEN problem IS NOT NULL THEN problem
            WHEN a IS NULL OR b IS NULL THEN '{UNSCORED}'
            {BRANCHES}
            ELSE (SELECT reason FROM repeats WHERE repeats.run = read.run AND repeats.premise = read.premise)
        END AS reason FROM read
    )
    SELECT run, score, premise, iif(reason IS NULL, 'keep', 'drop') AS verdict, reason, swapped, a, b FROM reasoned
    """,
    # The words in force: the last one over each triplet of a gen run, unless it was taken back (no verdict).
    """
    CREATE VIEW reviewed AS
    SELECT run, premise, verdict, note, written FROM reviews
    WHERE verdict NOTNULL AND id = (
        SELECT max(later.id) FROM reviews AS later WHERE later.run = reviews.run AND later.premise = reviews.premise
    )
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
    # What `train` reads: the kept triplets of a curate run, or every triplet of a gen run.
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
    # What `train` reads where pairs were curated.
    """
    CREATE VIEW sentence_pairs AS
    SELECT partners.run, partners.premise AS premise_id, premises.text AS premise,
           drafts.text AS partner, partners.label, scores.value AS score, partners.role
    FROM partners
    JOIN runs AS curate ON curate.id = partners.run
    JOIN runs AS score ON score.id = curate.parent
    JOIN premises ON premises.id = partners.premise
    JOIN drafts ON drafts.run = score.parent AND drafts.premise = coalesce(partners.other, partners.premise)
        AND drafts.role = coalesce(partners.rewrite, partners.role)
    LEFT JOIN scores ON scores.run = score.id AND scores.premise = partners.premise AND scores.role = partners.role
    WHERE partners.verdict = 'keep'
    """,
    # What a mask took for false negatives (MultiCSR, eq. 6), as it was trained on. CROSS JOIN: from the few rows of a run.
    """
    CREATE VIEW masked_pairs AS
    SELECT masked.run, masked.place, masked.premise AS premise_id, own.text AS premise,
           masked.other_place, masked.other AS other_premise_id, other.text AS other_premise,
           masked.role, masked.draft, coalesce(drafts.text, other.text) AS hypothesis, masked.cosine, masked.times
    FROM masked CROSS JOIN premises AS own ON own.id = masked.premise
    CROSS JOIN premises AS other ON other.id = masked.other
    LEFT JOIN drafts ON drafts.id = masked.draft
    """,
    # One row a level: how many premises reached it, and for each reason how many were dropped for it. A run has counted what
    # its rule does; what persons turned since is added here, and told apart as the reason 'review'.
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
)
