"""`multicsr report`: one page about a run and everything it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json

if TYPE_CHECKING:
    from multicsr.report.blocks import Page
    from multicsr.report.run import Story


def command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run id, a unique prefix of one, or latest.",
            show_default="the newest finished run of the furthest stage",
        ),
    ] = "latest",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An .html file, or .md with its images beside it.", show_default="report-RUN.html"
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write one page about a run: recipe, funnel, scores, examples, training, results beside published figures."""
    from multicsr.report import page as pages
    from multicsr.report.run import Story
    from store.database import Store
    from store.read.runs import meant

    store = Store.open(db, create=False, write=False)
    found = meant(store, run)
    path = Path(f"report-{found.id}.html") if out is None else out
    pages.refuse(path, "out")  # before a long store is read
    story = Story(store, found, path.stem)
    page = story.page()
    files = pages.write(page, path)
    if json:
        screen.document(_document(story, page, path, files))
        return
    images = [("images beside it", len(files) - 1)] if len(files) > 1 else []
    screen.facts(f"report of {found.stage} {found.id}", [("page", path), *images])


def _document(story: Story, page: Page, path: Path, files: Sequence[Path]) -> dict[str, Any]:
    from multicsr.report.blocks import Heading

    return {
        "run": story.run.id,
        "stage": story.run.stage,
        "made_from": [run.id for run in story.line[:-1]],
        "evaluations": [run.id for run in story.evaluations],
        "sections": [block.text for block in page.blocks if isinstance(block, Heading) and block.level == 2],
        "out": str(path),
        "files": [str(file) for file in files],
    }
