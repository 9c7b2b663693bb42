"""The ablation as people read it: a table on the screen, a Markdown report with a plot beside the store.

Every sentence is decided by a paired test over matched trainings (same seed, same other refinements), never by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multicsr_cli import pages, screen
from multicsr_cli.pages import COLOURS, Code, Drawing, Heading, Page, Paragraph, Points, Table
from multicsr_cli.runs import command_line
from stages.tasks.metrics import paired
from store import browse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multicsr_cli.reproduce import Row, Scale, Setting
    from store.database import Store
    from store.records import Run

# Below this a difference is called one; the customary level.
SIGNIFICANT = 0.05


class Ablation:
    """The measured rows; `tasks` in the order of their columns."""

    def __init__(self, rows: list[Row], tasks: list[str], seeds: int, folder: Path) -> None:
        self.rows, self.tasks, self.seeds, self.folder = rows, tasks, seeds, folder

    def best(self) -> Row | None:
        """The trained row with the highest mean on the last task (STS-B where it was measured, else mini)."""
        trained = [row for row in self.rows if row.setting and row.runs]
        return max(trained, key=lambda row: float(np.mean(row.figures[self.tasks[-1]])), default=None)

    def results(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the main table: each setting with its figures."""
        rows = [
            [
                row.name,
                "-" if row.triplets is None else f"{row.triplets:,}",
                "-" if row.masked is None else f"{100 * row.masked:.2f} %",
                *(_mean(row.figures[task]) for task in self.tasks),
            ]
            for row in self.rows
        ]
        return ["setting", "triplets", "masked", *self.tasks], rows

    def corpora(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the second table: what the LLM wrote in each corpus, and how much of it is kept."""
        seen: dict[str, list[str]] = {}
        for row in self.rows:
            if row.setting and row.corpus:
                shares = (
                    row.corpus.entailment_copies,
                    row.corpus.contradiction_copies,
                    row.corpus.distinct_contradictions,
                    row.ordered,
                )
                shown = [f"{100 * share:.1f} %" for share in shares if share is not None]
                seen[row.setting.corpus] = [row.setting.corpus, f"{row.corpus.premises:,}", *shown, f"{row.kept:,}"]
        return ["corpus", "premises", "copies x+", "copies x-", "distinct x-", "a > b", "kept"], list(seen.values())

    def show(self) -> None:
        """Both tables on stdout."""
        columns, rows = self.corpora()
        screen.table("What the LLM wrote (x+ entailment, x- contradiction)", columns, rows)
        columns, rows = self.results()
        caption = f"mean ± standard deviation over {self.seeds} seeds; mini is the bundled set, not STS-B"
        screen.table("Ablation: Spearman x 100", columns, rows, caption=caption)

    def sentences(self) -> list[str]:
        """For each refinement, whether it helps at this scale: matched trainings differ in it alone (and share a seed)."""
        asked: tuple[tuple[str, Callable[[Setting], Setting | None]], ...] = (
            ("Contrastive decoding (ω 0.3 against 0)", _without_contrast),
            ("Curation", lambda setting: replace(setting, curated=False) if setting.curated else None),
            ("The mask", lambda setting: replace(setting, mask=False) if setting.mask else None),
        )
        return [self._sentence(what, without, task) for what, without in asked for task in self.tasks]

    def _sentence(self, what: str, without: Callable[[Setting], Setting | None], task: str) -> str:
        measured = {row.setting: row.figures[task] for row in self.rows if row.setting and row.figures[task]}
        # Two trainings with equal figures in both arms are one observation: a mask that removes nothing trains twice alike.
        matched: dict[tuple[float, float], None] = {}
        for setting, figures in measured.items():
            plain = without(setting)
            if plain is not None and plain in measured:
                matched |= dict.fromkeys(zip(figures, measured[plain], strict=True))
        if len(matched) < 2:
            return f"{what}: too few matched trainings on {task} to say anything."
        first, second = np.array(list(matched)).T
        mean, spread, p = paired(first, second)
        if p >= SIGNIFICANT:
            verdict = "makes no difference that these trainings can show"
        else:
            verdict = "helps" if mean > 0 else "hurts"
        chance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        return (
            f"{what} {verdict} on {task}: {mean:+.2f} ± {spread:.2f} over {len(matched)} matched trainings ({chance})."
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
                    "corpus": row.corpus._asdict() if row.corpus else None,
                    "ordered_share": row.ordered,
                    "kept": row.kept,
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
        return pages.write(self.page(store, scale, runs), self.folder / "report.md")[-1]

    def page(self, store: Store, scale: Scale, runs: list[Run]) -> Page:
        """The report as blocks."""
        versions = ", ".join(f"{name} {value}" for name, value in browse.environment(store, runs[-1]).items())
        commands = [[Code(command_line(store, run)), Code(run.id)] for run in {run.id: run for run in runs}.values()]
        return Page(
            "Ablation of the three refinements",
            [
                Paragraph(
                    f"LLM {scale.llm}, premises {scale.premises}, base {scale.base}, mask model {scale.mask_model},"
                    f" batch {scale.train_batch}, lr {scale.lr:g}, {scale.epochs} epochs, {self.seeds} seeds."
                    f" The step of each training was chosen on {scale.dev} dev; figures are test figures."
                ),
                Table(*self.results()),
                Paragraph(
                    "Spearman x 100, mean ± standard deviation over seeds; masked: share of negatives the mask removed."
                    " mini is the set bundled with multicsr; its figures are no STS-B figures."
                ),
                Table(*self.corpora()),
                Paragraph(
                    "x+ entailment, x- contradiction; copies of the premise (case and punctuation aside) and distinct"
                    " contradictions are shares of all premises; a > b: share of scored premises whose entailment scores"
                    " above its contradiction; kept: triplets left by curation."
                ),
                Points(self.sentences()),
                Drawing("ablation", "Each setting's figures, mean ± standard deviation over seeds", self._plot),
                Heading("Runs"),
                Table(("command", "run"), commands, stacked=True),
                Paragraph(f"Written {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC. Made with {versions}."),
            ],
        )

    def _plot(self) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4 + 3 * len(self.tasks), 0.36 * len(self.rows) + 1), layout="constrained")
        panels = figure.subplots(1, len(self.tasks), sharey=True, squeeze=False)[0]
        places = np.arange(len(self.rows))
        for axes, task in zip(panels, self.tasks, strict=True):
            for place, row in zip(places, self.rows, strict=True):
                values = row.figures[task]
                if not values:
                    continue
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                color = COLOURS["first"] if row.setting else COLOURS["faint"]
                axes.errorbar(float(np.mean(values)), place, xerr=spread, fmt="o", color=color, capsize=3)
            axes.set_xlabel(f"{task}: Spearman x 100")
            axes.grid(axis="x", alpha=0.3)
        panels[0].set_yticks(places, [row.name for row in self.rows])
        panels[0].invert_yaxis()
        figure.suptitle("mean ± standard deviation over seeds; gray: models as they are", fontsize="small")
        return figure


def _without_contrast(setting: Setting) -> Setting | None:
    """The same setting at ω = 0, for those that contrast both roles alike."""
    if setting.omega == 0 or setting.omega != setting.omega_c:
        return None
    return replace(setting, omega=0.0, omega_c=0.0)


def _mean(values: list[float]) -> str:
    if not values:
        return "-"
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
