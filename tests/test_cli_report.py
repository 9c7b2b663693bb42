"""`multicsr report`: a page that parses, loads nothing, says what the rows say, and shows hostile text as text."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES, Piped
from rows import CURATE, Made, scored
from shell import assert_problem, multicsr, refused

from multicsr.report import blocks, html_page, markdown_page
from multicsr.report.blocks import shown
from multicsr.report.run import Story, meanings
from multicsr.report.run_texts import BINS, EXAMPLES
from stages import config
from stages.config import EvalConfig
from stages.public import published
from store.database import Store
from store.read import figures, runs, triplets
from store.read import funnel as levels
from store.records import Run
from store.rows import decisions, training
from store.rows.training import MetricRow

VOID = {"meta", "br", "img", "hr", "link", "input"}
HOSTILE = "<script>alert(1)</script> \"'& | `x` ](javascript:1) *b* $m$ \x00\u202e{premise}\n# no"


class Parsed(HTMLParser):
    """A page as its reader has it: text, tags with attributes, tables as rows of cells under the heading above them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag == "table":
            self.tables.setdefault(self.headings[-1], [])
        if tag == "tr":
            self.tables[self.headings[-1]].append([])
        if tag in ("td", "th"):
            self.tables[self.headings[-1]][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] += data
        if "td" in self.open or "th" in self.open:
            self.tables[self.headings[-1]][-1][-1] += data


def page_of(db: Path, out: Path, *args: object) -> Parsed:
    ended = multicsr("report", *args, "--db", db, "--out", out)
    assert ended.code == 0, ended.err
    return Parsed(out.read_text(encoding="utf-8"))


def made(store: Store, hostile: str = "") -> tuple[Run, Run, Run]:
    """Forty premises of which a part is dropped for each reason."""
    fates = ((5.0, 1, None), (2.5, 1, None), (4.5, 4, None), (3.25, 3, None), (None, 2, "runaway"))
    rows = [
        Made(f"Premise {n} {hostile}", f"Yes {n} {hostile}", f"No {n} {hostile}", a=a, b=b, e_problem=problem)
        for n, (a, b, problem) in enumerate(fates * 8)
    ]
    gen, score, _ = scored(store, rows)
    curate = store.begin("curate", 1, CURATE, score.id)
    thresholds = {"alpha": 3.0, "beta": 3.0, "gamma": 1.0, "min_contradiction": 0.0}
    list(decisions.decide(store, curate, {**thresholds, "copies": False, "duplicates": False, "swap": False}))
    store.finish(curate, decisions.counts(store, curate))
    return gen, score, store.run(curate.id)


def test_the_page_of_the_whole_road_says_what_the_rows_say(piped: Piped, tmp_path: Path) -> None:
    page = page_of(piped.db, tmp_path / "page.html")
    assert page.headings[0] == f"multicsr eval {piped.run('eval')}"
    with closing(Store.open(piped.db, write=False)) as store:
        for stage in ("gen", "score", "curate", "train", "eval"):
            run = store.run(piped.run(stage))
            settings = {row[0]: row[1] for row in page.tables[f"{stage} {run.id}"][1:]}
            assert settings == {
                name: shown(value)
                for name, value in run.config.items()
                if not name.endswith(("_digest", "_fingerprint"))
            }
        funnel = levels.levels(store, runs.view(store, store.run(piped.run("curate"))))
        counts = {row[0]: int(row[1].replace(",", "")) for row in page.tables["Funnel"][1:]}
        assert counts == {name: count for name, count in funnel.items() if name != "reasons"}
        dev = figures.dev(store, store.run(piped.run("train")))
        assert [row[:2] for row in page.tables["Training"][1:]] == [[str(one.step), f"{one.value:.2f}"] for one in dev]
        strong = [attrs for tag, attrs in page.tags if tag == "tr" and attrs.get("class") == "strong"]
        assert len(strong) == 1  # the chosen step
        (title,) = (name for name in page.tables if name.endswith(f"eval {piped.run('eval')}") and "data" in name)
        (figure,) = training.metrics(store, store.run(piped.run("eval")))
        assert page.tables[title][1:] == [
            ["mini", "whole", "spearman", f"{figure.value:.2f}", f"{figure.error:.2f}", str(figure.n)]
        ]
    assert set(PREMISES) & {row[0] for row in page.tables["kept"][1:]}
    assert "Beside published figures" not in page.headings  # mini is no STS-B


