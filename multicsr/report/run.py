"""A run and all it was made from as blocks of a page, a function a section. Arrow: rows of the store -> blocks.

A section whose rows are not there is empty, so a page shows what there is: a gen run alone, a corpus that was imported, an
encoder that was measured as it is.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from multicsr.command_line import command_line
from multicsr.report import run_figures, run_texts
from multicsr.report.blocks import Block, Cell, Code, Heading, Page, Paragraph, Points, Table, Verbatim, shown
from stages.config import class_of
from stages.public import published
from stages.settings import Settings, settings_of
from store.read import funnel as levels
from store.read import runs
from store.records import Run
from store.rows import drafts

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import View

# What the fields are that are found for a run, or that a file came with: nobody sets them.
FOUND = {
    "base_url": "the server that a hosted LLM is asked at",
    "by": "how the scores came here",
    "method": "how the hypotheses came here",
    "model": "what is measured",
    "premises": "the sentences x, with a digest of their texts",
    "strategy": "claif: pairs are decided on, not triplets",
    "tasks": "on what it is measured",
}


class Story:
    """A run, the runs it was made from (`line`, the first stage first), and the evaluations of its encoder.

    `name` begins the names of the drawings.
    """

    def __init__(self, store: Store, run: Run, name: str) -> None:
        self.store, self.run, self.name = store, run, name
        self.line = runs.line(store, run)
        self.by_stage = {one.stage: one for one in self.line}
        last = next((one for one in reversed(self.line) if one.stage in ("curate", "score", "gen")), None)
        self.view: View | None = runs.view(store, last) if last else None
        train = self.by_stage.get("train")
        self.evaluations = [run] if run.stage == "eval" else runs.evaluations(store, train) if train else []
        self.funnel: dict[str, Any] = levels.levels(store, self.view) if self.view else {}

    def page(self) -> Page:
        """Every section that has something to show."""
        stage = self.by_stage.get
        parts: list[Block] = self._summary()
        for title, blocks in (
            ("Recipe", self._recipe()),
            ("Funnel", run_texts.funnel(self.funnel)),
            ("Scores", run_texts.scores(self.store, self.name, stage("score"), stage("curate"))),
            ("Examples", run_texts.examples(self.store, self.view, self.funnel)),
            ("Training", run_figures.course(self.store, self.name, stage("train"))),
            ("Results", run_figures.results(self.store, self.evaluations)),
            ("Beside published figures", run_figures.beside_published(self.store, self.evaluations, stage("train"))),
            ("Prompts", self._prompts()),
            ("How it was made", self._made()),
        ):
            if blocks:
                parts += [Heading(title), *blocks]
        return Page(f"multicsr {self.run.stage} {self.run.id}", parts)

    def _summary(self) -> list[Block]:
        """What this is, in a few sentences."""
        sentences = []
        if "gen" in self.by_stage:
            gen = self.by_stage["gen"].config
            author = f"whose hypotheses {shown(gen['llm'])} wrote" if "llm" in gen else "with triplets made elsewhere"
            sentences.append(f"{self.funnel['premises']:,} premises of {shown(gen['premises'])}, {author}.")
        if "kept" in self.funnel:
            sentences.append(f"Curation keeps {self.funnel['kept']:,}.")
        train = self.by_stage.get("train")
        if train is not None and train.finished:
            sentences.append(
                f"{shown(train.config['base'])} was trained on {train.counts['triplets']:,} triplets for"
                f" {train.counts['steps']:,} steps, of which step {train.counts['best_step']:,} was chosen."
            )
        for run in self.evaluations:
            for group in published.GROUPS:
                if published.AVERAGE in (figures := run_figures.headlines(self.store, run, group)):
                    sentences.append(f"Average of the seven {group} tasks: {figures[published.AVERAGE]:.2f}.")
        unfinished = [one for one in self.line if not one.finished]
        if unfinished:
            names = " and ".join(f"{one.stage} run {one.id}" for one in unfinished)
            sentences.append(f"Not finished yet: {names}. This page shows what was stored when it was written.")
        return [Paragraph(" ".join(sentences))] if sentences else []

    def _recipe(self) -> list[Block]:
        """The settings of every stage, each with what it means."""
        blocks: list[Block] = []
        for run in self.line:
            words = meanings(class_of(run.stage, run.config))
            rows: list[list[Cell]] = [
                [Code(name), shown(value), words[name]]
                for name, value in run.config.items()
                if not name.endswith(("_fingerprint", "_digest"))
            ]
            blocks += [
                Heading(f"{run.stage} {run.id}", 3),
                Table(("setting", "value", "what it is"), rows),
            ]
        return blocks

    def _prompts(self) -> list[Block]:
        """The prompt sets as they were when they were used."""
        used: dict[str, list[str]] = {}
        for run in self.line:
            if "prompts_digest" in run.config:
                used.setdefault(run.config["prompts_digest"], []).append(run.stage)
        blocks: list[Block] = []
        for digest, stages in used.items():
            found = drafts.prompt_set(self.store, digest)
            if found is not None:
                name, toml = found
                blocks += [Heading(f"{shown(name)} ({' and '.join(stages)})", 3), Verbatim(toml.strip())]
        return blocks

    def _made(self) -> list[Block]:
        """Commands, times, versions and machine of every run."""
        noted = [runs.environment(self.store, run) for run in self.line]
        rows: list[list[Cell]] = []
        for run in self.line:
            started, finished = runs.times(self.store, run)
            rows.append([Code(run.id), run.stage, _minute(started), _minute(finished), Code(self._command(run))])
        names = list(dict.fromkeys(name for one in noted for name in one))
        versions: list[list[Cell]] = [[Code(name), *(shown(one.get(name)) for one in noted)] for name in names]
        store = self.store.path.name if self.store.path else "in memory"
        return [
            Table(
                ("run", "stage", "started", "finished", "command"),
                rows,
                stacked=True,
                caption="Times are UTC. Of files and folders only the last part of the path is shown.",
            ),
            Heading("Versions and machine", 3),
            Table(("", *(run.stage for run in self.line)), versions),
            Points([f"Store: {store}", f"Written: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"]),
        ]

    def _command(self, run: Run) -> str:
        return shlex.join(shown(word) for word in shlex.split(command_line(self.store, run)))


def meanings(config: type[Settings]) -> dict[str, str]:
    """What each field of a stage's settings is, in one line: the help of its flag."""
    return FOUND | {setting.name: setting.known.help for setting in settings_of(config)}


def _minute(time: str | None) -> str:
    return "not yet" if time is None else time[:16].replace("T", " ")
