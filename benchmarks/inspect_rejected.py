"""Claim: `multicsr inspect --rejected --limit 20` on a million decided premises takes 0.3 s as a whole process.

The record also holds later pages, a search and a rare reason, each as a whole process.
"""

from __future__ import annotations

import json
import statistics
import sys
from contextlib import closing

from benchmarks import curate, harness, million
from store.database import Store

ASKED = ("--rejected", "--limit", "20")


def measure(settings: harness.Settings) -> harness.Bound:
    made = million.cached(settings.quick)
    with million.copy(made) as path:
        with closing(Store.open(path)) as store:
            run = curate.decide(store, made, curate.ALPHA)
        last = run.counts["dropped"] - 20
        others = {
            "rejected, middle": (*ASKED, "--offset", str(last // 2)),
            "rejected, last page": (*ASKED, "--offset", str(last)),
            "a rare reason": ("--reason", "empty", "--limit", "20"),
            "a search for a name": ("--search", "Barbarbar", "--limit", "20"),
            "a search for a frequent word": ("--search", "gardener", "--limit", "20"),
            "as a table": (*ASKED, "--plain"),
        }

        def inspect(*flags: str) -> harness.Ended:
            return harness.process([sys.executable, "-m", "multicsr_cli", "inspect", "--db", str(path), *flags])

        inspect(*ASKED)  # a round that does not count
        rounds = [inspect(*ASKED, "--json") for _ in range(settings.rounds)]
        found = json.loads(rounds[-1].out)
        if len(found["rows"]) != 20 or not all(row["verdict"] == "drop" for row in found["rows"]):
            raise AssertionError("20 rejected rows were asked for")
        if found["funnel"]["dropped"] != run.counts["dropped"]:
            raise AssertionError("the funnel counts other premises")
        extra = {
            name: round(statistics.median(inspect(*flags).seconds for _ in range(settings.rounds)), 3)
            for name, flags in others.items()
        }
    return harness.Bound(
        name="inspect_rejected",
        claim="`inspect --rejected --limit 20` on that store, whole process",
        seconds=[round(one.seconds, 4) for one in rounds],
        at_most_seconds=0.3,
        same="20 rows, all dropped, under the funnel of the run",
        sizes={"premises": made.written["premises"].rows, "store_bytes": made.path.stat().st_size},
        extra=extra,
    )
