"""`multicsr data fetch` against a real server on this machine: whole, cut, stopped, wrong, missing, busy, and offline."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import FIRST, SECOND, Hub, Mishap
from shell import Ended, assert_problem, multicsr
from test_fetch import archive

NOTES = random.Random(0).randbytes(300_000)
SMALL = b"query-id\tcorpus-id\tscore\n1\t2\t1\n"
SECRET = "hf_thisisasecrettoken"
SETS = f"""
[notes]
about = "a large file and a small one"
layout = "l"
terms = "none"
repo = "o/notes"
revision = "main"
files = [["notes.bin", "notes/notes.bin"], ["qrels/test.tsv", "notes/qrels/test.tsv"]]

[pinned]
about = "a file whose sum is known"
layout = "l"
terms = "none"
repo = "o/notes"
revision = "{FIRST}"
files = [["notes.bin", "pinned.bin"]]
[pinned.sha256]
"notes.bin" = "{hashlib.sha256(NOTES).hexdigest()}"

[pack]
about = "an archive"
layout = "SentEval"
terms = "none"
repo = "o/pack"
revision = "main"
files = [["pack.tar", ""]]
unpack = "senteval/downstream"
holds = ["STS/STSBenchmark/sts-test.csv"]
"""
STSB = "".join(f"main\tcaptions\t2012\t{n}\t{n}.5\tone {n}\ttwo {n}\n" for n in range(5)).encode()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.add("o/notes", "notes.bin", NOTES, big=True)
    hub.add("o/notes", "qrels/test.tsv", SMALL)
    yield hub
    hub.close()


class Place:
    """A folder to fetch into, and the command as a process of its own: only there is the hub library not offline."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.data, self.sets, self.hub = folder, folder / "data", folder / "sets.toml", hub
        self.sets.write_text(SETS)

    def start(self, *args: object, command: str = "fetch", limit: int | None = None, **env: str) -> Any:
        where = ("--to" if command == "fetch" else "--data", self.data, "--sets", self.sets)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment |= {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.folder), **env}
        return subprocess.Popen(
            [sys.executable, "-m", "multicsr_cli", "data", command, *(str(arg) for arg in (*args, *where))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
        )

    def run(self, *args: object, **kwargs: Any) -> Ended:
        going = self.start(*args, **kwargs)
        out, err = going.communicate(timeout=120)
        return Ended(going.returncode, out, err)

    def refused(self, *args: object, **kwargs: Any) -> str:
        """What is said of a problem; nothing took a place."""
        ended = self.run(*args, **kwargs)
        assert_problem(Ended(ended.code, ended.out, "\n".join(ended.err.splitlines()[-2:])))
        return ended.err

    def state(self, name: str) -> tuple[str, str | None]:
        rows = multicsr("data", "list", "--data", self.data, "--sets", self.sets, "--json").json["sets"]
        (row,) = (row for row in rows if row["name"] == name)
        return row["state"], row["sums"]

    @property
    def record(self) -> Any:
        return json.loads((self.data / "multicsr-data.json").read_text())

    @property
    def files(self) -> dict[str, bytes]:
        """What took its place."""
        found = {path.relative_to(self.data): path for path in self.data.rglob("*") if path.is_file()}
        return {
            name.as_posix(): path.read_bytes()
            for name, path in found.items()
            if name.parts[0] not in (".multicsr-fetch", "multicsr-data.json")
        }

    @property
    def parts(self) -> list[Path]:
        return sorted((self.data / ".multicsr-fetch").rglob("*.part"))


@pytest.fixture
def place(tmp_path: Path, hub: Hub) -> Place:
    return Place(tmp_path, hub)


BOTH = {"notes/notes.bin": NOTES, "notes/qrels/test.tsv": SMALL}


def test_a_set_comes_whole_is_recorded_and_then_only_checked(place: Place, hub: Hub) -> None:
    assert place.state("notes") == ("no", None)
    said = place.run("notes", "--json")
    (row,) = said.json["sets"]
    assert (row["state"], row["sums"], row["bytes"]) == ("complete", "recorded", len(NOTES) + len(SMALL))
    assert place.files == BOTH
    assert not place.parts
    entry = place.record["notes"]
    assert {path: file["sha256"] for path, file in entry["files"].items()} == {
        path: hashlib.sha256(content).hexdigest() for path, content in BOTH.items()
    }
    assert {one["commit"] for one in entry["downloads"].values()} == {FIRST}
    assert entry["endpoint"] == hub.url
    asked = len(hub.asked)
    again = place.run("notes")
    assert again.code == 0
    assert "complete already" in again.err
    assert len(hub.asked) == asked
    assert place.run("notes", command="verify", HF_HUB_OFFLINE="1").code == 0
    assert len(hub.asked) == asked


def test_a_connection_cut_midway_goes_on_where_it_was(place: Place, hub: Hub) -> None:
    hub.mishaps = [Mishap(after=100_000), Mishap(after=50_000)]
    ended = place.run("notes")
    assert ended.code == 0, ended.err
    assert ended.err.count("trying again") == 2
    assert place.files == BOTH
    ranges = [headers.get("range") for headers in hub.gets() if "range" in headers]
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges if asked]
    assert len(set(starts)) == 2
    assert all(0 < start < len(NOTES) for start in starts)
    assert hub.sent < len(NOTES) + len(SMALL) + 2 * 65536  # what was on its way when a connection broke


