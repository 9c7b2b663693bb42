"""`multicsr runs --leaderboard`: models against tasks, a table a split."""

from __future__ import annotations

from collections.abc import Sequence

from multicsr.report import leaderboard
from multicsr.report.leaderboard import Leaderboard
from multicsr_cli import screen


def show(boards: Sequence[Leaderboard], *, json: bool, markdown: bool) -> None:
    """On stdout, as tables, Markdown, or one JSON document."""
    if json:
        screen.document({"leaderboards": [board.document() for board in boards]})
        return
    for board in boards:
        if markdown:
            screen.out().print("\n".join(leaderboard.markdown(board)), markup=False, soft_wrap=True)
        else:
            screen.wide_table(f"{board.split} figures x 100, * best of a column", board.columns(), board.cells())