def test_the_page_is_self_contained_and_names_no_folder(piped: Piped, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    page = page_of(piped.db, out)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "image", "base", "form", "video", "audio", "embed"}
    for _, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("href", "xlink:href"):
            assert (attrs.get(name) or "#").startswith("#")
    text = out.read_text()
    assert not re.search(r"@import|url\((?!#)", text)
    assert str(piped.db.parent) not in text
    assert str(tmp_path.parent.parent) not in text
    assert "Store: s.db" in page.text
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {str(attrs["href"])[1:] for tag, attrs in page.tags if tag == "a"} <= targets
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_hostile_text_is_shown_as_text(file_store: Store, tmp_path: Path) -> None:
    _, _, curate = made(file_store, HOSTILE)
    out = tmp_path / "page.html"
    page = page_of(tmp_path / "s.db", out, curate.id)
    assert "script" not in {tag for tag, _ in page.tags}
    shown_text = HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    assert any(shown_text in row[0] for row in page.tables["kept"])
    assert "\x00" not in out.read_text()
    assert multicsr("report", curate.id, "--db", tmp_path / "s.db", "--out", tmp_path / "page.md").code == 0
    text = (tmp_path / "page.md").read_text()
    assert "<script" not in text
    assert "\n# no" not in text
    rows = [line for line in text.splitlines() if "alert" in line]
    for line in rows:
        assert len(re.findall(r"(?<!\\)\|", line)) == 6  # five cells: no pipe of the text's own
        assert r"\`x\`" in line
        assert r"\](javascript" in line


def test_examples_are_spread_bounded_and_the_same_each_time(store: Store) -> None:
    _, _, curate = made(store)
    view = runs.view(store, curate)
    for reason, place in ((None, 0), ("a<alpha", 1), ("b>beta", 2), ("a<b+gamma", 3), ("runaway", 4)):
        found = triplets.examples(store, view, reason, EXAMPLES)
        assert found == triplets.examples(store, view, reason, EXAMPLES)
        assert len(found) == EXAMPLES
        assert all((one.position - 1) % 5 == place for one in found)
        assert [one.position for one in found] == sorted(one.position for one in found)
        assert max(one.position for one in found) - min(one.position for one in found) >= 15  # of forty
    assert len(triplets.examples(store, view, None, 100)) == 8


def test_bins_hold_every_scored_premise_once(store: Store) -> None:
    _, score, _ = made(store)
    counted = figures.bins(store, score, BINS)
    slow: dict[tuple[Any, Any], int] = {}
    for a, b in store.rows(
        "SELECT e.value, c.value FROM scores AS e JOIN scores AS c ON c.run = e.run AND c.premise = e.premise"
        " AND c.role = 'contradiction' WHERE e.role = 'entailment'"
    ):
        place = tuple(None if value is None else min(int(value * BINS / 5), BINS - 1) for value in (a, b))
        slow[place] = slow.get(place, 0) + 1  # type: ignore[index, arg-type]
    assert {(one.a, one.b): one.premises for one in counted} == slow
    means = figures.averages(store, score)
    assert means == figures.Averages(32, (5 + 2.5 + 4.5 + 3.25) / 4, (1 + 1 + 4 + 3) / 4, 1.0)


@pytest.mark.parametrize("steps", [1, 7, 10, 11, 95])
def test_a_curve_is_bounded_and_is_the_mean_of_its_stretches(store: Store, steps: int) -> None:
    run = store.begin("train", 1, CURATE, None)
    training.add_progress(store, run, [training.StepRow(n, 0, n / 2, n / 1000, 1e-4) for n in range(1, steps + 1)])
    points = figures.curve(store, run, 10)
    assert len(points) <= 10
    stretch = points[0].step
    for place, point in enumerate(points):
        inside = range(place * stretch + 1, min((place + 1) * stretch, steps) + 1)
        assert point.step == inside[-1]
        assert point.loss == pytest.approx(sum(inside) / len(inside) / 2)
        assert point.masked_share == pytest.approx(sum(inside) / len(inside) / 1000)