def test_an_empty_file_is_a_file(place: Place, hub: Hub) -> None:
    hub.add("o/notes", "qrels/test.tsv", b"")
    assert place.run("notes").code == 0
    assert place.files == {"notes/notes.bin": NOTES, "notes/qrels/test.tsv": b""}


def test_a_server_that_ignores_ranges_sends_all_anew(place: Place, hub: Hub) -> None:
    hub.ranges, hub.mishaps = False, [Mishap(after=100_000)]
    assert place.run("notes").code == 0
    assert place.files == BOTH


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(place: Place, hub: Hub) -> None:
    hub.ranges, hub.forever = False, Mishap(after=100_000)
    said = place.refused("notes", "--retries", 1)
    assert "could not be fetched" in said
    assert place.files == {}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_anywhere_the_same_command_goes_on(place: Place, hub: Hub, how: signal.Signals) -> None:
    hub.drip = 0.02
    going = place.start("notes")
    while not any(part.stat().st_size > 60_000 for part in place.parts):
        assert going.poll() is None
        time.sleep(0.01)
    going.send_signal(how)
    _, err = going.communicate(timeout=60)
    if how == signal.SIGINT:
        assert going.returncode == 130
        assert "stopped." in err
        assert "the same command goes on" in err
        assert "Traceback" not in err
    (part,) = place.parts
    kept = part.stat().st_size
    assert place.state("notes") == ("partly", None)
    hub.drip, hub.asked = None, []
    assert place.run("notes").code == 0
    assert [headers["range"] for headers in hub.gets() if "range" in headers][-1] == f"bytes={kept}-"
    assert place.files == BOTH


def test_two_fetches_do_not_work_in_one_folder(place: Place, hub: Hub) -> None:
    hub.drip = 0.05
    going = place.start("notes")
    while not place.parts:
        assert going.poll() is None
        time.sleep(0.01)
    assert "another fetch is at work" in place.refused("notes")
    hub.drip = None
    going.communicate(timeout=60)
    assert going.returncode == 0
    assert place.files == BOTH


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("pinned", "notes.bin", "as pinned"),
        ("notes", "notes.bin", "as the hub says"),
        ("notes", "qrels/test.tsv", "as the hub says"),
    ],
)
def test_other_bytes_than_promised_are_refused_and_removed(
    place: Place, hub: Hub, name: str, path: str, said: str
) -> None:
    served = hub.files["o/notes", FIRST, path]
    served.sent = served.content[:-1] + b"?"
    found = place.refused(name)
    assert said in found
    assert "it was removed" in found
    assert not place.parts
    assert not any(content[-1:] == b"?" for content in place.files.values())
    served.sent = None
    assert place.run(name).code == 0
    assert place.state(name)[0] == "complete"


def test_a_hub_with_another_file_than_the_pinned_one_is_refused(place: Place, hub: Hub) -> None:
    hub.add("o/notes", "notes.bin", NOTES[::-1], big=True)  # a file that is whole and right for the hub
    assert "as pinned" in place.refused("pinned")
    assert place.files == {}


def test_a_branch_that_moved_gives_what_was_recorded(place: Place, hub: Hub) -> None:
    assert place.run("notes").code == 0
    hub.main = SECOND
    for path in ("notes.bin", "qrels/test.tsv"):
        hub.add("o/notes", path, b"new", commit=SECOND)
    (place.data / "notes" / "notes.bin").unlink()
    assert place.state("notes") == ("partly", "recorded")
    assert place.run("notes").code == 0
    assert place.files == BOTH
    hub.add("o/notes", "qrels/test.tsv", b"newer")  # at the first commit: history was rewritten
    (place.data / "notes" / "qrels" / "test.tsv").unlink()
    assert "as recorded" in place.refused("notes")
    assert place.files == {"notes/notes.bin": NOTES}


