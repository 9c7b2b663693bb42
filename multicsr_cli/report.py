"""The ablation as people read it: a table on the screen, a Markdown report with a plot beside the store.

Every sentence is decided by a paired test over matched trainings (same seed, same other refinements), never by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr_cli import screen
from multicsr_cli.runs import command_line
from stages.tasks.metrics import paired
from store import browse

if TYPE_CHECKING:
    from multicsr_cli.reproduce import Row, Scale, Setting
    from store.database import Store
    from store.records import Run

# Below this a difference is called one; the customary level.
SIGNIFICANT = 0.05


class Ablation:
    """The measured rows; `tasks` in the order of their columns."""

    def __init__(self, rows: list[Row], tasks: list[str], seeds: int, folder: Path) -> None:
        self.rows, self.tasks, self.seeds, self.folder = rows, tasks, seeds, folder

    def best(self) -> Row:
        """The trained row with the highest mean on the last task (STS-B where it was measured, else mini)."""
        return max(
            (row for row in self.rows if row.setting), key=lambda row: float(np.mean(row.figures[self.tasks[-1]]))
        )

    def columns(self) -> list[str]:
        return ["setting", "triplets", "copies x+", "copies x-", "distinct x-", "a > b", "masked", *self.tasks]

    def cells(self, row: Row) -> list[str]:
        shares = (row.entailment_copies, row.contradiction_copies, row.distinct_contradictions, row.ordered)
        return [
            row.name,
            "-" if row.triplets is None else f"{row.triplets:,}",
            *("-" if share is None else f"{100 * share:.1f} %" for share in shares),
            "-" if row.masked is None or not (row.setting and row.setting.mask) else f"{100 * row.masked:.3f} %",
            *(_mean(row.figures[task]) for task in self.tasks),
        ]

    def show(self) -> None:
        """The table on stdout."""
        screen.table(
            "Ablation: Spearman x 100, mean ± standard deviation",
            self.columns(),
            [self.cells(row) for row in self.rows],
            caption=f"{self.seeds} seeds; shares of all premises; mini is the bundled set, not STS-B",
        )

    def sentences(self) -> list[str]:
        """For each refinement, whether it helps at this scale."""
        said = []
        for what, has, without in (
            ("Contrastive decoding (ω 0.3 against 0)", _omega(0.3), _omega(0.0)),
            ("Curation", lambda setting: setting.curated, lambda setting: not setting.curated),
            ("The mask", lambda setting: setting.mask, lambda setting: not setting.mask),
        ):
            said += [self._sentence(what, has, without, task) for task in self.tasks]
        return said

    def _sentence(
        self, what: str, has: Callable[[Setting], bool], without: Callable[[Setting], bool], task: str
    ) -> str:
        grid = [row for row in self.rows if row.setting and row.setting.omega == row.setting.omega_c]
        with_it = [row for row in grid if row.setting and has(row.setting)]
        without_it = [row for row in grid if row.setting and without(row.setting)]
        first = np.concatenate([row.figures[task] for row in with_it])
        second = np.concatenate([row.figures[task] for row in without_it])
        mean, spread, p = paired(first, second)
        if p >= SIGNIFICANT:
            verdict = "makes no difference that these trainings can show"
        else:
            verdict = "helps" if mean > 0 else "hurts"
        return (
            f"{what} {verdict} on {task}: {mean:+.2f} ± {spread:.2f} over {len(first)} matched trainings (p = {p:.3f})."
        )

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "experiment": "t3",
            "seeds": self.seeds,
            "rows": [
                {
                    "setting": row.name,
                    "triplets": row.triplets,
                    "entailment_copies": row.entailment_copies,
                    "contradiction_copies": row.contradiction_copies,
                    "distinct_contradictions": row.distinct_contradictions,
                    "ordered": row.ordered,
                    "masked_share": row.masked,
                    "figures": row.figures,
                    "runs": row.runs,
                }
                for row in self.rows
            ],
            "sentences": self.sentences(),
        }

    def write(self, store: Store, scale: Scale, runs: list[Run]) -> Path:
        """Write report.md with its plot (PNG and SVG); returns the report's path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._plot()
        versions = ", ".join(f"{name} {value}" for name, value in browse.environment(store, runs[-1]).items())
        lines = [
            "# Ablation of the three refinements",
            "",
            f"LLM {scale.llm}, premises {scale.premises}, base {scale.base}, mask model {scale.mask_model},"
            f" batch {scale.train_batch}, lr {scale.lr:g}, {scale.epochs} epochs, {self.seeds} seeds."
            f" The step of each training was chosen on {scale.dev} dev; figures are test figures.",
            "",
            _row(self.columns()),
            "|" + "---|" * len(self.columns()),
            *(_row(self.cells(row)) for row in self.rows),
            "",
            "Spearman x 100, mean ± standard deviation over seeds. Copies and distinct contradictions: shares of all"
            " premises; a > b: share of scored premises whose entailment scores above its contradiction; masked: share of"
            " negatives the mask removed. `mini` is the set bundled with multicsr; its figures are no STS-B figures.",
            "",
            *(f"- {sentence}" for sentence in self.sentences()),
            "",
            "![ablation](ablation.png)",
            "",
            "## Runs",
            "",
            *(f"- `{command_line(run)}` → `{run.id}`" for run in {run.id: run for run in runs}.values()),
            "",
            f"Written {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC. Made with {versions}.",
        ]
        path = self.folder / "report.md"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def _plot(self) -> None:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        height = 0.8 / len(self.tasks)
        figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(self.rows) + 1.2), layout="constrained")
        places = np.arange(len(self.rows))
        for order, task in enumerate(self.tasks):
            means = [float(np.mean(row.figures[task])) for row in self.rows]
            spreads = [
                float(np.std(row.figures[task], ddof=1)) if len(row.figures[task]) > 1 else 0 for row in self.rows
            ]
            axes.barh(places + order * height, means, height * 0.9, xerr=spreads, label=task, capsize=2)
        axes.set_yticks(places + height * (len(self.tasks) - 1) / 2, [row.name for row in self.rows])
        axes.invert_yaxis()
        axes.set_xlabel("Spearman x 100 (bars: mean over seeds; lines: standard deviation)")
        axes.legend(loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
        for kind in ("png", "svg"):
            figure.savefig(self.folder / f"ablation.{kind}", dpi=150)
        pyplot.close(figure)


def _omega(value: float) -> Callable[[Setting], bool]:
    return lambda setting: setting.omega == value


def _mean(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
