"""What an experiment ends with. Arrow: figures -> table, plot, sentences, as Markdown, LaTeX and CSV beside the store."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from multicsr.command_line import command_line
from multicsr.paper.claims import Family, Said, records, sentences
from multicsr.paper.lab.material import comma_separated
from multicsr.report import page as pages
from multicsr.report.blocks import Block, Code, Drawing, Heading, Page, Paragraph, Points, numeric
from multicsr.report.blocks import Table as PageTable
from store import whole

if TYPE_CHECKING:
    from multicsr.paper.lab.lab import Lab
    from multicsr.paper.node import Node
    from store.records import Run

# Characters of a cell above which it is a sentence, no figure or name of a row.
SENTENCE = 50

# Of the width of a line in print, what its columns of sentences share.
PARAGRAPHS = 0.6

# What a figure that is not known is printed as.
UNKNOWN = "-"

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "α": r"$\alpha$",
        "β": r"$\beta$",
        "γ": r"$\gamma$",
        "σ": r"$\sigma$",
        "ω": r"$\omega$",
        "λ": r"$\lambda$",
        "≥": r"$\geq$",
        "†": r"\dag{}",
        "‡": r"\ddag{}",
        "§": r"\S{}",
    }
)


@dataclass(frozen=True)
class ResultTable:
    """Rows of text under columns, in the paper's order."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class ExperimentOutcome:
    """`tables`, the main one first. `said` are its claims, and sentences that no test decides. `exports` are further files,
    by name. `document` is what --json adds to that."""

    tables: Sequence[ResultTable]
    said: Sequence[Said]
    document: Mapping[str, Any]
    draw: Callable[[], Any] | None = None
    exports: Mapping[str, str] = field(default_factory=dict)


class Experiment(Protocol):
    """A table or figure of the paper."""

    @property
    def name(self) -> str:
        """t3, f5"""
        ...

    @property
    def title(self) -> str:
        """What the table or figure shows."""
        ...

    def missing(self, lab: Lab) -> str | None:
        """What it cannot be run without and is not there, with what would do; None where it can be run."""
        ...

    def nodes(self, lab: Lab) -> list[Node]:
        """The runs it reads, in the order in which they are made."""
        ...

    def outcome(self, lab: Lab) -> ExperimentOutcome:
        """Make what is missing, then read the table from the store."""
        ...


def mean(values: Sequence[float]) -> str:
    """Mean ± standard deviation, or the value alone."""
    if not values:
        return UNKNOWN
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"


def machine() -> str:
    """The machine this runs on, for people: processor, cores, GPU."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    named = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{named or platform.processor() or platform.machine()}, {cores} cores"


def document(outcome: ExperimentOutcome, among: Family) -> dict[str, Any]:
    """What --json tells of an experiment, on a page whose claims are `among`."""
    told = {"claims": records(outcome.said, among), "sentences": sentences(outcome.said, among)}
    return {**outcome.document, **told}


def write(experiment: Experiment, outcome: ExperimentOutcome, among: Family, lab: Lab, runs: Sequence[Run]) -> Path:
    """NAME.md with its plot, NAME.tex and NAME.csv, and what else it exports; returns the Markdown page."""
    folder = lab.folder
    folder.mkdir(parents=True, exist_ok=True)
    main = outcome.tables[0]
    texts = {
        f"{experiment.name}.tex": "\n".join(latex(table) for table in outcome.tables),
        f"{experiment.name}.csv": comma_separated(main.columns, main.rows),
        **outcome.exports,
    }
    for name, text in texts.items():
        whole.write(folder / name, text)
    commands = [[Code(command_line(lab.store, run)), Code(run.id)] for run in {run.id: run for run in runs}.values()]
    page = Page(
        f"{experiment.name}: {experiment.title}",
        [
            *blocks(experiment, outcome, among),
            Heading("Runs"),
            PageTable(("command", "run"), commands, stacked=True),
        ],
    )
    return pages.write(page, folder / f"{experiment.name}.md")[-1]


def blocks(experiment: Experiment, outcome: ExperimentOutcome, among: Family) -> list[Block]:
    """The outcome as parts of a page whose claims are `among`."""
    parts: list[Block] = []
    for table in outcome.tables:
        parts += [Paragraph(f"{table.title}."), PageTable(table.columns, table.rows, caption=table.caption)]
    parts.append(Points(sentences(outcome.said, among)))
    if outcome.draw is not None:
        parts.append(Drawing(experiment.name, experiment.title, outcome.draw))
    return parts


def latex(table: ResultTable) -> str:
    """A booktabs table: figures to the right, sentences in paragraphs."""
    right = numeric(PageTable(table.columns, table.rows))
    long = [any(len(row[place]) > SENTENCE for row in table.rows) for place in range(len(table.columns))]
    paragraph = rf"p{{{PARAGRAPHS / max(sum(long), 1):.2f}\linewidth}}"
    columns = "".join(paragraph if long[place] else "r" if place in right else "l" for place in range(len(long)))
    lines = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in table.rows]
    return "\n".join(
        [
            f"% {table.title}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(_tex(name) for name in table.columns) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _tex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)
