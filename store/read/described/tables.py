"""What a row of each table is, and what its columns hold."""

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
    TIMES,
    DescribedObject,
)
from store.rule import LEVELS

TABLES = {
    "runs": DescribedObject(
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
    "sources": DescribedObject(
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
    "premises": DescribedObject(
        "Unlabeled sentences; each is stored once a source",
        {"id": PREMISE, "source": "where it came from", "position": "its line or row there", "text": "the sentence"},
    ),
    "prompt_sets": DescribedObject(
        "Prompt sets as they were used", {"digest": "of its content", "name": "as it was called", "toml": "its text"}
    ),
    "prompts": DescribedObject(
        "Prompts with {premise} in the premise's place; each is stored once", {"id": "its id", "text": "the prompt"}
    ),
    "drafts": DescribedObject(
        "Hypotheses as they were written; the view `hypotheses` shows them with their prompts",
        {
            "id": "its id",
            "run": "the gen run",
            "premise": PREMISE,
            "role": ROLE,
            "text": "the hypothesis, cleaned",
            "raw": "what the LLM wrote, where cleaning changed it",
            "problem": "why it cannot be used: empty, refusal, runaway, filtered or mask (one is left)",
            "prompt": "the prompt's id",
            "masked": "what stands in the prompt in the premise's place: the premise with words masked; null for itself",
            "tokens": "how many tokens were written",
        },
    ),
    "scores": DescribedObject(
        "How similar the LLM finds a hypothesis to its premise",
        {
            "run": "the score run",
            "premise": PREMISE,
            "role": ROLE,
            "value": "0 to 5; null where the reply could not be read",
            "reply": "what the LLM said, or what the score was made from: log-probabilities, a cosine, probabilities",
        },
    ),
    "pairs": DescribedObject(
        "Both scores of a premise side by side, for `decisions`",
        {
            "run": "the score run",
            "premise": PREMISE,
            "a": "sim(x, x+)",
            "b": "sim(x, x-)",
            "problem": "the first problem of its hypotheses",
        },
    ),
    "rules": DescribedObject(
        "The thresholds of each curate run, for `decisions`",
        {
            "run": "the curate run",
            "score": "the score run it reads",
            **{level.threshold: level.demand for level in LEVELS},
            "swap": "1 where reversed scores change roles",
        },
    ),
    "repeats": DescribedObject(
        "Premises that a comparison of texts drops, for `decisions`",
        {"run": "the curate run", "premise": PREMISE, "reason": "copy or duplicate"},
    ),
    "partners": DescribedObject(
        "What became of each pair in each curation of pairs (CLAIF)",
        {
            "run": "the curate run",
            "premise": PREMISE,
            "role": PARTNER_ROLE,
            "other": "of a random partner, the id of the premise that it is a rewrite of; else null",
            "rewrite": "of a random partner, its role in `drafts`; else null",
            "label": LABEL + "; null where there is no score",
            "verdict": "keep or drop",
            "reason": "the first reason for which it was dropped; null if kept",
        },
    ),
    "reviews": DescribedObject(
        "Every word of a person over a triplet, oldest first; `reviewed` has those in force",
        {
            "id": "counts upwards: of two words over a triplet the later one counts",
            "run": "the gen run whose texts were judged",
            "premise": PREMISE,
            "verdict": "keep or drop; null where an earlier word was taken back",
            "note": "why, in the person's words; may be empty",
            "written": "UTC",
        },
    ),
    "steps": DescribedObject(
        "The training curve",
        {
            "run": "the train run",
            "step": "from 1",
            "epoch": "from 0",
            "loss": "mean over the batch of what the objective minimises (MultiCSR: eq. 7)",
            "masked_share": "share of the negatives that the mask removed",
            "lr": "learning rate",
        },
    ),
    "masked": DescribedObject(
        "The negatives that a training's mask removed, those most often masked; the view `masked_pairs` has their texts",
        {
            "run": "the train run",
            "place": PLACE,
            "other_place": OTHER_PLACE,
            "role": MASKED_ROLE,
            "premise": PREMISE,
            "other": "the id of the premise that the negative belongs to",
            "draft": DRAFT,
            "cosine": COSINE,
            "times": TIMES,
        },
    ),
    "checkpoints": DescribedObject(
        "Folders beside the store",
        {
            "run": "the train run",
            "step": "how far it had come",
            "kind": "resume, or model for the finished encoder",
            "path": "within the folder beside the store",
            "written": "UTC",
        },
    ),
    "metrics": DescribedObject(
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
    "judgements": DescribedObject(
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
