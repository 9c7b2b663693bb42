"""The other tabs: every run, how runs come from one another, what models scored, how a training went."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from multicsr.command_line import command_line
from multicsr_cli.browse.charts import curve
from multicsr_cli.browse.detail import omega
from store.database import Store
from store.read import figures
from store.read.runs import listed
from store.records import Run
from store.rows import training
from store.rule import LEVELS, Thresholds

# Columns, and rows of as many cells.
Table = tuple[Sequence[str], Sequence[Sequence[str]]]

# Cells of a curve beside its neighbours; where they do not fit they stand below one another.
NARROWEST_CURVE = 36

# Lines of a curve: more tell no more.
HIGHEST_CURVE = 14


def runs(store: Store) -> Table:
    """Columns and rows of the list of runs; the first cell is the run's id."""
    rows = [
        (row.run.id, row.run.stage, state(row.run), f"{row.done:,}", command_line(store, row.run))
        for row in listed(store)
    ]
    return ("run", "stage", "state", "done", "command"), rows


def state(run: Run) -> str:
    return "complete" if run.finished else "unfinished"


def leaderboard(store: Store) -> Table:
    """Columns and rows of the leaderboard; the first cell is the eval run's id."""
    rows = [
        (
            row.run,
            row.task + (f" / {row.subset}" if row.subset else ""),
            row.metric,
            f"{row.value:.2f}" + (f" ± {row.error:.2f}" if row.error is not None else ""),
            f"{row.n:,}",
            row.model,
        )
        for row in figures.leaderboard(store)
    ]
    return ("run", "task", "metric", "x 100", "n", "model"), rows


def lineage(store: Store, here: Run | None) -> Text:
    """Every run under the run it was made from, with what sets it apart; `here` is marked."""
    every = [row.run for row in listed(store)]
    children: dict[str | None, list[Run]] = {}
    for run in every:
        children.setdefault(run.parent, []).append(run)
    lines: list[Text] = []

    def grow(run: Run, before: str, last: bool, top: bool) -> None:
        branch = "" if top else ("└─ " if last else "├─ ")
        mark = "bold reverse" if here is not None and run.id == here.id else ""
        line = Text(before + branch, "dim") + Text(f"{run.stage} {run.id}", mark) + Text(f"  {about(run)}", "dim")
        lines.append(line)
        below = children.get(run.id, [])
        for place, child in enumerate(below):
            grow(child, before + ("" if top else "   " if last else "│  "), place == len(below) - 1, False)

    for run in children.get(None, []):
        grow(run, "", True, True)
    return Text("\n").join(lines) if lines else Text("no runs yet: `multicsr gen` begins the first", "dim")


def about(run: Run) -> str:
    """What sets a run apart from its like, in a few words."""
    config = run.config
    told = {
        "gen": lambda: f"{config['llm']}, {omega(run)}" if "llm" in config else omega(run),
        "score": lambda: f"by {config['by']}" + (f", {config['llm']}" if "llm" in config else ""),
        "curate": lambda: " ".join(
            f"{level.sign} {bound:g}"
            for level, bound in zip(LEVELS, Thresholds.of(config).values, strict=True)
            if level.asks(bound)
        ),
        "train": lambda: f"{config['base']}, seed {config['seed']}",
        "eval": lambda: ", ".join(config["tasks"]),
    }.get(run.stage, lambda: "")()
    counts = {"curate": "kept", "train": "triplets"}.get(run.stage)
    if counts in run.counts:
        told += f", {run.counts[counts]:,} {counts}"
    return told if run.finished else f"{told} (unfinished)"


def trainings(store: Store) -> list[Run]:
    """The train runs, newest first."""
    return [row.run for row in reversed(listed(store)) if row.run.stage == "train"]


def curves(store: Store, run: Run, number: int, of: int, width: int, height: int) -> Text:
    """Loss, masked share and dev Spearman of a training over its steps."""
    steps = training.steps(store, run)
    dev = [row for row in training.metrics(store, run) if row.name == "spearman" and not row.subset]
    measured = (
        ("loss", [(float(row.step), row.loss) for row in steps]),
        ("masked share of negatives, %", [(float(row.step), 100 * row.masked_share) for row in steps]),
        (f"dev Spearman x 100 ({run.config['dev']})", [(float(row.step), row.value) for row in dev]),
    )
    title = Text(f"train {run.id}", "bold") + Text(f"  {about(run)}")
    if of > 1:
        title.append(f"  {number} of {of}, ← → for the others", "dim")
    lines = [title, Text()]
    beside = width >= 3 * NARROWEST_CURVE
    each = (width - 2) // 3 if beside else width - 2
    tall = height - 5 if beside else (height - 8) // 3
    panels = [curve(name, points, each, min(max(tall, 2), HIGHEST_CURVE)) for name, points in measured]
    if beside:
        for row in zip(*(_padded(panel, max(map(len, panels)), each) for panel in panels), strict=True):
            lines.append(Text.assemble(*row))
    else:
        lines += [line for panel in panels for line in panel]
    return Text("\n").join(lines)


def _padded(panel: list[Text], height: int, width: int) -> list[Text]:
    """Lines of equal width, as many as asked for."""
    found = [*panel, *(Text() for _ in range(height - len(panel)))]
    for line in found:
        line.truncate(width, pad=True)
    return found
