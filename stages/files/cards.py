"""The model card of a trained encoder, and the card of an exported data set, made from the run. Arrow: run -> Markdown.

Names of models, settings and sentences came from users and LLMs: they appear as text (`store/markdown.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from store.markdown import code, escape, table
from store.records import Run

EXAMPLES = 3  # triplets shown

# What a loss is called, by objective.
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

# What the columns of an exported data set hold, by the field they come from.
FIELDS = {
    "premise": "an unlabeled sentence",
    "entailment": "a sentence that follows from the premise",
    "contradiction": "a sentence that cannot hold together with it: a hard negative",
    "a": "similarity of premise and entailment, 0 to 5",
    "b": "similarity of premise and contradiction, 0 to 5",
    "verdict": "keep or drop",
    "reason": "the first reason for which it was dropped",
}

Recipe = Sequence[tuple[str, str, dict[str, object], dict[str, object]]]  # stage, run id, settings, counts


def model_card(run: Run, counts: dict[str, Any], recipe: Recipe, examples: Sequence[tuple[str, ...]]) -> str:
    """The card as Markdown with the front matter that model hubs read. `examples`: triplets, or premises alone."""
    config = run.config
    alone = _objective(run) == "simcse-unsup"
    pairs = recipe[-2][2].get("strategy") == "claif"
    columns = ("premise",) if alone else ("premise", "partner") if pairs else ("premise", "entailment", "contradiction")
    read = f"{'the premises of ' if alone else ''}{counts['triplets']:,} {'pairs' if pairs else 'triplets'}"
    packages = ("multicsr", "torch", "transformers")
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, feature-extraction, multicsr]",
        "---",
        "",
        f"# {escape(config['base'])} trained with {_method(run, counts)}",
        "",
        f"Sentence encoder trained by `multicsr` (run {code(run.id)}) on {read} {_origin(run, counts)}.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        'vectors = SentenceTransformer("FOLDER").encode(["A sentence.", "Another one."])',
        "```",
        "",
        f"Pooling: {code(config['pooler'])}, recorded in the folder. Similarity: cosine.",
        *(BY_HAND if config["pooler"] == "prompt" else ()),
        *("", "## Figures", ""),
        *_figures(counts),
        *("", "## Recipe", ""),
        *_recipe([*recipe[:-1], (*recipe[-1][:3], {"triplets": counts["triplets"], "steps": counts["steps"]})]),
        *("", "## Examples", ""),
        *table(columns, examples[:EXAMPLES]),
        "",
        "Made with " + ", ".join(f"{name} {version(name)}" for name in packages) + ".",
    ]
    return "\n".join(lines) + "\n"


def _objective(run: Run) -> str:
    return run.config.get("objective") or "multicsr"


def _method(run: Run, counts: Mapping[str, Any]) -> str:
    """The loss with what was added to it."""
    method, config = METHODS[_objective(run)], run.config
    if config.get("rank"):
        method += f" and RankCSE's terms ({escape(config['rank'])}, teacher {escape(config['teacher'])})"
    return method + (", whitened" if "whitened" in counts else "")


def _origin(run: Run, counts: Mapping[str, Any]) -> str:
    """Where what was learned from comes from; of several corpora, how much from which."""
    written = "that a language model wrote from unlabeled sentences"
    if not run.config.get("with_runs"):
        return written
    own = counts["triplets_from"][run.parent]
    return f"({own:,} {written}, {counts['triplets'] - own:,} of labelled corpora that join them)"


def _figures(counts: Mapping[str, Any]) -> list[str]:
    dev, whitened = counts["dev"], counts.get("whitened")
    lines = [
        f"Spearman x 100 on the dev task {code(dev['task'])}: {dev['spearman']:.2f}, at step {counts['best_step']} of"
        f" {counts['steps']} (the best of those measured; the dev task chose it, so it is no test figure)."
    ]
    if whitened is not None:
        lines.append(
            f"Whitened to {whitened['dimensions']} dimensions by the sentences of the training (a Dense module behind the"
            f" pooling): {whitened['spearman']:.2f} on the same task."
        )
    return [*lines, f"Share of negatives masked: {100 * counts['masked_share']:.3f} %."]


def data_card(run: Run, recipe: Recipe, names: Mapping[str, str]) -> str:
    """The card of an exported data set as Markdown, with the front matter that data hubs read. `names`: a row's fields and
    what they are called in the file."""
    lines = [
        "---",
        "tags: [sentence-similarity, multicsr]",
        "configs:",
        "- config_name: default",
        "  data_files: train.jsonl",
        "---",
        "",
        f"# Triplets of `multicsr` run {code(run.id)}",
        "",
        *table(("column", "what it is"), [(code(name), FIELDS[field]) for field, name in names.items()]),
        *("", "## Recipe", ""),
        *_recipe(recipe),
        "",
        f"Made with multicsr {version('multicsr')}.",
    ]
    return "\n".join(lines) + "\n"


def _recipe(recipe: Recipe) -> list[str]:
    """A row a stage: its run, its settings, and what it counted."""
    rows = []
    for stage, run, settings, counts in recipe:
        numbers = {name: count for name, count in counts.items() if isinstance(count, int)}
        rows.append((stage, code(run), _settings(settings), _settings(numbers)))
    return table(("stage", "run", "settings", "counts"), rows)


def _settings(values: Mapping[str, object]) -> str:
    shown = {key: value for key, value in values.items() if value is not None and not key.endswith(UNSHOWN)}
    return ", ".join(f"{key} {value}" for key, value in shown.items())
