"""Everything that is shown: results on stdout (tables, or one JSON document), talk on stderr (progress, hints, errors)."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multicsr.job import Job, Made, Progress, Ticking
from stages.stage import COMPLETE, Tick

Done = TypeVar("Done")

# Between two progress lines where stderr is a file or a pipe.
SECONDS_BETWEEN_LINES = 15.0


# Signs without width that words of Persian and of Indian scripts need.
JOINERS = "\u200c\u200d"

# Two blanks and a line between the cells of a table.
BETWEEN_COLUMNS = 3


class Stopped(Exception):
    """Interrupted by the user; the message says what is stored."""


def out() -> Console:
    """Results: stdout."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """Talk: stderr."""
    return Console(file=sys.stderr, highlight=False, stderr=True)


def say(text: str) -> None:
    """A hint or a note on stderr."""
    err().print(text, style="dim", markup=False, soft_wrap=True)


def complain(what: str, remedy: str) -> None:
    """A problem: one line what, one line what to do."""
    console = err()
    console.print(Text("error: ", "bold red") + Text(one_line(what)), soft_wrap=True)
    console.print(Text("  try: ", "bold") + Text(one_line(remedy)), soft_wrap=True)


def one_line(text: str) -> str:
    """Text that fits one line and cannot steer the terminal, whatever was in the user's input."""
    return "".join(character if character.isprintable() or character in JOINERS else " " for character in text)


def document(value: Any) -> None:
    """The one JSON document of `--json`."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def drive(job: Job, title: str | None = None) -> Made:
    """Make a job with a bar on stderr. Raises Stopped on Ctrl-C, when the last batch is stored.

    A run that is complete already shows no bar and says so; a caller of many gives each a `title`, and it passes in silence.
    """
    return _shown(job.run, title or job.title, job.unit, announce=title is None)


def watch(ticks: Generator[Tick, None, Any], title: str, unit: str) -> float:
    """Do work that is no run, as `drive` does a job; the seconds it took."""
    return _shown(Ticking(ticks).watched, title, unit)[0]


def _shown(work: Callable[[Progress], Done], title: str, unit: str, announce: bool = True) -> Done:
    last, show = Tick(0, 0, ""), None
    with ExitStack() as bar:

        def progress(tick: Tick, rate: float) -> None:
            nonlocal last, show
            last = tick
            if tick.note != COMPLETE:
                show = show or bar.enter_context(_bar(title))
                tick = tick if announce else replace(tick, news="")
                show(tick, f"{rate:.1f} {tick.unit or unit}/s" if rate else "")

        try:
            done = work(progress)
        except KeyboardInterrupt:
            stored = f"{last.done:,} of {last.total:,} {last.unit or unit} are stored"
            raise Stopped(f"{_titled(title, last)}: {stored}; the same command goes on") from None
    if last.note == COMPLETE and announce:
        say(f"{title}: complete already, nothing left to do")
    return done


@contextmanager
def _bar(title: str) -> Iterator[Any]:
    console = err()
    if not console.is_terminal:
        said, phase = -math.inf, ""

        def line(tick: Tick, rate: str) -> None:
            nonlocal said, phase
            name = _titled(title, tick)
            for text in filter(None, (tick.news, tick.warning)):
                say(f"{name}: {text}")
            begins = not tick.fresh and tick.note != phase  # reading and loading, before anything is computed
            if begins or time.monotonic() - said >= SECONDS_BETWEEN_LINES or (tick.total and tick.done == tick.total):
                said, phase = time.monotonic(), tick.note
                print(f"{name}: {tick.done:,}/{tick.total:,} {tick.note} {rate}".rstrip(), file=sys.stderr, flush=True)

        yield line
        return
    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("[dim]{task.fields[note]}"),
    )
    with bars.Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, rate="", note="")

        def update(tick: Tick, rate: str) -> None:
            name = _titled(title, tick)
            for text in filter(None, (tick.news, tick.warning)):
                progress.console.print(Text(f"{name}: {text}"))
            total = tick.total or None
            progress.update(task, description=name, completed=tick.done, total=total, rate=rate, note=tick.note)

        yield update


def _titled(title: str, tick: Tick) -> str:
    """What is being made, with the part of it that comes first."""
    return f"{title}, {tick.part}" if tick.part else title


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str | None = None) -> None:
    """A table on stdout; numbers are set right, and text of the user's is never read as markup."""
    body = [[_cell(value) for value in row] for row in rows]
    shown = Table(title=Text(title), caption=Text(caption) if caption else None, title_justify="left")
    for place, column in enumerate(columns):
        numeric = bool(body) and all(_numeric(row[place]) for row in body)
        # A heading breaks between its words only.
        longest = max(map(len, column.split()), default=0)
        shown.add_column(Text(column), justify="right" if numeric else "left", overflow="fold", min_width=longest)
    for row in body:
        shown.add_row(*(Text(cell) for cell in row))
    out().print(shown)


def wide_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of many columns: those that the screen is too narrow for follow in further tables that repeat the first."""
    widths = [max(map(len, column)) + BETWEEN_COLUMNS for column in zip(columns, *rows, strict=True)]
    room = out().width - widths[0] - 1
    parts: list[list[int]] = [[]]
    for place, width in enumerate(widths[1:], start=1):
        if parts[-1] and sum(widths[one] for one in parts[-1]) + width > room:
            parts.append([])
        parts[-1].append(place)
    for part in parts:
        places = [0, *part]
        table(title, [columns[place] for place in places], [[row[place] for place in places] for row in rows])


def lines(texts: Iterable[str]) -> None:
    """Plain lines on stdout, as they are."""
    sys.stdout.write("".join(f"{text}\n" for text in texts))


def facts(title: str, pairs: Sequence[tuple[str, Any]]) -> None:
    """A small two-column table on stdout."""
    shown = Table(title=Text(title), show_header=False, title_justify="left")
    for name, value in pairs:
        shown.add_row(Text(name, "dim"), Text(_cell(value)))
    out().print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else one_line(str(value))


def _numeric(cell: str) -> bool:
    return cell == "-" or cell.replace(",", "").replace(".", "").lstrip("-").rstrip("*").isdecimal()
