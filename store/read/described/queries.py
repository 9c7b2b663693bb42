"""Questions people will have, and the SQL that answers them."""

from __future__ import annotations

from typing import NamedTuple

from store.rule import LEVELS, A, B, Sql


class Query(NamedTuple):
    """A question and the SQL that answers it, under a name."""

    name: str
    question: str
    sql: str


# By how much a pair misses each threshold.
SHORTFALLS = ", ".join(str(level.shortfall(A, B, Sql(level.threshold))) for level in LEVELS)

QUERIES = (
    Query(
        "reasons",
        "Why were triplets dropped?",
        "SELECT run, reason, count(*) AS premises FROM decisions WHERE verdict = 'drop'"
        " GROUP BY run, reason ORDER BY run, 3 DESC",
    ),
    Query(
        "narrowly_dropped",
        "Which triplets failed by a hair?",
        "SELECT premises.text AS premise, reason, a, b FROM decisions JOIN premises ON premises.id = decisions.premise"
        " JOIN rules ON rules.run = decisions.run WHERE verdict = 'drop'"
        f" AND max({SHORTFALLS}) BETWEEN 0 AND 0.25 LIMIT 50",
    ),
    Query(
        "copies",
        "Which entailments only repeat their premise?",
        "SELECT run, premise FROM triplets WHERE lower(premise) = lower(entailment) LIMIT 50",
    ),
    Query(
        "commonest_contradictions",
        "Does the LLM write the same contradiction again and again?",
        "SELECT run, text, count(*) AS premises FROM drafts WHERE role = 'contradiction' GROUP BY run, text"
        " HAVING count(*) > 1 ORDER BY premises DESC LIMIT 50",
    ),
    Query(
        "raw_replies",
        "What did the LLM write where no score could be read?",
        "SELECT scores.run, premises.text AS premise, role, reply FROM scores JOIN premises ON premises.id = scores.premise"
        " WHERE value IS NULL LIMIT 50",
    ),
    Query(
        "unusable",
        "What did it write that is no hypothesis, and to which prompt?",
        "SELECT run, problem, coalesce(raw, text) AS written, prompt FROM hypotheses WHERE problem NOTNULL LIMIT 50",
    ),
    Query(
        "score_histogram",
        "How are the scores distributed?",
        "SELECT run, role, round(value * 2) / 2 AS score, count(*) AS hypotheses FROM scores WHERE value NOTNULL"
        " GROUP BY run, role, 3 ORDER BY run, role, 3",
    ),
    Query(
        "same_premise",
        "What do runs with different ω write for one premise?",
        "SELECT premises.text AS premise, role, config ->> 'omega' AS omega, drafts.text AS hypothesis FROM drafts"
        " JOIN runs ON runs.id = drafts.run JOIN premises ON premises.id = drafts.premise"
        " ORDER BY premises.id, role DESC, omega LIMIT 100",
    ),
    Query(
        "training_curve",
        "How did the trainings go?",
        "SELECT run, epoch, count(*) AS steps, avg(loss) AS loss, avg(masked_share) AS masked_share FROM steps"
        " GROUP BY run, epoch ORDER BY run, epoch",
    ),
    Query(
        "how_it_was_made",
        "Which settings lie behind the best model of each task?",
        "SELECT leaderboard.task, max(value) AS value, model, lineage.stage, lineage.config FROM leaderboard"
        " LEFT JOIN lineage ON lineage.run = leaderboard.run WHERE subset = ''"
        " GROUP BY leaderboard.task, metric, lineage.stage ORDER BY leaderboard.task, lineage.distance DESC",
    ),
)
