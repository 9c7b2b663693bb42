"""Pages that people read, written as one HTML file or as Markdown with its images beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multicsr.report.blocks import MARK, Drawing, Page, figure_of, image
from multicsr.report.html_page import html_of
from multicsr.report.markdown_page import markdown_of
from store import whole
from store.problem import Problem

MARK_WITHIN = 400  # bytes

SUFFIXES = (".html", ".md")
IMAGES = ("png", "svg")  # for the page, and for print


def write(page: Page, path: Path, kinds: Sequence[str] = IMAGES) -> list[Path]:
    """Write `page` as HTML or Markdown, by the ending of `path`; returns the files, the page last.

    Beside Markdown lie its drawings as images of these `kinds`; a PNG is the one that the page shows. Each file
    appears whole, the page when all it shows is there. What lay there before is replaced: `refuse` looks first.
    """
    if path.suffix.lower() == ".html":
        return [whole.write(path, html_of(page))]
    drawings = [(block.name, figure_of(block)) for block in page.blocks if isinstance(block, Drawing)]
    images = [
        whole.write(path.with_name(f"{name}.{kind}"), image(figure, kind, name))
        for name, figure in drawings
        for kind in kinds
    ]
    return [*images, whole.write(path, markdown_of(page))]


def refuse(path: Path, setting: str) -> None:
    """Raises Problem where no page can be written to `path`, which `setting` named, or where what lies there is not ours."""
    if path.suffix.lower() not in SUFFIXES:
        what, remedy = f"ends neither in {' nor in '.join(SUFFIXES)}", "give a name with one of these"
    elif path.is_dir():
        what, remedy = "is a folder", f"give a file, such as {path / 'report.html'}"
    elif not path.resolve().parent.is_dir():
        what, remedy = "lies in a folder that does not exist", "create it, or give another name"
    elif path.exists() and not _is_ours(path):
        what, remedy = "exists and was not made by multicsr", "give another name, or move that file away"
    else:
        return
    raise Problem(f"{setting} {path} {what}", remedy, setting)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(MARK_WITHIN)
