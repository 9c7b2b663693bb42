"""The page of all results that a store holds. Nothing in it is typed: every sentence follows from rows.

Arrow: store -> page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from multicsr.paper.claims import SIGNIFICANT
from multicsr.paper.experiments.t1 import ASKED, BY_LIKELIHOOD
from multicsr.paper.outcome import Experiment, blocks, machine
from multicsr.report import markdown_page, page
from multicsr.report.blocks import Block, Drawing, Heading, Page, Paragraph, Points, Table
from store import whole
from store.problem import Problem
from store.read.runs import environment, listed, seconds

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab

Documents = Mapping[str, Mapping[str, Any]]


def write(lab: Lab, path: Path, experiments: Sequence[Experiment]) -> Path:
    """Write the page of every experiment whose runs are all in the store. Raises Problem where there is none."""
    page.refuse(path, "page")
    complete = [experiment for experiment in experiments if not experiment.missing(lab) and _is_whole(lab, experiment)]
    if not complete:
        raise Problem(f"{lab.store.path} holds no whole experiment", "run `multicsr reproduce` first")
    parts: list[Block] = []
    documents: dict[str, Mapping[str, Any]] = {}
    for experiment in complete:
        outcome = experiment.outcome(lab)
        documents[experiment.name] = outcome.document
        parts += [Heading(f"{experiment.name}: {experiment.title}"), *blocks(experiment, outcome)]
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
            Paragraph(_tested(lab)),
            Heading("What was learnt beyond the paper"),
            *(_learnt(documents) or [Paragraph("Nothing yet.")]),
            *parts,
            Heading("What each took"),
            _took(lab, complete),
            *closing,
        ],
    )
    return page.write(whole_page, path, kinds=("png",))[-1]


def _learnt(documents: Documents) -> list[Block]:
    """What several rows tell that no claim of the paper is about."""
    learnt: list[Block] = []
    for question, answer in LEARNT.items():
        if said := answer(documents):
            learnt += [Heading(question, 3), Points(said)]
    return learnt


def fill(lab: Lab, path: Path, experiments: Sequence[Experiment]) -> list[str]:
    """Put the tables and sentences of experiments into a page of other text, each between its two marks; returns whose.

        <!-- t3: made by multicsr reproduce -->
        <!-- end of t3 -->

    Raises Problem where the page has no mark of an experiment that is whole in the store.
    """
    if not path.is_file():
        raise Problem(f"there is no file {path}", "give a Markdown page with the marks of an experiment")
    text, filled = path.read_text(encoding="utf-8"), []
    for experiment in experiments:
        name = experiment.name
        marks = re.compile(rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if marks.search(text) and not experiment.missing(lab) and _is_whole(lab, experiment):
            parts = [block for block in blocks(experiment, experiment.outcome(lab)) if not isinstance(block, Drawing)]
            made = markdown_page.markdown([*parts, Paragraph(_made(lab))])
            text = marks.sub(partial(_between, made), text)
            filled.append(name)
    if not filled:
        raise Problem(
            f"{path} has no mark of an experiment that {lab.store.path} holds whole",
            "write <!-- t3: made by multicsr reproduce --> and <!-- end of t3 --> where its table belongs",
        )
    whole.write(path, text)
    return filled


def _between(made: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}\n{made}\n{marks[2]}"


def _took(lab: Lab, experiments: Sequence[Experiment]) -> Table:
    """The runs behind each experiment and their time, as if it had been run alone: what two share counts for both."""
    rows = []
    for experiment in experiments:
        runs = {run.id: run for node in experiment.nodes(lab) if (run := lab.find(node))}
        minutes = sum(seconds(lab.store, run) for run in runs.values()) / 60
        rows.append((experiment.name, f"{len(runs):,}", f"{minutes:.1f}"))
    return Table(("experiment", "runs", "minutes, each with all it needs"), rows)


def _is_whole(lab: Lab, experiment: Experiment) -> bool:
    """Whether nothing is left to be made. Where curation kept nothing to train on, there is no training."""
    return all(lab.find(node) is not None or lab.is_impossible(node) for node in experiment.nodes(lab))


def _made(lab: Lab) -> str:
    """When, where and with what."""
    finished = [row.run for row in listed(lab.store) if row.run.finished]
    newest = max(finished, key=lambda run: str(run.finished))
    versions = environment(lab.store, newest)
    shown = ", ".join(f"{name} {value}" for name, value in versions.items() if name not in ("data", "premises"))
    oldest = min(str(run.finished) for run in finished)
    return (
        f"{len(finished):,} runs, finished from {oldest[:16].replace('T', ' ')} to"
        f" {str(newest.finished)[:16].replace('T', ' ')} UTC. Written on {machine()}. Versions: {shown}."
    )


def _tested(lab: Lab) -> str:
    """How claims are decided, for who reads many of them."""
    return (
        f"Each claim is tested alone at p < {SIGNIFICANT:g}, without a correction for their number: of many that are not so,"
        f" some come out by chance. {len(lab.seeds)} seeds a setting show large differences only."
    )


def _scores(documents: Documents) -> list[str]:
    """Likelihood against asked-for scores, by LLM."""
    rows: Mapping[str, Mapping[str, float]] = documents.get("t1", {}).get("rows", {})
    said, llms = [], set()
    for name, likely in rows.items():
        llm, _, how = name.rpartition(", ")
        asked = rows.get(f"{llm}, {how.replace(BY_LIKELIHOOD, ASKED)}") or rows.get(f"{llm}, {ASKED}", {})
        if how.startswith(BY_LIKELIHOOD):
            llms.add(llm)
            said += [
                f"{llm} on {task}: Spearman {likely[task]:.2f} {how}, {asked[task]:.2f} asked for a number."
                for task in sorted(likely.keys() & asked.keys())
            ]
    if len(llms) == 1:
        said.append(
            f"{llms.pop()} is the only LLM at this scale: nothing here tells how this changes with an LLM's size."
        )
    return said


def _contrast(documents: Documents) -> list[str]:
    """ω against distinct contradictions."""
    rows = documents.get("f5", {}).get("rows", [])
    if len(rows) < 3:
        return []
    rho, p = stats.spearmanr([row["omega"] for row in rows], [row["distinct"] for row in rows])
    most = max(rows, key=lambda row: float(row["distinct"]))
    least = min(rows, key=lambda row: float(row["distinct"]))
    return [
        f"ω against the share of distinct contradictions over {len(rows)} values: rank correlation {rho:+.2f} (p = {p:.3f});"
        f" the most, {most['distinct']:.1f} %, at ω {most['omega']:g}, the fewest, {least['distinct']:.1f} %, at ω"
        f" {least['omega']:g}."
    ]


def _mask(documents: Documents) -> list[str]:
    """Thresholds by base: how much each masks, and the best and the worst beside the base as it is."""
    bases: dict[str, list[Any]] = {}
    for row in documents.get("f6", {}).get("rows", []):
        bases.setdefault(row["varied"]["base"], []).append(row)
    said = []
    for base, (alone, *rows) in bases.items():
        masked = [(_threshold(row), row["masked_share"]) for row in rows if row["masked_share"] is not None]
        if masked:
            shares = ", ".join(f"{100 * share:.2f} % by {name}" for name, share in masked)
            said.append(f"Masked with {base}: {shares}.")
        for task, (before,) in alone["figures"].items():
            best, worst = _extremes(rows, task)
            said.append(
                f"{base} on {task} ({before:.2f} as it is): the best {best}, the worst {worst}, means over seeds."
            )
    return said


def _few(documents: Documents) -> list[str]:
    """How few triplets are enough: what each number gains over the base."""
    base, *rows = documents.get("sizes", {}).get("rows", [{}])
    said = []
    for task, (before,) in base.get("figures", {}).items():
        gains = [f"{row['setting']} {float(np.mean(row['figures'][task])) - before:+.2f}" for row in rows]
        said.append(f"Gained over the base ({before:.2f}) on {task}: {'; '.join(gains)}; means over seeds.")
    return said


def _extremes(rows: Sequence[Mapping[str, Any]], task: str) -> tuple[str, str]:
    """The best and the worst row on a task, as they are shown."""
    means = {_threshold(row): float(np.mean(row["figures"][task])) for row in rows if row["figures"][task]}
    ordered = sorted(means, key=lambda name: means[name])
    best, worst = (f"{means[name]:.2f} ({name})" for name in (ordered[-1], ordered[0]))
    return best, worst


def _threshold(row: Mapping[str, Any]) -> str:
    """How a row of f6 is masked: its name without the base's."""
    return str(row["setting"]).removeprefix(f"{row['varied']['base']}, ")


LEARNT: Mapping[str, Callable[[Documents], list[str]]] = {
    "Likelihood against asked-for scores, by LLM": _scores,
    "ω against distinct contradictions": _contrast,
    "σ by base model": _mask,
    "How few triplets are enough": _few,
}
