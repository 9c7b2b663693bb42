"""Whether a run of the store is the one that a node asks for. Arrow: node, run -> yes or no, without a model or its files."""

from __future__ import annotations

from pathlib import Path

from multicsr.paper.plan import Node
from store.records import Run

# Settings that name a file or a list: a run's config holds their content instead.
UNMATCHED = ("dev", "eval_every", "joined", "demonstrations", "prompts", "whiten")
OPTIONAL = {  # a run that has one of these, by its config, is another one than a node without
    **{name: name for name in ("whiten", "demonstrations", "rank", "whiten_dim", "nu")},
    "joined": "with_runs",
}
SPECIAL_POOLERS = ("prompt", "first_last_mean")  # of the rest, a model has its own
IMPLIED = {"objective": "multicsr"}  # what a config leaves out

# What a mask is told; one that masks nothing may be told anything.
MASK = {"mask_model", "sigma"}


def matches(run: Run, wanted: Node, parent: Run | None) -> bool:
    """Whether `run`, made from `parent` (None: from any), is what `wanted` says, as far as its settings tell."""
    if wanted.stage == "copies":
        assert parent is not None
        name = copies_name(parent, wanted["copies"], bool(wanted["alone"]))
        return run.stage == "gen" and str(run.config.get("premises")).startswith(f"{name}@")
    stage = {"judge": "eval", "labelled": "gen"}.get(wanted.stage, wanted.stage)
    if run.stage != stage or (parent is not None and run.parent != parent.id):
        return False
    if (wanted.stage == "judge") != (run.stage == "eval" and "by" in run.config):
        return False
    for name, value in wanted.settings:
        if name in UNMATCHED:
            continue
        if name == "file":
            return str(run.config.get("premises")).startswith(f"{Path(value).name}@")
        there = run.config.get(name, IMPLIED.get(name))
        if name == "premises":
            if not there or not str(there).startswith(Path(value.partition("#")[0]).name + "@"):
                return False
        elif name == "tasks":
            if set(there or ()) != {task.partition(" ")[0] for task in value}:
                return False
            if run.config.get("split", "test") != (value[0].partition(" ")[2] or "test"):
                return False
        elif there != value:
            return False
    of_its_model = wanted.stage == "eval" and wanted.parent is not None
    if wanted["pooler"] is None and not of_its_model and run.config.get("pooler") in SPECIAL_POOLERS:
        return False
    return all(bool(run.config.get(field)) == (wanted[name] is not None) for name, field in OPTIONAL.items())


def repeats(wanted: Node, other: Node, run: Run) -> bool:
    """Whether `wanted`, on the triplets of `other`, does what `run` of `other` did."""
    one, two = dict(wanted.settings), dict(other.settings)
    if any(one.get(name) != two.get(name) for name in (one.keys() | two.keys()) - MASK):
        return False
    if all(one.get(name) == two.get(name) for name in MASK):
        return True
    nothing_masked = two.get("mask_model", "none") != "none" and run.counts["masked_share"] == 0
    weaker = one.get("mask_model") == "none" or (
        one.get("mask_model") == two.get("mask_model") and one["sigma"] >= two["sigma"]
    )
    return nothing_masked and weaker


def copies_name(parent: Run, copies: int, alone: bool) -> str:
    return f"{parent.id}-{'alone-' if alone else ''}{copies}.csv"
