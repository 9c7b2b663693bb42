"""The page of all results that a store holds. Nothing in it is typed: every sentence follows from rows.

Arrow: store -> page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from multicsr.paper import learnt
from multicsr.paper.claims import SIGNIFICANT, Family, counted, family
from multicsr.paper.outcome import Experiment, ExperimentOutcome, blocks, machine
from multicsr.report import markdown_page, page
from multicsr.report.blocks import Block, Drawing, Heading, Page, Paragraph, Points, Table
from stages.tasks.hierarchy import FEWEST_SEEDS
from store import whole
from store.database import RECORDED_PACKAGES
from store.problem import Problem
from store.read.runs import environment, listed, seconds

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.node import Node

RECORDED = ("device", *RECORDED_PACKAGES, "sqlite")


def write(lab: Lab, path: Path, experiments: Sequence[Experiment]) -> Path:
    """Write the page of every experiment whose runs are all in the store. Raises Problem where there is none."""
    page.refuse(path, "page")
    complete = _complete(lab, experiments)
    if not complete:
        raise Problem(f"{lab.store.path} holds no whole experiment", "run `multicsr reproduce` first")
    ended, among = _ended(lab, complete)
    parts: list[Block] = []
    for experiment in complete:
        parts += [
            Heading(f"{experiment.name}: {experiment.title}"),
            *blocks(experiment, ended[experiment.name], among),
        ]
    absent = [
        f"{experiment.name} ({experiment.title}): {experiment.missing(lab) or 'has not been run to its end here.'}"
        for experiment in experiments
        if experiment not in complete
    ]
    closing: list[Block] = [Heading("Not here"), Points(absent)] if absent else []
    whole_page = Page(
        f"Results at the scale {lab.scale.name}",
        [
            Paragraph(_made(lab)),
            Paragraph(_tested(among)),
            Heading("What was learnt beyond the paper"),
            *(
                learnt.blocks({name: outcome.document for name, outcome in ended.items()})
                or [Paragraph("Nothing yet.")]
            ),
            *parts,
            Heading("What each took"),
            _took(lab, complete),
            *closing,
        ],
    )
    return page.write(whole_page, path, kinds=("png",))[-1]


def fill(lab: Lab, path: Path, experiments: Sequence[Experiment], listed: Sequence[Experiment]) -> list[str]:
    """Put the tables and sentences of experiments into a page of other text, each between its two marks; returns whose.

        <!-- t3: made by multicsr reproduce -->
        <!-- end of t3 -->

    The claims are those of all `listed` experiments that are whole in the store, as on the page of all results. Raises
    Problem where the page has no mark of an experiment that is whole.
    """
    if not path.is_file():
        raise Problem(f"there is no file {path}", "give a Markdown page with the marks of an experiment")
    text = path.read_text(encoding="utf-8")
    marked = [experiment for experiment in _complete(lab, experiments) if _marks(experiment).search(text)]
    if not marked:
        raise Problem(
            f"{path} has no mark of an experiment that {lab.store.path} holds whole",
            "write <!-- t3: made by multicsr reproduce --> and <!-- end of t3 --> where its table belongs",
        )
    ended, among = _ended(lab, _complete(lab, listed))
    for experiment in marked:
        parts = [block for block in blocks(experiment, ended[experiment.name], among) if not isinstance(block, Drawing)]
        made = markdown_page.markdown([*parts, Paragraph(_tested(among)), Paragraph(_made(lab))])
        text = _marks(experiment).sub(partial(_between, made), text)
    whole.write(path, text)
    return [experiment.name for experiment in marked]


def _marks(experiment: Experiment) -> re.Pattern[str]:
    name = experiment.name
    return re.compile(rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end of {name} -->)", re.DOTALL)


def _complete(lab: Lab, experiments: Sequence[Experiment]) -> list[Experiment]:
    """Those of which nothing is left to be made. Where curation kept nothing to train on, there is no training."""
    return [
        experiment
        for experiment in experiments
        if not experiment.missing(lab)
        and all(lab.find(node) is not None or lab.is_impossible(node) for node in experiment.nodes(lab))
    ]


def _ended(lab: Lab, complete: Sequence[Experiment]) -> tuple[dict[str, ExperimentOutcome], Family]:
    """What whole experiments ended with, and all their claims."""
    ended = {experiment.name: experiment.outcome(lab) for experiment in complete}
    return ended, family(said for outcome in ended.values() for said in outcome.said)


def _between(made: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}\n{made}\n{marks[2]}"


def _took(lab: Lab, experiments: Sequence[Experiment]) -> Table:
    """The runs behind each experiment and their time, as if it had been run alone: what two share counts for both."""
    rows = []
    for experiment in experiments:
        runs = {_content(lab, node): run for node in experiment.nodes(lab) if (run := lab.find(node))}
        minutes = sum(seconds(lab.store, run) for run in runs.values()) / 60
        rows.append((experiment.name, f"{len(runs):,}", f"{minutes:.1f}"))
    return Table(("experiment", "runs", "minutes, each with all it needs"), rows)


def _content(lab: Lab, node: Node) -> object:
    """What a run is by any other name: trainings of equal content are one, and so are the evaluations of those."""
    if node.stage == "train":
        return lab.twins.content(lab.made[node])
    if node.parent is not None and node.parent.stage == "train":
        return _content(lab, node.parent), node.settings
    return node


def _made(lab: Lab) -> str:
    """When, where and with what."""
    finished = sorted((row.run for row in listed(lab.store) if row.run.finished), key=lambda run: str(run.finished))
    recorded = (environment(lab.store, run) for run in reversed(finished))
    versions: Mapping[str, str] = next((one for one in recorded if "device" in one), {})  # where a model computed
    shown = ", ".join(f"{name} {versions[name]}" for name in RECORDED if name in versions)
    first, last = (str(run.finished)[:16].replace("T", " ") for run in (finished[0], finished[-1]))
    return f"Runs finished from {first} to {last} UTC. Written on {machine()}. Versions: {shown}."


def _tested(among: Family) -> str:
    """How claims are decided, for who reads many of them."""
    return (
        "One verdict a claim, over all its settings and tasks together: seeds and test items are drawn anew (hierarchical"
        f" bootstrap). p is adjusted for all that is tested here, {counted(len(among), 'claim')} (Holm); below"
        f" {SIGNIFICANT:g} it is a difference. Intervals are those of each claim alone. A verdict takes {FEWEST_SEEDS} seeds;"
        " where there is none, it says why."
    )
