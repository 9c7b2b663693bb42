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


def write(page: Page, path: Path, images: Sequence[str] = IMAGES) -> list[Path]:
    """Write `page` as HTML or Markdown, by the ending of `path`; returns the files, the page last.

    Beside Markdown lie its drawings as `images` of these kinds; a PNG is the one that the page shows. Each file
    appears whole, the page when all it shows is there. What lay there before is replaced: `refuse` looks first.
    """
    if path.suffix.lower() == ".html":
        return [whole.write(path, html_of(page))]
    drawings = [(block.name, figure_of(block)) for block in page.blocks if isinstance(block, Drawing)]
    images = [
        whole.write(path.with_name(f"{name}.{kind}"), image(figure, kind, name))
        for name, figure in drawings
        for kind in images
    ]
    return [*images, whole.write(path, markdown_of(page))]


def refuse(path: Path, flag: str, setting: str | None = None) -> None:
    """Raises Problem where no page can be written to `path`, which `flag` named, or where what lies there is not ours.

    `setting` is the keyword that it was told by, where it is one."""
    if path.suffix.lower() not in SUFFIXES:
        raise Problem(
            f"{flag} {path} ends neither in {' nor in '.join(SUFFIXES)}", "give a name with one of these", setting
        )
    if path.is_dir():
        raise Problem(f"{flag} {path} is a folder", f"give a file, such as {path / 'report.html'}", setting)
    if not path.resolve().parent.is_dir():
        raise Problem(f"the folder {path.parent} does not exist", f"create it, or give another {flag}")
    if path.exists() and not _is_ours(path):
        raise Problem(
            f"{flag} {path} exists and was not made by multicsr", "give another name, or move that file away", setting
        )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(MARK_WITHIN)
