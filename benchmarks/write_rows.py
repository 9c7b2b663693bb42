"""Claim: the store takes at least 20,000 rows a second, of each table, in the transactions the stages make.

Measured once, while the store of a million premises is built (`benchmarks/million.py`): the rounds are its tables, and the
figure is the slowest one's time for 20,000 rows. The record holds rows a second and bytes a premise of each table.
"""

from __future__ import annotations

from benchmarks import harness, million

ROWS = 20_000


def measure(settings: harness.Settings) -> harness.Bound:
    made = million.cached(settings.quick)
    premises = made.written["premises"].rows
    seconds = {table: ROWS * written.seconds / written.rows for table, written in made.written.items()}
    return harness.Bound(
        name="write_rows",
        claim=f"write {ROWS:,} rows (the slowest of premises, drafts, scores)",
        seconds=[round(max(seconds.values()), 4)],
        at_most_seconds=1.0,
        same="every row is there: the counts of the finished runs",
        sizes={"premises": premises, "store_bytes": made.path.stat().st_size},
        extra={
            table: {
                "rows_per_second": round(written.rows / written.seconds),
                "bytes_per_premise": round(written.bytes / premises, 1),
            }
            for table, written in made.written.items()
        },
    )
