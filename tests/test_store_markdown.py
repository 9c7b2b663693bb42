"""Whatever somebody wrote is text on the page: judged by a Markdown reader, not by the signs that stand in the source."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from store import markdown

READER = MarkdownIt("gfm-like", {"linkify": False})
LINKING = MarkdownIt("gfm-like")

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](javascript:alert(1))",
    "[x](javascript:alert(1))",
    "[x]: http://example.com",
    "a|b",
    "two\nlines\n\nand a blank one",
    "`code`",
    "*bold* _and_ __more__ ~~gone~~",
    "# no heading",
    "> no quotation",
    "1. no list",
    "- no list",
    "+ no list",
    "---",
    "- - -",
    "===",
    "\\",
    "\\|",
    "&lt;b&gt; &amp; &#124;",
    "<http://example.com>",
    "$x$ {y}",
    "    four blanks",
    "\ttab",
    "\x1b[31mred",
]


class Text(HTMLParser):
    """The text of a page, and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(source: str) -> Text:
    return Text(READER.render(source))


def hostile(test: Callable[..., None]) -> Callable[..., None]:
    for text in HOSTILE:
        test = example(text)(test)
    return test


anything = st.text(st.sampled_from("ab1 .-+=|`*_~#>![]()<>&\\\n\t$") | st.characters(), max_size=30)


@hostile
@given(anything)
def test_an_escaped_text_is_that_text_and_nothing_else(text: str) -> None:
    """In a paragraph, behind a word and at its start; blanks are single, and what cannot be printed is shown as that."""
    line = markdown.one_line(text)
    for before in ("", "So: "):
        page = read(before + markdown.escape(text))
        assert set(page.elements) <= {"p"} or line in ("-", "+")  # an empty item of a list shows nothing else
        if line not in ("-", "+"):
            assert "".join(page.texts).strip() == (before + line).strip()


@hostile
@given(anything)
def test_a_table_has_a_cell_a_text(text: str) -> None:
    source = "\n".join(markdown.table(("one", text), [(text, markdown.code(text)), ("x", "y")]))
    page = read(source)
    assert page.elements.count("tr") == 3
    assert page.elements.count("th") == 2
    assert page.elements.count("td") == 4
    assert set(page.elements) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


@pytest.mark.parametrize(
    "text", ["https://example.com/a", "See HTTP://example.com.", "www.example.com", "ftp://example.com"]
)
def test_a_bare_address_is_no_link(text: str) -> None:
    """GitHub and other readers make one of it."""
    assert LINKING.render(text) != READER.render(text)
    assert "www.e" not in markdown.escape(text)
    if "://" in text:  # the reader here makes a link of example.com too, which GitHub does not
        assert LINKING.render(markdown.escape(text)) == f"<p>{text}</p>\n"


def test_figures_and_ordinary_sentences_stay_as_they_are() -> None:
    for text in ("100.0 %", "-", "-0.25", "+1.5", "43.14 ± 0.19", "He said: no!", "a (b), c; d? é 日", "ω 0.3, raw"):
        assert markdown.escape(text) == text


def test_a_table_is_written_as_it_is_read() -> None:
    rows = [("a|b", markdown.code("`|`")), (markdown.Marked("**3**"), "-")]
    assert markdown.table(("x", "y"), rows, right=(1,)) == [
        "| x | y |",
        "| --- | ---: |",
        r"| a\|b | `` `\|` `` |",
        "| **3** | - |",
    ]
    assert markdown.table(("x",), [], tight=True) == ["| x |", "|---|"]
