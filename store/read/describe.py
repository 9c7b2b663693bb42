"""What every table, view and column means, and queries people will want. Arrow: none of its own; documentation as data.

`docs/store.md`, `multicsr store` and the metadata for Datasette are made from it; a test holds it to the schema.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from store.database import Store
from store.markdown import Marked, code, table
from store.rule import LEVELS, A, B, Sql


class Described(NamedTuple):
    """A table or view: what a row of it is, and what its columns hold."""

    about: str
    columns: dict[str, str]


class Query(NamedTuple):
    """A question and the SQL that answers it, under a name."""

    name: str
    question: str
    sql: str


_RUN = "the run"
_PREMISE = "the premise's id"
_ROLE = "entailment or contradiction; rewrite-K in a run of pairs, K ten times the mask rate, or counted in a file"
_PARTNER_ROLE = "rewrite-K as in `drafts`, or random-K for another premise drawn at random"
_LABEL = "what cos(premise, partner) is trained towards, 0 to 1: 0.1 + 0.8 · score / 5, and 0 for a random partner"

_SHORTFALLS = ", ".join(str(level.shortfall(A, B, Sql(level.threshold))) for level in LEVELS)

# The public face: names and columns that stay.
VIEWS = {
    "triplets": Described(
        "What `train` reads: the kept triplets of each curate run, and every usable triplet of each gen run",
        {
            "run": "a curate or gen run",
            "premise_id": _PREMISE,
            "source": "where the premise came from",
            "premise": "x",
            "entailment": "x+",
            "contradiction": "x-, the hard negative",
            "a": "sim(x, x+), 0 to 5; null for a gen run",
            "b": "sim(x, x-), 0 to 5; null for a gen run",
        },
    ),
    "sentence_pairs": Described(
        "What `train --objective claif` reads of a curation of pairs: the kept ones",
        {
            "run": "the curate run",
            "premise_id": _PREMISE,
            "premise": "the sentence",
            "partner": "its rewrite, or another premise",
            "label": _LABEL,
            "score": "sim(premise, partner), 0 to 5; null for a random partner",
            "role": _PARTNER_ROLE,
        },
    ),
    "hypotheses": Described(
        "Every hypothesis with the prompt that it answers, in full",
        {
            "run": "the gen run",
            "premise": _PREMISE,
            "role": _ROLE,
            "text": "the hypothesis, cleaned",
            "prompt": "what the LLM was asked; empty for imported triplets",
            "tokens": "how many tokens were written",
            "problem": "why it cannot be used: empty, refusal, runaway, filtered or mask (one is left); null if it can",
            "raw": "what the LLM wrote, where cleaning changed it",
        },
    ),
    "decisions": Described(
        "What became of each premise in each curate run (MultiCSR, eq. 4)",
        {
            "run": "the curate run",
            "premise": _PREMISE,
            "verdict": "keep or drop",
            "reason": "the first reason for which it was dropped, review where only a person does; null if kept",
            "swapped": "1 where the hypotheses change roles, because their scores are reversed",
            "a": "sim(x, x+), 0 to 5, after any swap",
            "b": "sim(x, x-), 0 to 5, after any swap",
            "review": "keep or drop, where a person said so; it counts more than the rule",
        },
    ),
    "ruled": Described(
        "What the rule alone says of each premise in each curate run, whatever persons said",
        {
            "run": "the curate run",
            "score": "the score run it reads",
            "premise": _PREMISE,
            "verdict": "keep or drop",
            "reason": "the first reason for which it is dropped; null if kept",
            "swapped": "1 where the hypotheses change roles, because their scores are reversed",
            "a": "sim(x, x+), 0 to 5, after any swap",
            "b": "sim(x, x-), 0 to 5, after any swap",
        },
    ),
    "reviewed": Described(
        "The words of persons that are in force: the last one over each triplet, unless it was taken back",
        {
            "run": "the gen run",
            "premise": _PREMISE,
            "verdict": "keep or drop",
            "note": "why, in the person's words; may be empty",
            "written": "UTC",
        },
    ),
    "overruled": Described(
        "Decisions of curate runs that a person turned",
        {
            "run": "the curate run",
            "premise": _PREMISE,
            "verdict": "what the person said: keep or drop",
            "reason": "why the rule drops it; null where the rule keeps it",
            "note": "why, in the person's words; may be empty",
        },
    ),
    "funnel": Described(
        "How many premises of a curate run reached each level, and for which reasons the others did not",
        {
            "run": "the curate run",
            "level": "premises, generated, scored, kept; or dropped",
            "reason": "why, for the level dropped; review: what persons turned, kept and dropped",
            "premises": "how many",
        },
    ),
    "lineage": Described(
        "Each run with everything it was made from",
        {
            "run": _RUN,
            "distance": "0 for the run itself, 1 for its parent, and so on",
            "ancestor": "the run at that distance",
            "stage": "the ancestor's stage",
            "config": "the ancestor's settings, JSON",
        },
    ),
    "leaderboard": Described(
        "Figures of finished evaluations, the best first within a metric",
        {
            "task": "the task",
            "subset": "a part of the task; empty for the whole",
            "metric": "spearman, accuracy, ndcg@10, ...",
            "value": "times 100",
            "error": "its standard error, times 100",
            "n": "pairs, items or queries it is over",
            "model": "what was evaluated, as it was called",
            "trained": "the train run it came from, if any",
            "run": "the eval run",
        },
    ),
}

TABLES = {
    "runs": Described(
        "A stage with one config over one parent; the id is a hash of these",
        {
            "id": "twelve hex digits",
            "stage": "gen, score, curate, train or eval",
            "version": "raised where the stage's arithmetic changes",
            "parent": "the run it was made from",
            "config": "settings that can change the result, JSON",
            "environment": "library versions, device, and paths as they were typed, JSON",
            "counts": "what came out, JSON; written when it finishes",
            "started": "UTC",
            "finished": "UTC; null while work is left",
        },
    ),
    "sources": Described(
        "Where premises came from",
        {
            "name": "file name and digest of its content",
            "path": "the file as it was read",
            "digest": "of its texts",
            "rows": "how many were read",
            "duplicates": "how many repeated an earlier one",
            "imported": "UTC; null while it is being read",
        },
    ),
    "premises": Described(
        "Unlabeled sentences; each is stored once a source",
        {"id": _PREMISE, "source": "where it came from", "position": "its line or row there", "text": "the sentence"},
    ),
    "prompt_sets": Described(
        "Prompt sets as they were used", {"digest": "of its content", "name": "as it was called", "toml": "its text"}
    ),
    "prompts": Described(
        "Prompts with {premise} in the premise's place; each is stored once", {"id": "its id", "text": "the prompt"}
    ),
    "drafts": Described(
        "Hypotheses as they were written; the view `hypotheses` shows them with their prompts",
        {
            "id": "its id",
            "run": "the gen run",
            "premise": _PREMISE,
            "role": _ROLE,
            "text": "the hypothesis, cleaned",
            "raw": "what the LLM wrote, where cleaning changed it",
            "problem": "why it cannot be used: empty, refusal, runaway, filtered or mask (one is left)",
            "prompt": "the prompt's id",
            "masked": "what stands in the prompt in the premise's place: the premise with words masked; null for itself",
            "tokens": "how many tokens were written",
        },
    ),
    "scores": Described(
        "How similar the LLM finds a hypothesis to its premise",
        {
            "run": "the score run",
            "premise": _PREMISE,
            "role": _ROLE,
            "value": "0 to 5; null where the reply could not be read",
            "reply": "what the LLM said, or what the score was made from: log-probabilities, a cosine, probabilities",
        },
    ),
    "pairs": Described(
        "Both scores of a premise side by side, for `decisions`",
        {
            "run": "the score run",
            "premise": _PREMISE,
            "a": "sim(x, x+)",
            "b": "sim(x, x-)",
            "problem": "the first problem of its hypotheses",
        },
    ),
    "rules": Described(
        "The thresholds of each curate run, for `decisions`",
        {
            "run": "the curate run",
            "score": "the score run it reads",
            **{level.threshold: level.demand for level in LEVELS},
            "swap": "1 where reversed scores change roles",
        },
    ),
    "repeats": Described(
        "Premises that a comparison of texts drops, for `decisions`",
        {"run": "the curate run", "premise": _PREMISE, "reason": "copy or duplicate"},
    ),
    "partners": Described(
        "What became of each pair in each curation of pairs (CLAIF)",
        {
            "run": "the curate run",
            "premise": _PREMISE,
            "role": _PARTNER_ROLE,
            "other": "the random partner's id; null for a rewrite",
            "label": _LABEL + "; null where there is no score",
            "verdict": "keep or drop",
            "reason": "the first reason for which it was dropped; null if kept",
        },
    ),
    "reviews": Described(
        "Every word of a person over a triplet, oldest first; `reviewed` has those in force",
        {
            "id": "counts upwards: of two words over a triplet the later one counts",
            "run": "the gen run whose texts were judged",
            "premise": _PREMISE,
            "verdict": "keep or drop; null where an earlier word was taken back",
            "note": "why, in the person's words; may be empty",
            "written": "UTC",
        },
    ),
    "steps": Described(
        "The training curve",
        {
            "run": "the train run",
            "step": "from 1",
            "epoch": "from 0",
            "loss": "mean over the batch (eq. 5)",
            "masked_share": "share of the negatives that the mask removed",
            "lr": "learning rate",
        },
    ),
    "checkpoints": Described(
        "Folders beside the store",
        {
            "run": "the train run",
            "step": "how far it had come",
            "kind": "resume, or model for the finished encoder",
            "path": "within the folder beside the store",
            "written": "UTC",
        },
    ),
    "metrics": Described(
        "Figures of evaluations, and of trainings on their dev task",
        {
            "run": "an eval or train run",
            "task": "the task",
            "subset": "a part of the task; empty for the whole",
            "name": "spearman, accuracy, ndcg@10, ...",
            "step": "the training step; 0 for an evaluation",
            "value": "times 100",
            "n": "pairs, items or queries it is over",
            "error": "its standard error, times 100",
        },
    ),
    "judgements": Described(
        "What an LLM that is evaluated itself answered to each pair of a task",
        {
            "run": "an eval run",
            "task": "the task",
            "subset": "a part of the task; empty for the whole",
            "position": "the pair's place among the judged ones of its part, from 1",
            "value": "the similarity it gave, 0 to 5; null where its reply could not be read",
            "reply": "what it replied, or the evidence of its score, JSON",
        },
    ),
}

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
        f" AND max({_SHORTFALLS}) BETWEEN 0 AND 0.25 LIMIT 50",
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


class Object(NamedTuple):
    """A table or view of a store with its size."""

    name: str
    kind: str
    rows: int
    described: Described


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
