"""Sections on an encoder: how its training went and what it was measured to be, beside what papers print.

Arrow: rows of the store -> blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multicsr.report import plots
from multicsr.report.blocks import Block, Drawing, Heading, Paragraph, Table, shown
from multicsr.report.measured import is_headline
from stages.public import published
from store.read import figures
from store.rows import training

if TYPE_CHECKING:
    from store.database import Store
    from store.records import Run
    from store.rows.training import MetricRow

POINTS = 400  # of a curve: as many as a screen can show


def course(store: Store, name: str, train: Run | None) -> list[Block]:
    """The curve: loss, masked share, dev figures with the chosen step."""
    points = figures.curve(store, train, POINTS) if train else []
    if train is None or not points:
        return []
    dev = figures.dev(store, train)
    best = training.best_step(store, train, train.config["dev"], "spearman")
    masked = train.config["mask_model"] != "none"
    says = f"{points[-1].step:,} steps, the last with a loss of {points[-1].loss:.4f}."
    if best is not None:
        says += (
            f" Step {best.step:,} has the highest dev figure: {best.value:.2f} on {best.task} (it is no test figure)."
        )
    if masked:
        share = training.masked_share(store, train)
        says += f" The mask removed {100 * share:.3f} % of the negatives."
    stretch = points[0].step
    if stretch > 1:
        says += f" Each point of the curve is the mean of {stretch:,} steps."
    blocks: list[Block] = [
        Paragraph(says),
        Drawing(
            f"{name}-training",
            f"Training curves. {says}",
            lambda: plots.curves(points, dev, best.step if best else None, masked),
        ),
    ]
    if dev:
        rows = [[f"{row.step:,}", f"{row.value:.2f}", _error(row), f"{row.n:,}"] for row in dev]
        strong = [place for place, row in enumerate(dev) if best is not None and row.step == best.step]
        blocks.append(Table(("step", f"{dev[0].task} dev", "± error", "pairs"), rows, strong=strong))
    return blocks


def results(store: Store, evaluations: Sequence[Run]) -> list[Block]:
    """Every figure with its standard error."""
    blocks: list[Block] = []
    for run in evaluations:
        rows = [
            [row.task, row.subset or "whole", row.name, f"{row.value:.2f}", _error(row), f"{row.n:,}"]
            for row in training.metrics(store, run)
        ]
        if rows:
            title = f"{shown(run.config['model'])}, {run.config['split']} data, eval {run.id}"
            columns = ("task", "subset", "metric", "x 100", "± standard error", "n")
            blocks += [Heading(title, 3), Table(columns, rows)]
    return blocks


def beside_published(store: Store, evaluations: Sequence[Run], trained: Run | None) -> list[Block]:
    """The seven STS and the seven transfer tasks beside what papers print of them."""
    blocks: list[Block] = []
    for group in published.GROUPS:
        names = (*published.tasks(group), published.AVERAGE)
        ours = [(run, measured) for run in evaluations if (measured := headlines(store, run, group))]
        if not ours:
            continue
        rows = [
            *([_backbone(run, trained), _method(run), *_figures(measured, names)] for run, measured in ours),
            *([row.backbone, row.method, *_figures(row.figures, names)] for row in published.table(group)),
        ]
        what = {"sts": "Spearman x 100, all pairs of a year together", "transfer": "accuracy x 100"}[group]
        caption = f"{what}; - where a figure is not known, or not measured on the whole test set."
        blocks.append(Table(("backbone", "method", *names), rows, caption=caption, strong=range(len(ours))))
    return blocks


def headlines(store: Store, run: Run, group: str) -> dict[str, float]:
    """The headlines of a group of tasks that may stand beside published ones: an encoder's, on whole test sets. With
    their average where all seven are there."""
    if run.config["split"] != "test" or "pooler" not in run.config:
        return {}
    names = published.tasks(group)
    found = {
        row.task: row.value
        for row in training.metrics(store, run)
        if is_headline(row) and row.task in names and row.n == published.PAIRS.get(row.task, row.n)
    }
    if len(found) == len(names):
        found[published.AVERAGE] = sum(found.values()) / len(names)
    return found


def _method(run: Run) -> str:
    return f"this run (eval {run.id}{', whitened' if run.config.get('whiten') else ''})"


def _backbone(run: Run, trained: Run | None) -> str:
    """The encoder behind an evaluation: the base of its training, or what was measured as it is."""
    return shown(trained.config["base"] if trained else run.config["model"])


def _error(row: MetricRow) -> str:
    return "-" if row.error is None else f"{row.error:.2f}"


def _figures(measured: dict[str, float], names: Sequence[str]) -> list[str]:
    return [f"{measured[name]:.2f}" if name in measured else "-" for name in names]
