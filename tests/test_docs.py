"""The pages of docs/: what is made from the program is as it makes it, code runs as it stands, and links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from multicsr_cli import reference

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
RUN = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def test_the_reference_is_what_help_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change: make docs"""
    monkeypatch.setenv("COLUMNS", "60")  # the page does not depend on who makes it
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference.markdown()


def test_the_reference_is_no_wider_than_it_says() -> None:
    helps = re.findall(r"^```text\n(.*?)^```$", reference.markdown(), re.MULTILINE | re.DOTALL)
    assert max(len(line) for text in helps for line in text.splitlines()) <= reference.WIDTH
    assert "\x1b" not in reference.markdown()


def test_the_page_about_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks, one after another, are one script: a new store, the embedded models, no network."""
    monkeypatch.chdir(tmp_path)
    blocks = RUN.findall((DOCS / "python.md").read_text(encoding="utf-8"))
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), {"__name__": "script"})


def test_the_notebook_is_the_page_in_short() -> None:
    """Its code stands on the page, so that the script's test is the notebook's; it holds no outputs."""
    notebook = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    page = "\n".join(RUN.findall((DOCS / "python.md").read_text(encoding="utf-8")))
    written = {line.partition("  #")[0].strip() for line in page.splitlines()}
    lines = {line.partition("  #")[0].strip() for cell in code for line in "".join(cell["source"]).splitlines()}
    assert lines <= written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        found = (page.parent / target) if target else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = HEADING.findall(found.read_text(encoding="utf-8"))
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name} links to {target}#{anchor}"


def test_the_index_names_every_page() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (*DOCS.glob("*.md"), *DOCS.glob("*.ipynb"))} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
