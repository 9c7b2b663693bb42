"""The model card of a trained encoder, made from the run: what it was trained on, how, and what it scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from store.records import Run

EXAMPLES = 3  # triplets shown

# What a loss is called, by objective; None is the default.
METHODS = {
    "multicsr": "MultiCSR",
    "multicsr-released": "the loss of the released MultiCSR code",
    "simcse": "supervised SimCSE",
    "simcse-unsup": "unsupervised SimCSE",
    "clhaif": "CLHAIF",
    "claif": "CLAIF's loss",
}

# How a vector is read without sentence-transformers where that is not what everybody does.
BY_HAND = (
    "The tokenizer puts each sentence into a template, and its vector is the hidden state at the mask:",
    "",
    "```python",
    "from transformers import AutoModel, AutoTokenizer",
    'words, model = AutoTokenizer.from_pretrained("FOLDER"), AutoModel.from_pretrained("FOLDER")',
    'read = words(["A sentence.", "Another one."], padding=True, truncation=True, return_tensors="pt")',
    "vectors = model(**read).last_hidden_state[read.input_ids == words.mask_token_id]",
    "```",
)

# Fields that only tell content apart; the card names what a reader can act on.
UNSHOWN = ("fingerprint", "digest")


def model_card(
    run: Run,
    counts: dict[str, Any],
    recipe: Sequence[tuple[str, str, dict[str, object], dict[str, object]]],
    examples: Sequence[tuple[str, ...]],
) -> str:
    """The card as Markdown with the front matter that model hubs read. `examples`: triplets, or premises alone."""
    config = run.config
    objective = config.get("objective")
    ranked = f" and RankCSE's terms ({config['rank']}, teacher {config['teacher']})" if config.get("rank") else ""
    method = METHODS[objective] + ranked
    method += ", whitened" if "whitened" in counts else ""
    read = "the premises of " if objective == "simcse-unsup" else ""
    pairs = recipe[-2][2].get("strategy") == "claif"
    what = f"{counts['triplets']:,} {'pairs' if pairs else 'triplets'}"
    dev = counts["dev"]
    origin = "that a language model wrote from unlabeled sentences"
    if config.get("with_runs"):
        own = counts["triplets_from"][run.parent]
        origin = f"({own:,} {origin}, {counts['triplets'] - own:,} of labelled corpora that join them)"
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, feature-extraction, multicsr]",
        "---",
        "",
        f"# {config['base']} trained with {method}",
        "",
        f"Sentence encoder trained by `multicsr` (run `{run.id}`) on {read}{what} {origin}.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        'vectors = SentenceTransformer("FOLDER").encode(["A sentence.", "Another one."])',
        "```",
        "",
        f"Pooling: `{config['pooler']}`, recorded in the folder. Similarity: cosine.",
        *(BY_HAND if config["pooler"] == "prompt" else ()),
        "",
        "## Figures",
        "",
        f"Spearman x 100 on the dev task `{dev['task']}`: {dev['spearman']:.2f}, at step {counts['best_step']} of"
        f" {counts['steps']} (the best of those measured; the dev task chose it, so it is no test figure).",
        *_whitened(counts),
        f"Share of negatives masked: {100 * counts['masked_share']:.3f} %.",
        "",
        "## Recipe",
        "",
        *_recipe([*recipe[:-1], (*recipe[-1][:3], {"triplets": counts["triplets"], "steps": counts["steps"]})]),
    ]
    columns = ("premise",) if read else ("premise", "partner") if pairs else ("premise", "entailment", "contradiction")
    lines += ["", "## Examples", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(text.replace('|', '/') for text in example)} |" for example in examples[:EXAMPLES]]
    packages = ("multicsr", "torch", "transformers")
    lines += ["", "Made with " + ", ".join(f"{name} {version(name)}" for name in packages) + "."]
    return "\n".join(lines) + "\n"


def _whitened(counts: dict[str, Any]) -> list[str]:
    found = counts.get("whitened")
    if found is None:
        return []
    return [
        f"Whitened to {found['dimensions']} dimensions by the sentences of the training (a Dense module behind the pooling):"
        f" {found['spearman']:.2f} on the same task."
    ]


def _settings(values: Mapping[str, object]) -> str:
    shown = {key: value for key, value in values.items() if value is not None and not key.endswith(UNSHOWN)}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def data_card(
    run: Run, recipe: Sequence[tuple[str, str, dict[str, object], dict[str, object]]], names: Mapping[str, str]
) -> str:
    """The card of an exported data set as Markdown, with the front matter that data hubs read."""
    what = {
        "premise": "an unlabeled sentence",
        "entailment": "a sentence that follows from the premise",
        "contradiction": "a sentence that cannot hold together with it: a hard negative",
        "a": "similarity of premise and entailment, 0 to 5",
        "b": "similarity of premise and contradiction, 0 to 5",
        "verdict": "keep or drop",
        "reason": "the first reason for which it was dropped",
    }
    lines = [
        "---",
        "tags: [sentence-similarity, multicsr]",
        "configs:",
        "- config_name: default",
        "  data_files: train.jsonl",
        "---",
        "",
        f"# Triplets of `multicsr` run `{run.id}`",
        "",
        "| column | what it is |",
        "|---|---|",
        *(f"| `{name}` | {what[field]} |" for field, name in names.items()),
        "",
        "## Recipe",
        "",
        *_recipe(recipe),
        "",
        f"Made with multicsr {version('multicsr')}.",
    ]
    return "\n".join(lines) + "\n"


def _recipe(recipe: Sequence[tuple[str, str, dict[str, object], dict[str, object]]]) -> list[str]:
    lines = ["| stage | run | settings | counts |", "|---|---|---|---|"]
    for stage, id, settings, found in recipe:
        shown = {key: value for key, value in found.items() if isinstance(value, int)}
        lines.append(f"| {stage} | `{id}` | {_settings(settings)} | {_settings(shown)} |")
    return lines