@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_each_stage_alone_shows_what_there_is(piped: Piped, tmp_path: Path, suffix: str) -> None:
    sections = {
        "gen": ["Recipe", "Funnel", "Examples", "Prompts", "How it was made"],
        "score": ["Recipe", "Funnel", "Scores", "Examples", "Prompts", "How it was made"],
        "train": ["Recipe", "Funnel", "Scores", "Examples", "Training", "Results", "Prompts", "How it was made"],
    }
    for stage, wanted in sections.items():
        out = tmp_path / f"{stage}{suffix}"
        said = multicsr("report", piped.run(stage), "--db", piped.db, "--out", out, "--json").json
        assert said["sections"] == wanted
        assert (said["run"], said["stage"], said["out"]) == (piped.run(stage), stage, str(out))
        assert said["evaluations"] == ([piped.run("eval")] if stage == "train" else [])
        assert all(Path(file).stat().st_size for file in said["files"])
        if suffix == ".md":
            images = re.findall(r"!\[.*\]\((.*)\)", out.read_text())
            assert {Path(file).name for file in said["files"]} >= set(images)
    assert not list(tmp_path.glob(".*"))  # nothing temporary is left


def test_an_encoder_that_is_nobodys_and_figures_beside_published_ones(file_store: Store, tmp_path: Path) -> None:
    """An evaluation without a parent; a set of fewer pairs than the published one is no figure to compare."""
    names = published.tasks("sts")
    setting = EvalConfig(
        model="minilm", model_fingerprint="0" * 12, pooler="mean", tasks=dict.fromkeys(names, "0" * 12)
    )
    run = file_store.begin("eval", 1, setting, None)
    training.add_metrics(file_store, run, [
        MetricRow(name, "", "spearman", 0, 70.0 + place, published.PAIRS[name] - (name == "sickr"), 0.5)
        for place, name in enumerate(names)
    ])  # fmt: skip
    file_store.finish(run, {"tasks": 7})
    page = page_of(tmp_path / "s.db", tmp_path / "page.html")
    head, ours, *theirs = page.tables["Beside published figures"]
    assert head == ["backbone", "method", *names, "average"]
    assert ours[2:] == ["70.00", "71.00", "72.00", "73.00", "74.00", "75.00", "-", "-"]
    assert len(theirs) == len(published.table("sts"))
    assert "Funnel" not in page.headings
    dev = replace(setting, split="dev")
    on_dev = file_store.begin("eval", 1, dev, None)
    training.add_metrics(file_store, on_dev, [MetricRow("stsb", "", "spearman", 0, 80.0, 1379, 0.5)])
    file_store.finish(on_dev, {"tasks": 1})
    assert "Beside published figures" not in page_of(tmp_path / "s.db", tmp_path / "dev.html", on_dev.id).headings


def test_an_unfinished_run_is_shown_by_its_name_as_unfinished(copied: Piped, tmp_path: Path) -> None:
    store = Store.open(copied.db)
    with store.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL, counts = '{}' WHERE stage IN ('curate', 'train', 'eval')")
    store.close()
    page = page_of(copied.db, tmp_path / "page.html", copied.run("train"))
    assert f"Not finished yet: curate run {copied.run('curate')} and train run {copied.run('train')}." in page.text
    assert page.tables["Training"]
    newest = multicsr("report", "--db", copied.db, "--out", tmp_path / "newest.html", "--json").json
    assert newest["run"] == copied.run("score")  # the furthest that is finished


def test_a_read_only_store_is_read(copied: Piped, tmp_path: Path) -> None:
    copied.db.chmod(0o444)
    page_of(copied.db, tmp_path / "page.html")


