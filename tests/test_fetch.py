"""Sets and their files without a network: what the bundled table says, records, sums, and archives unpacked safely."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from stages.public import checks, hub
from stages.public import sets as datasets
from stages.public.sets import Fetched
from store.problem import Problem

SUM = hashlib.sha256(b"one\n").hexdigest()


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sets.toml"
    path.write_text(text)
    return path


def table(**changed: str) -> str:
    rows = {
        "about": '"a"',
        "layout": '"l"',
        "terms": '"t"',
        "repo": '"o/r"',
        "revision": '"main"',
        "files": '[["a.txt", "in/a.txt"]]',
    } | changed
    return "[mine]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items() if value)


def test_every_bundled_set_names_its_source_and_its_places() -> None:
    sets = datasets.known()
    assert {"senteval", "nli-simcse", "wiki-simcse", "scifact", "cqadupstack"} <= set(sets)
    places = [place for one in sets.values() for place in one.places(Path("x"))]
    assert len(places) == len(set(places))
    for one in sets.values():
        assert all(re.fullmatch(r"[\w-]+/[\w-]+", wanted.repo) for wanted in one.files)
        assert all(re.fullmatch(r"main|[0-9a-f]{40}", wanted.revision) for wanted in one.files)
        # A sum without its commit could only be right until the branch moves.
        assert all(wanted.revision != "main" for wanted in one.files if wanted.sha256)
    assert len(sets["cqadupstack"].files) == 36
    assert sets["scifact"].pinned
    assert not sets["senteval"].pinned


def test_bundled_retrieval_sets_have_the_layout_of_beir() -> None:
    for one in datasets.known().values():
        if one.layout.startswith("BEIR"):
            folders = {wanted.to.split("/corpus")[0] for wanted in one.files if wanted.to.endswith("corpus.jsonl")}
            assert {wanted.to for wanted in one.files} == {
                f"{folder}/{name}" for folder in folders for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
            }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mine", "is not TOML"),
        (table(repo=""), "no usable 'repo'"),
        (table(files=""), "files"),
        (table(files='["a.txt"]'), "files"),
        (table(files="[]"), "files"),
        (table(files='[["a.txt", "../a.txt"]]'), "no place"),
        (table(files='[["a.txt", "/a.txt"]]'), "no place"),
        (table(files='[["a.txt", "multicsr-data.json"]]'), "no place"),
        (table(unpack='"x"', files='[["a.tar", ""], ["b.tar", ""]]'), "more than the one archive"),
        (table(sha256='{"a.txt" = "abc"}'), "not a sha256"),
        (table(parts='["x"]', sha256=f'{{"a.txt" = "{SUM}"}}'), "parts repeat"),
        (table().replace("mine", '"../mine"'), "a set is a table"),
    ],
)
def test_a_table_of_ones_own_that_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Problem, match=re.escape(said)):
        datasets.known(own(tmp_path, text))


def test_parts_repeat_repository_and_files(tmp_path: Path) -> None:
    text = table(parts='["x", "y"]', repo='"o/r-{part}"', files='[["a.txt", "in/{part}.txt"]]')
    files = datasets.known(own(tmp_path, text))["mine"].files
    assert [(one.repo, one.to) for one in files] == [("o/r-x", "in/x.txt"), ("o/r-y", "in/y.txt")]


def test_a_set_laid_by_hand_is_seen_and_held_to_pinned_sums_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes(b"one\n")
    free = datasets.known(own(tmp_path, table()))["mine"]
    pinned = datasets.known(own(tmp_path, table(sha256=f'{{"a.txt" = "{SUM}"}}')))["mine"]
    assert datasets.state(free, tmp_path) == ("by hand", None)
    assert datasets.state(pinned, tmp_path) == ("by hand", "pinned")
    assert datasets.expected(free, tmp_path) == {}
    assert list(datasets.faults(pinned, tmp_path)) == []
    (tmp_path / "in" / "a.txt").write_bytes(b"two\n")
    ((path, what),) = datasets.faults(pinned, tmp_path)
    assert path == "in/a.txt"
    assert SUM in what


@pytest.mark.parametrize("levels", ["", "downstream", "data/downstream", "senteval/downstream"])
def test_senteval_by_hand_may_lie_wherever_eval_reads_it(tmp_path: Path, levels: str) -> None:
    senteval = datasets.known()["senteval"]
    assert datasets.state(senteval, tmp_path / "none")[0] == "no"
    for place, path in enumerate(senteval.holds):
        assert datasets.state(senteval, tmp_path)[0] == ("partly" if place else "no")
        (tmp_path / levels / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / levels / path).write_text("x")
    assert datasets.state(senteval, tmp_path)[0] == "by hand"


def test_a_record_comes_back_as_it_was_written_and_keeps_other_sets(tmp_path: Path) -> None:
    one = Fetched(True, "2026", "http://h", {"o/r/a": {"commit": "c", "sha256": SUM, "bytes": 4}}, {})
    datasets.write_record(tmp_path, "one", one)
    datasets.write_record(tmp_path, "two", Fetched())
    assert datasets.record(tmp_path) == {"one": one, "two": Fetched()}
    assert [path.name for path in tmp_path.iterdir()] == [datasets.RECORD]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"nonsense": 1}}', "{"])
def test_a_damaged_record_is_refused_not_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / datasets.RECORD).write_text(text)
    with pytest.raises(Problem, match="no record of fetched sets"):
        datasets.record(tmp_path)
    assert (tmp_path / datasets.RECORD).read_text() == text


def test_gits_sum_of_a_file_is_the_one_that_git_gives(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    assert checks.git_sum(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def archive(path: Path, *members: tuple[str, bytes | str | None]) -> Path:
    """(name, content), (name, target of a link), or (name, None) for a folder."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
            elif content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.type, member.linkname = tarfile.SYMTYPE, content
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def test_an_archive_becomes_its_regular_files_and_links_are_left_out(tmp_path: Path) -> None:
    members = [("d", None), ("./d/a", b"one"), ("b", b""), ("link", "/etc/passwd"), ("d/up", "../..")]
    assert checks.unpack(archive(tmp_path / "x.tar", *members), tmp_path / "out") == ["link", "d/up"]
    found = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == {"d/a": b"one", "b": b""}
    assert not any(path.is_symlink() for path in found.values())


@pytest.mark.parametrize("name", ["../out2", "d/../../out2", "/tmp/multicsr-out2", "/../out2"])
def test_an_archive_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="leads out of the folder"):
        checks.unpack(archive(tmp_path / "x.tar", (name, b"x")), tmp_path / "out")
    assert not (tmp_path / "out2").exists()


def test_a_file_behind_a_link_of_the_archive_stays_inside(tmp_path: Path) -> None:
    """The link is not made, so its name becomes a plain folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checks.unpack(archive(tmp_path / "x.tar", ("d", str(elsewhere)), ("d/a", b"x")), tmp_path / "out")
    assert (tmp_path / "out" / "d" / "a").read_bytes() == b"x"
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("kept", [0, 100, 700])
def test_an_archive_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = archive(tmp_path / "x.tar", ("a", b"x" * 1000))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Problem, match="no whole archive"):
        checks.unpack(path, tmp_path / "out")
    assert not path.exists()


def test_an_address_is_shown_without_its_password() -> None:
    assert hub.public_address("https://me:hf_secret@mirror.example:8443/x?token=1") == "https://mirror.example:8443"


def test_the_bundled_table_is_part_of_the_package() -> None:
    root = Path(__file__).resolve().parents[1]
    assert '"bundled/*.toml"' in (root / "pyproject.toml").read_text()
    assert json.dumps(sorted(datasets.known()))
