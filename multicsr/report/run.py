"""A run and all it was made from as blocks of a page, a function a section. Arrow: rows of the store -> blocks.

A section whose rows are not there is empty, so a page shows what there is: a gen run alone, a corpus that was imported, an
encoder that was measured as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from multicsr.evaluate import is_headline
from multicsr.report import plots
from multicsr.report.page import Bar, Block, Cell, Code, Drawing, Heading, Page, Paragraph, Points, Table, Verbatim
from multicsr.terms import TERMS
from multicsr_cli.commands.runs import command_line
from stages.public import published
from store.read import figures, funnel, runs, triplets
from store.records import Run
from store.rows import drafts, training
from store.rows.training import MetricRow
from store.rule import WORDS

if TYPE_CHECKING:
    from store.database import Store
    from store.read.runs import View

EXAMPLES = 4  # triplets shown for each reason
BINS = 20  # of a score: a quarter of a point each
POINTS = 400  # of a curve: as many as a screen can show


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
        self.funnel: dict[str, Any] = funnel.levels(store, self.view) if self.view else {}

    def page(self) -> Page:
        """Every section that has something to show."""
        parts: list[Block] = self._summary()
        for title, blocks in (
            ("Recipe", self._recipe()),
            ("Funnel", self._funnel()),
            ("Scores", self._scores()),
            ("Examples", self._examples()),
            ("Training", self._training()),
            ("Results", self._results()),
            ("Beside published figures", self._published()),
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
                if published.AVERAGE in (figures := self._measured(run, group)):
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
            rows: list[list[Cell]] = [
                [Code(name), shown(value), TERMS.get(name, "")]
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

    def _funnel(self) -> list[Block]:
        """How many premises reached each level, and why the others did not."""
        if not self.funnel.get("premises"):
            return []
        whole = self.funnel["premises"]
        levels = [(name, count) for name, count in self.funnel.items() if isinstance(count, int)]
        blocks: list[Block] = [_bars("level", levels, whole)]
        if self.funnel.get("reasons"):
            blocks += [Heading("Dropped, by first reason", 3), _bars("reason", self.funnel["reasons"].items(), whole)]
        return blocks

    def _scores(self) -> list[Block]:
        """How a and b lie, and what of it the rule keeps."""
        from stages.config import CurateConfig

        score, curate = self.by_stage.get("score"), self.by_stage.get("curate")
        means = figures.averages(self.store, score) if score else None
        if score is None or means is None:
            return []
        counted = figures.bins(self.store, score, BINS)
        rule = CurateConfig(**curate.config) if curate else None
        says = (
            f"Over {means.premises:,} premises with both scores the mean of a is {means.a:.2f} and of b {means.b:.2f};"
            f" a is above b in {100 * means.ordered:.1f} %."
        )
        region = " The line encloses what the thresholds keep." if rule else ""
        return [
            Paragraph(
                says + region + " The stronger a cell's colour, the more premises it holds (by the square root)."
            ),
            Drawing(
                f"{self.name}-scores",
                f"Histograms of a and b, and their density. {says}",
                lambda: plots.scores(counted, BINS, rule),
            ),
        ]

    def _examples(self) -> list[Block]:
        """A few triplets of each fate, spread over the run."""
        if self.view is None:
            return []
        curated = self.view.curate is not None
        if self.view.curate is not None:
            reasons = list(self.funnel.get("reasons", funnel.reasons(self.store, self.view.curate)))
        else:
            reasons = funnel.problems_met(self.store, self.view.gen)
        blocks: list[Block] = []
        for reason in (None, *reasons):
            found = triplets.examples(self.store, self.view, reason, EXAMPLES)
            if found:
                title = reason or ("kept" if curated else "written")
                blocks.append(Heading(title, 3))
                if reason in WORDS:
                    blocks.append(Paragraph(f"{WORDS[reason].capitalize()}."))
                blocks.append(_triplets(found))
        return blocks

    def _training(self) -> list[Block]:
        """The curve: loss, masked share, dev figures with the chosen step."""
        train = self.by_stage.get("train")
        points = figures.curve(self.store, train, POINTS) if train else []
        if train is None or not points:
            return []
        dev = figures.dev(self.store, train)
        best = training.best_step(self.store, train, train.config["dev"], "spearman")
        masked = train.config["mask_model"] != "none"
        says = f"{points[-1].step:,} steps, the last with a loss of {points[-1].loss:.4f}."
        if best is not None:
            says += f" Step {best.step:,} has the highest dev figure: {best.value:.2f} on {best.task} (it is no test figure)."
        if masked:
            share = training.masked_share(self.store, train)
            says += f" The mask removed {100 * share:.3f} % of the negatives."
        stretch = points[0].step
        if stretch > 1:
            says += f" Each point of the curve is the mean of {stretch:,} steps."
        blocks: list[Block] = [
            Paragraph(says),
            Drawing(
                f"{self.name}-training",
                f"Training curves. {says}",
                lambda: plots.curves(points, dev, best.step if best else None, masked),
            ),
        ]
        if dev:
            rows = [[f"{row.step:,}", f"{row.value:.2f}", _error(row), f"{row.n:,}"] for row in dev]
            strong = [place for place, row in enumerate(dev) if best is not None and row.step == best.step]
            blocks.append(Table(("step", f"{dev[0].task} dev", "± error", "pairs"), rows, strong=strong))
        return blocks

    def _results(self) -> list[Block]:
        """Every figure with its standard error."""
        blocks: list[Block] = []
        for run in self.evaluations:
            rows = [
                [row.task, row.subset or "whole", row.name, f"{row.value:.2f}", _error(row), f"{row.n:,}"]
                for row in training.metrics(self.store, run)
            ]
            if rows:
                title = f"{shown(run.config['model'])}, {run.config['split']} data, eval {run.id}"
                columns = ("task", "subset", "metric", "x 100", "± standard error", "n")
                blocks += [Heading(title, 3), Table(columns, rows)]
        return blocks

    def _published(self) -> list[Block]:
        """The seven STS and the seven transfer tasks beside what papers print of them."""
        blocks: list[Block] = []
        for group in published.GROUPS:
            names = (*published.tasks(group), published.AVERAGE)
            ours = [(run, figures) for run in self.evaluations if (figures := self._measured(run, group))]
            if not ours:
                continue
            rows = [
                *([self._backbone(run), self._method(run), *_figures(figures, names)] for run, figures in ours),
                *([row.backbone, row.method, *_figures(row.figures, names)] for row in published.table(group)),
            ]
            what = {"sts": "Spearman x 100, all pairs of a year together", "transfer": "accuracy x 100"}[group]
            caption = f"{what}; - where a figure is not known, or not measured on the whole test set."
            blocks.append(Table(("backbone", "method", *names), rows, caption=caption, strong=range(len(ours))))
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
            Points([f"Store: {store}", f"Written: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"]),
        ]

    def _measured(self, run: Run, group: str) -> dict[str, float]:
        """The headlines of a group of tasks that may stand beside published ones: an encoder's, on whole test sets. With
        their average where all seven are there."""
        if run.config["split"] != "test" or "pooler" not in run.config:
            return {}
        names = published.tasks(group)
        found = {
            row.task: row.value
            for row in training.metrics(self.store, run)
            if is_headline(row) and row.task in names and row.n == published.PAIRS.get(row.task, row.n)
        }
        if len(found) == len(names):
            found[published.AVERAGE] = sum(found.values()) / len(names)
        return found

    def _method(self, run: Run) -> str:
        return f"this run (eval {run.id}{', whitened' if run.config.get('whiten') else ''})"

    def _backbone(self, run: Run) -> str:
        """The encoder behind an evaluation: the base of its training, or what was measured as it is."""
        trained = self.by_stage.get("train")
        return shown(trained.config["base"] if trained else run.config["model"])

    def _command(self, run: Run) -> str:
        return shlex.join(shown(word) for word in shlex.split(command_line(self.store, run)))


def shown(value: Any) -> str:
    """A setting as text. Of an absolute path its last part: a page is for others, and theirs are other folders."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(value)
    text = str(value)
    for kind in (PurePath, PureWindowsPath):
        if kind(text).is_absolute() or text.startswith("~"):
            return kind(text).name
    return text


def _bars(what: str, counts: Any, whole: int) -> Table:
    """A table of counts, each with its share of `whole`."""
    rows = [[name, f"{count:,}", f"{100 * count / whole:.1f} %", Bar(count / whole)] for name, count in counts]
    return Table((what, "premises", "share", ""), rows)


def _triplets(found: Sequence[triplets.ExampleTriplet]) -> Table:
    scored = any(one.a is not None or one.b is not None for one in found)
    rows: list[list[Cell]] = []
    for one in found:
        a, b = ([_score(one.a)], [_score(one.b)]) if scored else ([], [])
        rows.append([one.premise, one.entailment, *a, one.contradiction, *b])
    columns = (
        ("premise", "entailment", "a", "contradiction", "b") if scored else ("premise", "entailment", "contradiction")
    )
    return Table(columns, rows, stacked=True)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _error(row: MetricRow) -> str:
    return "-" if row.error is None else f"{row.error:.2f}"


def _figures(figures: dict[str, float], names: Sequence[str]) -> list[str]:
    return [f"{figures[name]:.2f}" if name in figures else "-" for name in names]


def _minute(time: str | None) -> str:
    return "not yet" if time is None else time[:16].replace("T", " ")