def test_damage_is_found_and_mended(place: Place, hub: Hub) -> None:
    assert place.run("notes").code == 0
    (place.data / "notes" / "notes.bin").write_bytes(NOTES[:-1] + b"?")
    assert "has sha256" in place.refused("notes", command="verify")
    hub.asked = []
    assert place.run("notes").code == 0
    assert place.files == BOTH
    assert not any(path.endswith("test.tsv") for _, path, _ in hub.asked)
    assert place.run(command="verify").code == 0


@pytest.mark.parametrize(("path", "said"), [("notes.bin", "answers 404"), (None, "has no public dataset o/notes")])
def test_what_the_hub_does_not_have_is_named(place: Place, hub: Hub, path: str | None, said: str) -> None:
    hub.files = {key: served for key, served in hub.files.items() if path is not None and key[2] != path}
    assert said in place.refused("notes")
    assert place.files == {}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again(place: Place, hub: Hub, method: str, status: int) -> None:
    hub.mishaps = [Mishap(status=status, method=method, headers={"Retry-After": "1"})]
    ended = place.run("notes")
    assert ended.code == 0, ended.err
    assert f"answer {status}" in ended.err
    assert place.files == BOTH


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_hub_that_stays_busy_is_given_up(place: Place, hub: Hub, method: str) -> None:
    hub.forever = Mishap(status=503, method=method)
    assert "answers 503" in place.refused("notes", "--retries", 1)
    assert sum(asked == method and "/cdn" in path for asked, path, _ in hub.asked) == (2 if method == "GET" else 0)
    hub.forever = None
    assert place.run("notes").code == 0


def test_a_hub_that_asks_for_a_long_wait_is_not_waited_for(place: Place, hub: Hub) -> None:
    hub.forever = Mishap(status=429, method="HEAD", headers={"Retry-After": "3600"})
    assert "asks to wait 3600 s" in place.refused("notes")
    assert len(hub.asked) == 1


def test_a_server_that_is_no_hub_is_named(place: Place, hub: Hub) -> None:
    hub.plain = True
    assert "does not answer like the hub" in place.refused("notes")


