"""`multicsr reproduce`: tables, sentences and lists of runs on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multicsr.paper.outcome import SENTENCE
from multicsr_cli import screen

if TYPE_CHECKING:
    from multicsr.paper.estimate import Estimate
    from multicsr.paper.node import Node
    from multicsr.paper.outcome import Experiment, ExperimentOutcome
    from store.records import Run


def show(experiment: Experiment, outcome: ExperimentOutcome) -> None:
    """Tables on stdout: tables of sentences are folded, tables of figures are continued below."""
    for table in outcome.tables:
        title = f"{experiment.name}: {table.title}"
        if max((len(cell) for row in table.rows for cell in row), default=0) > SENTENCE:
            screen.table(title, table.columns, table.rows, caption=table.caption or None)
            continue
        screen.wide_table(title, table.columns, table.rows)
        if table.caption:
            screen.out().print(table.caption, style="dim", markup=False)


def show_verdicts(documents: Sequence[Mapping[str, Any]]) -> None:
    """What all experiments say, once their claims are decided together; and where their reports are."""
    for document in documents:
        for sentence in document["sentences"]:
            screen.out().print(f"{document['experiment']}: {sentence}", markup=False)
    for document in documents:
        screen.say(f"report: {document['report']}")


def as_typed(missing: Mapping[str, str]) -> dict[str, str]:
    """What experiments lack, with the data folder as it is given here."""
    return {name: why.replace("data=", "--data ") for name, why in missing.items()}


def skipped(missing: Mapping[str, str]) -> list[dict[str, str]]:
    """The experiments that are left out, for the JSON document."""
    return [{"experiment": name, "reason": why} for name, why in missing.items()]


def say_what_is_left_out(missing: Mapping[str, str]) -> None:
    for name, why in missing.items():
        screen.say(f"left out: {name}: {why}")


def listing(runs: Mapping[Node, Run | None], missing: Mapping[str, str], left: Estimate | None) -> dict[str, Any]:
    """The JSON document of `--dry-run`; `left` is an estimate of what is still to be made."""
    return {
        "runs": [{"run": run and run.id, "stage": node.stage, "settings": node.told} for node, run in runs.items()],
        "skipped": skipped(missing),
        "estimate": left and {"gpu_hours": left.gpu_hours, "disk_bytes": left.disk},
    }


def show_listing(runs: Mapping[Node, Run | None], missing: Mapping[str, str], left: Estimate | None) -> None:
    """The same for people."""
    screen.table("runs", ("run", "what"), [(run.id if run else "to be made", node.shown) for node, run in runs.items()])
    say_what_is_left_out(missing)
    screen.say(f"{sum(run is not None for run in runs.values()):,} of {len(runs):,} runs are done")
    if left is not None:
        screen.say(left.shown)
