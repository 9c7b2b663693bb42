"""Triplets as a file that other programs read. Arrow: run -> file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from stages.files import export as files
from stages.files.layouts import SHAPES
from store.problem import Problem
from store.read import runs, triplets
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store


class ExportedFile(NamedTuple):
    """What was written, and where."""

    rows: int
    columns: list[str]
    path: Path


def export(
    store: Store,
    run: Run,
    out: Path | None = None,
    *,
    format: str = "csv",
    shape: str = "multicsr",
    rows: str = "kept",
    scores: bool = False,
) -> ExportedFile:
    """Write the triplets of a gen, score or curate run to `out` (None: RUN.FORMAT in the current folder).

    Raises Problem for a file that cannot be written, and for rows that the run does not have.
    """
    names = _columns(store, run, format, shape, rows, scores)
    path = out or Path(f"{run.id}.{format}")
    if not path.resolve().parent.is_dir():
        raise Problem(f"the folder {path.resolve().parent} does not exist", "create it, or give another out=PATH")
    if path.is_dir() or (format == "hf" and path.exists()):
        raise Problem(f"{path} is there already", "remove it, or give another out=PATH")
    stream = triplets.exported(store, runs.view(store, run), rows)
    written = files.write(stream, names, format, path, _card(store, run, names) if format == "hf" else "")
    return ExportedFile(written, list(names.values()), path)


def stream(
    store: Store,
    run: Run,
    file: TextIO,
    *,
    format: str,
    shape: str = "multicsr",
    rows: str = "kept",
    scores: bool = False,
) -> None:
    """The same as CSV or JSONL into an open text file."""
    if format not in ("csv", "jsonl"):
        raise Problem("out - writes CSV or JSONL and nothing else", "give out=PATH", "out")
    names = _columns(store, run, format, shape, rows, scores)
    writer = files.csv_rows if format == "csv" else files.jsonl_rows
    writer(triplets.exported(store, runs.view(store, run), rows), names, file)


def refuse_unknown(format: str, shape: str, rows: str) -> None:
    """Raise Problem for a format, a shape or a choice of rows that there is not."""
    for name, value, known in (
        ("format", format, files.FORMATS),
        ("shape", shape, tuple(SHAPES)),
        ("rows", rows, tuple(triplets.CHOICES)),
    ):
        if value not in known:
            raise Problem(f"{name} {value!r} is not known", f"give one of {', '.join(known)}", name)


def _columns(store: Store, run: Run, format: str, shape: str, rows: str, scores: bool) -> dict[str, str]:
    refuse_unknown(format, shape, rows)
    shown = runs.view(store, run)
    if not run.finished:
        raise Problem(
            f"{run.stage} run {run.id} is not finished", f"run the same `multicsr {run.stage}` again; it goes on"
        )
    if rows == "rejected" and shown.curate is None:
        raise Problem(f"{run.stage} run {run.id} has no decisions", "run `multicsr curate` first, or give rows=all")
    if scores and shown.score is None:
        raise Problem(f"gen run {run.id} has no scores", "run `multicsr score` first, or leave scores out")
    return files.columns(shape, scores, rows != "kept")


def _card(store: Store, run: Run, names: dict[str, str]) -> str:
    from stages.files.cards import data_card
    from store.rows import training

    return data_card(run, training.recipe(store, run), names)
