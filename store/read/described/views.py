"""What a row of each view is, and what its columns hold. The public face: names and columns that stay."""

from __future__ import annotations

from store.read.described.words import (
    COSINE,
    DRAFT,
    LABEL,
    MASKED_ROLE,
    OTHER_PLACE,
    PARTNER_ROLE,
    PLACE,
    PREMISE,
    ROLE,
    RUN,
    TIMES,
    DescribedObject,
)

VIEWS = {
    "triplets": DescribedObject(
        "What `train` reads: the kept triplets of each curate run, and every usable triplet of each gen run",
        {
            "run": "a curate or gen run",
            "premise_id": PREMISE,
            "source": "where the premise came from",
            "premise": "x",
            "entailment": "x+",
            "contradiction": "x-, the hard negative",
            "a": "sim(x, x+), 0 to 5; null for a gen run",
            "b": "sim(x, x-), 0 to 5; null for a gen run",
        },
    ),
    "sentence_pairs": DescribedObject(
        "What `train --objective claif` reads of a curation of pairs: the kept ones",
        {
            "run": "the curate run",
            "premise_id": PREMISE,
            "premise": "the sentence",
            "partner": "its rewrite, or one of another premise",
            "label": LABEL,
            "score": "sim(premise, partner), 0 to 5; null for a random partner",
            "role": PARTNER_ROLE,
        },
    ),
    "hypotheses": DescribedObject(
        "Every hypothesis with the prompt that it answers, in full",
        {
            "run": "the gen run",
            "premise": PREMISE,
            "role": ROLE,
            "text": "the hypothesis, cleaned",
            "prompt": "what the LLM was asked; empty for imported triplets",
            "tokens": "how many tokens were written",
            "problem": "why it cannot be used: empty, refusal, runaway, filtered or mask (one is left); null if it can",
            "raw": "what the LLM wrote, where cleaning changed it",
        },
    ),
    "decisions": DescribedObject(
        "What became of each premise in each curate run (MultiCSR, eq. 4)",
        {
            "run": "the curate run",
            "premise": PREMISE,
            "verdict": "keep or drop",
            "reason": "the first reason for which it was dropped, review where only a person does; null if kept",
            "swapped": "1 where the hypotheses change roles, because their scores are reversed",
            "a": "sim(x, x+), 0 to 5, after any swap",
            "b": "sim(x, x-), 0 to 5, after any swap",
            "review": "keep or drop, where a person said so; it counts more than the rule",
        },
    ),
    "ruled": DescribedObject(
        "What the rule alone says of each premise in each curate run, whatever persons said",
        {
            "run": "the curate run",
            "score": "the score run it reads",
            "premise": PREMISE,
            "verdict": "keep or drop",
            "reason": "the first reason for which it is dropped; null if kept",
            "swapped": "1 where the hypotheses change roles, because their scores are reversed",
            "a": "sim(x, x+), 0 to 5, after any swap",
            "b": "sim(x, x-), 0 to 5, after any swap",
        },
    ),
    "reviewed": DescribedObject(
        "The words of persons that are in force: the last one over each triplet, unless it was taken back",
        {
            "run": "the gen run",
            "premise": PREMISE,
            "verdict": "keep or drop",
            "note": "why, in the person's words; may be empty",
            "written": "UTC",
        },
    ),
    "overruled": DescribedObject(
        "Decisions of curate runs that a person turned",
        {
            "run": "the curate run",
            "premise": PREMISE,
            "verdict": "what the person said: keep or drop",
            "reason": "why the rule drops it; null where the rule keeps it",
            "note": "why, in the person's words; may be empty",
        },
    ),
    "masked_pairs": DescribedObject(
        "Premises and the negatives that a training's mask removed (MultiCSR, eq. 6), those most often masked",
        {
            "run": "the train run",
            "place": PLACE,
            "premise_id": PREMISE,
            "premise": "x_i",
            "other_place": OTHER_PLACE,
            "other_premise_id": "the id of the premise that the negative belongs to",
            "other_premise": "x_k, that premise",
            "role": MASKED_ROLE,
            "draft": DRAFT,
            "hypothesis": "the negative: x_k's hypothesis, or x_k itself",
            "cosine": COSINE,
            "times": TIMES,
        },
    ),
    "funnel": DescribedObject(
        "How many premises of a curate run reached each level, and for which reasons the others did not",
        {
            "run": "the curate run",
            "level": "premises, generated, scored, kept; or dropped",
            "reason": "why, for the level dropped; review: what persons turned, kept and dropped",
            "premises": "how many",
        },
    ),
    "lineage": DescribedObject(
        "Each run with everything it was made from",
        {
            "run": RUN,
            "distance": "0 for the run itself, 1 for its parent, and so on",
            "ancestor": "the run at that distance",
            "stage": "the ancestor's stage",
            "config": "the ancestor's settings, JSON",
        },
    ),
    "leaderboard": DescribedObject(
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
