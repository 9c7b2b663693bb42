"""A gen run as it is told, whether its hypotheses were written or imported."""

from __future__ import annotations

from typing import Any

from multicsr.job import Made
from multicsr_cli.screen import Work
from store.records import Run


def summary(run: Run, work: Made | Work) -> dict[str, Any]:
    """The JSON document of the contract."""
    return {
        "run": run.id,
        "stage": run.stage,
        "premises": run.counts["premises"],
        "done": run.counts["premises"],
        "hypotheses": run.counts["hypotheses"],
        "seconds": round(work.seconds, 3),
        "premises_per_second": round(work.rate, 3),
    }