def test_wrong_inputs(copied: Piped, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    mine = tmp_path / "notes.md"
    mine.write_text("# My notes\n")
    for args, says in (
        (("zzz", "--out", out), "no run begins with 'zzz'"),
        (("--out", tmp_path / "page.pdf"), "ends neither in .html nor in .md"),
        (("--out", tmp_path / "nowhere" / "page.html"), "does not exist"),
        (("--out", tmp_path), "ends neither"),
        (("--out", mine), "was not made by multicsr"),
    ):
        assert says in refused(copied.db, "report", *args).err
    assert mine.read_text() == "# My notes\n"
    assert not out.exists()
    folder = tmp_path / "folder.html"
    folder.mkdir()
    assert "is a folder" in refused(copied.db, "report", "--out", folder).err
    assert "there is no store" in refused(tmp_path / "none.db", "report", "--out", out).err
    empty = tmp_path / "empty.db"
    Store.open(empty).close()
    assert "no finished run" in refused(empty, "report", "--out", out).err


def test_a_page_of_ours_is_replaced_and_a_failure_leaves_it(copied: Piped, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    page_of(copied.db, out, copied.run("gen"))
    before = out.read_text()
    shutil.copyfile(copied.db, tmp_path / "torn.db")
    (tmp_path / "torn.db").write_bytes((tmp_path / "torn.db").read_bytes()[:5000])
    assert_problem(multicsr("report", "--db", tmp_path / "torn.db", "--out", out))
    assert out.read_text() == before
    page_of(copied.db, out, copied.run("score"))
    assert out.read_text() != before


def test_every_setting_has_its_line() -> None:
    """Whatever a config of any stage holds, save what only tells content apart."""
    configs = [one for name, one in vars(config).items() if name.endswith("Config") and is_dataclass(one)]
    names = {one: {field.name for field in fields(one)} for one in configs}
    assert {"omega", "alpha", "sigma", "split"} <= set().union(*names.values())
    for one in configs:
        assert {name for name in names[one] if not name.endswith(("_fingerprint", "_digest"))} <= set(meanings(one))


def test_an_imported_corpus_has_no_author(file_store: Store, tmp_path: Path) -> None:
    corpus = tmp_path / "made.csv"
    corpus.write_text("sent0,sent1,hard_neg\nA dog runs.,An animal moves.,A dog sleeps.\n")
    assert multicsr("import", corpus, "--db", tmp_path / "s.db").code == 0
    page = page_of(tmp_path / "s.db", tmp_path / "page.html")
    assert "with triplets made elsewhere" in page.text
    assert page.tables["written"][1:] == [["A dog runs.", "An animal moves.", "A dog sleeps."]]
    assert "Prompts" not in page.headings
    assert str(tmp_path) not in page.text


def test_markdown_reads_text_as_text() -> None:
    for text, written in (
        ("100.0 %", "100.0 %"),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
        ("a|b", r"a\|b"),
        ("<b> & [x](y)", r"&lt;b&gt; &amp; \[x\](y)"),
        ("two\nlines", "two lines"),
    ):
        page = blocks.Page("t", [blocks.Paragraph(text)])
        assert markdown_page.markdown_of(page).splitlines()[-1] == written
    code = markdown_page.markdown_of(blocks.Page("t", [blocks.Table(("a",), [[blocks.Code("`|`")]])]))
    assert code.splitlines()[-1] == r"| `` `\|` `` |"


def test_settings_name_no_absolute_path() -> None:
    assert shown("/home/me/models/llama") == "llama"
    assert shown("C:\\Users\\me\\llama") == "llama"
    assert shown("~/models/llama") == "llama"
    assert shown("google/flan-t5-xl") == "google/flan-t5-xl"
    assert (shown(None), shown(True), shown(5e-5), shown({"sts12": "0" * 12})) == ("-", "yes", "5e-05", "sts12")


@pytest.mark.parametrize("group", published.GROUPS)
def test_published_averages_are_the_means_of_their_rows(group: str) -> None:
    rows = published.table(group)
    assert len(published.tasks(group)) == 7
    assert len({(row.backbone, row.method) for row in rows}) == len(rows)
    whole = [row for row in rows if len(row.figures) == 8]
    assert whole
    for row in whole:
        mean = sum(row.figures[name] for name in published.tasks(group)) / 7
        assert row.figures[published.AVERAGE] == pytest.approx(mean, abs=0.02)


def test_every_colour_of_a_drawing_has_a_value_in_each_scheme() -> None:
    style = html_page._style()
    for name, value in blocks.COLOURS.items():
        assert style.count(f"--{name}:") == 3  # light, dark, print
        assert f"--{name}: {value};" in style


def test_a_page_is_the_same_for_the_same_run_but_for_its_date(store: Store) -> None:
    _, _, curate = made(store)
    first, second = (html_page.html_of(Story(store, curate, "x").page()) for _ in range(2))
    undated = [re.sub(r"Written: [\d: -]+UTC", "", text) for text in (first, second)]
    assert undated[0] == undated[1]
