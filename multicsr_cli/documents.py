"""JSON documents that several commands write (CLI.md). Arrow: what was made -> dict."""

from __future__ import annotations

from typing import Any

from multicsr.job import Made


def of_gen(made: Made) -> dict[str, Any]:
    """Of a gen run, written or imported."""
    counts = made.run.counts
    return {
        "run": made.run.id,
        "stage": made.run.stage,
        "premises": counts["premises"],
        "done": counts["premises"],
        "hypotheses": counts["hypotheses"],
        "seconds": round(made.seconds, 3),
        "premises_per_second": round(made.rate, 3),
    }