def test_without_a_network_one_line_says_so_and_what_to_do(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = place.refused("notes", HF_ENDPOINT=nobody)
    assert "could not be fetched" in said
    assert f"by hand at {place.data / 'notes/notes.bin'}" in said
    assert f"unpack it by hand into {place.data}" in place.refused("pack", HF_ENDPOINT=nobody)
    assert "HF_HUB_OFFLINE is set" in place.refused("notes", HF_HUB_OFFLINE="1")
    assert "is no URL" in place.refused("notes", HF_ENDPOINT="huggingface.co")
    assert place.files == {}


def test_a_token_goes_to_the_hub_only(place: Place, hub: Hub) -> None:
    ended = place.run("notes", HF_TOKEN=SECRET, HF_ENDPOINT=hub.url.replace("://", "://me:password@"))
    assert ended.code == 0, ended.err
    sent = {path.startswith("/cdn"): headers.get("authorization") for _, path, headers in hub.asked}
    assert sent[True] is None
    assert sent[False]
    ended = place.run("pinned", HF_TOKEN=SECRET)
    assert f"Bearer {SECRET}" in {headers.get("authorization") for _, _, headers in hub.asked}
    assert not any("authorization" in headers for _, path, headers in hub.asked if path.startswith("/cdn"))
    kept = "".join(path.read_text(errors="replace") for path in place.data.rglob("*") if path.is_file())
    for secret in (SECRET, "password"):
        assert secret not in ended.out + ended.err + kept


def test_what_somebody_else_put_there_is_left_alone(place: Place, hub: Hub) -> None:
    (place.data / "notes").mkdir(parents=True)
    (place.data / "notes" / "notes.bin").write_bytes(b"mine")
    (place.data / "pinned.bin").write_bytes(NOTES)
    assert "is there already" in place.refused("notes")
    assert not hub.asked
    assert place.run("pinned").code == 0  # it is what would be fetched
    assert not hub.asked
    assert place.state("pinned") == ("complete", "pinned")
    assert place.files == {"notes/notes.bin": b"mine", "pinned.bin": NOTES}


def test_places_that_cannot_be_written_are_named(place: Place, hub: Hub) -> None:
    place.data.write_text("")
    assert "is a file, not a folder" in place.refused("notes")
    place.data.unlink()
    place.data = Path("/proc/multicsr")
    assert "/proc/multicsr" in place.refused("notes")
    assert not hub.asked


def test_a_disk_too_small_is_named_before_and_a_full_one_when_it_is_full(place: Place, hub: Hub) -> None:
    hub.files["o/notes", FIRST, "notes.bin"].size = 10**17
    assert "needs 100,000,000.0 GB" in place.refused("notes")
    hub.files["o/notes", FIRST, "notes.bin"].size = None
    assert "File too large" in place.refused("notes", limit=100_000)
    assert [part.stat().st_size for part in place.parts] == [100_000]
    assert place.run("notes").code == 0
    assert place.files == BOTH


def pack(hub: Hub, folder: Path, *members: tuple[str, bytes | str | None]) -> None:
    hub.add("o/pack", "pack.tar", archive(folder / "pack.tar", *members).read_bytes(), big=True)


def test_an_archive_becomes_a_folder_that_eval_reads(place: Place, hub: Hub, tmp_path: Path) -> None:
    from stages.tasks import sts

    pack(hub, tmp_path, ("STS/STSBenchmark/sts-test.csv", STSB), ("STS/link", "/etc/passwd"))
    ended = place.run("pack")
    assert ended.code == 0, ended.err
    assert "left out" in ended.err
    assert "STS/link" in ended.err
    test = "senteval/downstream/STS/STSBenchmark/sts-test.csv"
    assert place.files == {test: STSB}
    assert place.state("pack") == ("complete", "recorded")
    assert len(sts.load("stsb", place.data).texts) == 10
    (place.data / "senteval" / "downstream" / "mine.txt").write_text("mine")
    (place.data / test).write_bytes(STSB[:50])
    assert place.state("pack") == ("partly", "recorded")
    assert place.run("pack").code == 0
    assert place.files == {test: STSB, "senteval/downstream/mine.txt": b"mine"}
    assert place.run("pack", command="verify").code == 0


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../../../out", b"x"), ("STS/STSBenchmark/sts-test.csv", STSB)], "leads out of the folder"),
        ([("STS/STSBenchmark/sts-dev.csv", STSB)], "does not hold STS/STSBenchmark/sts-test.csv"),
    ],
)
def test_an_archive_that_is_not_the_one_meant_leaves_no_folder(
    place: Place, hub: Hub, tmp_path: Path, members: list[tuple[str, bytes]], said: str
) -> None:
    pack(hub, tmp_path, *members)
    assert said in place.refused("pack")
    assert place.files == {}
    assert not (tmp_path / "out").exists()
    pack(hub, tmp_path, ("STS/STSBenchmark/sts-test.csv", STSB))
    assert place.run("pack").code == 0


def test_an_archive_cut_short_at_the_hub_itself_is_refused(place: Place, hub: Hub, tmp_path: Path) -> None:
    whole = archive(tmp_path / "pack.tar", ("STS/STSBenchmark/sts-test.csv", STSB)).read_bytes()
    hub.add("o/pack", "pack.tar", whole[:600], big=True)
    assert "no whole archive" in place.refused("pack")
    assert place.files == {}


def test_wrong_names_are_refused(place: Place) -> None:
    at = ("--data", place.data, "--sets", place.sets)
    for ended in (
        multicsr("data", "fetch", "nothing", "--to", place.data),
        multicsr("data", "verify", "nothing", *at),
        multicsr("data", "verify", "notes", *at),
        multicsr("data", "verify", *at),
        multicsr("data", "list", "--sets", place.data / "none.toml"),
    ):
        assert_problem(ended)
    assert multicsr("data", "fetch").code == 2
    assert not place.data.exists()


def test_the_list_is_shown_without_a_folder_or_a_network(place: Place) -> None:
    ended = multicsr("data", "list", "--data", place.data)
    assert ended.code == 0
    assert all(name in ended.out for name in ("senteval", "scifact", "pinned"))
    rows = {row["name"]: row for row in multicsr("data", "list", "--data", place.data, "--json").json["sets"]}
    assert rows["scifact"]["bytes"] == 8023638 + 129085 + 5389
    assert rows["cqadupstack"]["place"] == "cqadupstack"
    assert (rows["senteval"]["bytes"], rows["senteval"]["sums"], rows["senteval"]["state"]) == (None, None, "no")
    assert not place.data.exists()
