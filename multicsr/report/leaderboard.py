"""Models against tasks, from the view `leaderboard`. Arrow: the newest figures -> a table a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.database import Store
from store.markdown import Marked, escape, table
from store.read.figures import LeaderboardRow, leaderboard


@dataclass(frozen=True)
class Ranked:
    """A model with its newest figure of each task."""

    name: str
    setting: dict[str, Any]
    figures: dict[str, LeaderboardRow]
    average: dict[str, float]


class Leaderboard:
    """The headlines of one split: `tasks` and `averages` are the columns, in the field's order."""

    def __init__(self, split: str, rows: list[Ranked], tasks: list[str], averages: list[str]) -> None:
        self.split, self.rows, self.tasks, self.averages = split, rows, tasks, averages

    def columns(self) -> list[str]:
        return ["model", *self.tasks, *(f"avg {group}" for group in self.averages)]

    def cells(self) -> list[list[str]]:
        """The table as it is shown; the best of a column, as far as shown, has a star where there are others."""
        values = [
            [*(_value(row, task) for task in self.tasks), *map(row.average.get, self.averages)] for row in self.rows
        ]
        return [
            [row.name, *(_shown(value, [other[place] for other in values]) for place, value in enumerate(line))]
            for row, line in zip(self.rows, values, strict=True)
        ]

    def document(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "models": [
                {
                    "model": row.setting["model"],
                    "setting": row.setting,
                    "results": [
                        {key: getattr(one, key) for key in ("task", "metric", "value", "error", "n", "run")}
                        for one in (row.figures[task] for task in self.tasks if task in row.figures)
                    ],
                    "average": row.average,
                }
                for row in self.rows
            ],
        }


def read(store: Store) -> list[Leaderboard]:
    """A leaderboard for each split that was measured; the models in the order of their first evaluation."""
    from stages.tasks import registry
    from stages.tasks.files import SPLITS
    from stages.tasks.task import HEADLINES

    by_split: dict[str, dict[str, list[LeaderboardRow]]] = {}
    for one in sorted(leaderboard(store), key=lambda row: row.finished):
        if one.metric in HEADLINES and not one.subset:
            split = one.setting.get("split", "test")  # evaluations made before there was a choice
            by_split.setdefault(split, {}).setdefault(_key(one.setting), []).append(one)
    found = []
    for split in (one for one in SPLITS if one in by_split):
        settings = [standings[0].setting for standings in by_split[split].values()]
        rows = []
        for setting, standings in zip(settings, by_split[split].values(), strict=True):
            figures = {one.task: one for one in standings}
            average = registry.averages({task: one.value for task, one in figures.items()}, split)
            rows.append(Ranked(_name(setting, settings), setting, figures, average))
        measured = {task for row in rows for task in row.figures}
        known = [name for name in registry.names() if name in measured]
        averages = [group for group in registry.GROUPS if any(group in row.average for row in rows)]
        found.append(Leaderboard(split, rows, known + sorted(measured - set(known)), averages))
    return found


def markdown(board: Leaderboard) -> list[str]:
    """The lines of the table in Markdown."""
    # Stars stand behind figures of ours, where they are no markup.
    rows = [[escape(model), *map(Marked, figures)] for model, *figures in board.cells()]
    return [
        f"{board.split} figures x 100, the best of each column with a star.",
        "",
        *table(board.columns(), rows),
    ]


def _key(setting: dict[str, Any]) -> str:
    from store.records import canonical

    return canonical({**setting, "split": setting.get("split", "test")})


def _name(setting: dict[str, Any], settings: list[dict[str, Any]]) -> str:
    """The model's name, with what else was asked for where another row of that name was asked for something else."""
    others = [other for other in settings if other["model"] == setting["model"] and other is not setting]
    differing = [key for key, value in setting.items() if any(other.get(key) != value for other in others)]
    return " ".join(
        [str(setting["model"]), *(f"{key}={setting[key]}" for key in differing if setting[key] is not None)]
    )


def _value(row: Ranked, task: str) -> float | None:
    return row.figures[task].value if task in row.figures else None


def _shown(value: float | None, column: list[float | None]) -> str:
    if value is None:
        return "-"
    others = [other for other in column if other is not None]
    # Compared as they are shown: equal digits are equally good.
    best = len(others) > 1 and round(value, 2) == max(round(other, 2) for other in others)
    return f"{value:.2f}{'*' if best else ''}"
