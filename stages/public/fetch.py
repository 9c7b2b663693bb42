"""Getting public sets from the hub. Arrow: a set -> bytes over HTTP -> checked files under a folder -> their record.

The hub library knows addresses, tokens, redirects and what the hub says of a file (commit, size, sum). Its own download
throws an unfinished file away when the process ends, so the bytes are streamed here, into a file that the next call goes
on with. A file takes its place only after its size and sums are right; an archive is unpacked aside and renamed whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stages.public.sets import (
    ASIDE,
    HASHED_AT_ONCE,
    Dataset,
    Fetched,
    Wanted,
    faults,
    record,
    sha256,
    state,
    write_record,
)
from stages.stage import COMPLETE, Tick, Ticks
from store import whole
from store.problem import Problem

RETRIES = 5  # in a row, without one new byte
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a retry; doubled each time, or what the hub asks for
ANSWER, SILENCE = 10.0, 30.0  # seconds without an answer, without a byte, after which a connection counts as lost

PASSING = (408, 429, 500, 502, 503, 504)  # statuses that another try may mend


@dataclass(frozen=True)
class Remote:
    """What the hub says of a file. `etag` is its sha256 (64 digits), or git's sum of it (40), or nothing usable."""

    wanted: Wanted
    url: str
    commit: str
    bytes: int
    etag: str


class Cut(Exception):
    """A connection that ended before the file did."""


def fetch(dataset: Dataset, folder: Path, endpoint: str, retries: int = RETRIES) -> Ticks:
    """Get what is missing or damaged of `dataset` under `folder`; ticks count kilobytes.

    A file fetched before is asked for at the commit that was recorded then, and held to its sum. Raises Problem for
    whatever stands in the way; what was got so far stays, and the same call goes on.
    """
    with _told(folder):
        _make(folder)
        with _alone(folder):
            yield from _fetch(dataset, folder, endpoint.rstrip("/"), retries)


def _fetch(dataset: Dataset, folder: Path, endpoint: str, retries: int) -> Ticks:
    fetched = record(folder).get(dataset.name) or Fetched()
    missing = _missing(dataset, folder, fetched)
    if fetched.complete and not missing:
        yield _tick(fetched.bytes, fetched.bytes, 0, COMPLETE)
        return
    aside = folder / ASIDE / dataset.name
    aside.mkdir(parents=True, exist_ok=True)
    remotes: list[Remote] = []
    for wanted in missing:
        remotes.append((yield from _asked(wanted, fetched, endpoint, retries, folder, reached=bool(remotes))))
    total, done = sum(remote.bytes for remote in remotes), 0
    _refuse_too_little_room(folder, dataset, sum(remote.bytes - _there(_part(aside, remote)) for remote in remotes))
    begun = sum(_there(_part(aside, remote)) for remote in remotes)
    yield _tick(done, total, 0, "asked the hub")
    for remote in remotes:
        for there, warning in _download(remote, _part(aside, remote), retries):
            yield _tick(done + there, total, done + there - begun, remote.wanted.path, warning)
        done += remote.bytes
        sum_ = _checked(remote, _part(aside, remote), fetched, folder)
        fetched.downloads[remote.wanted.name] = {"commit": remote.commit, "sha256": sum_, "bytes": remote.bytes}
        if dataset.unpack is None:
            fetched.files[remote.wanted.to] = {"sha256": sum_, "bytes": remote.bytes}
            write_record(folder, dataset.name, fetched)  # first: a file without a record counts as somebody else's
            _place(_part(aside, remote), folder / remote.wanted.to)
    if dataset.unpack is not None and remotes:
        yield _tick(done, total, done - begun, "unpacking")
        left_out = _unpacked(dataset, _part(aside, remotes[0]), aside / "unpacked", folder, fetched)
        if left_out:
            yield _tick(done, total, done - begun, "unpacking", f"left out, for they are no files: {left_out}")
    _adopted(dataset, folder, fetched)
    fetched.complete, fetched.endpoint = True, _shown(endpoint)
    fetched.date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_record(folder, dataset.name, fetched)
    shutil.rmtree(aside)
    yield _tick(total, total, max(total - begun, 0), "checked")


def _missing(dataset: Dataset, folder: Path, fetched: Fetched) -> list[Wanted]:
    """The files still to be got. Raises Problem where something that was not fetched stands in a file's place."""
    if dataset.unpack is not None:
        if not fetched.files and state(dataset, folder)[0] == "by hand":
            raise _in_the_way(dataset.places(folder)[0])
        if not fetched.files and (folder / dataset.unpack).exists():
            raise _in_the_way(folder / dataset.unpack)
        whole = fetched.complete and not any(faults(dataset, folder))
        return [] if whole else list(dataset.files)
    wrong = {path for path, _ in faults(dataset, folder)}
    missing = []
    for wanted in dataset.files:
        place = folder / wanted.to
        right = wanted.to not in wrong and place.is_file()
        if wanted.to not in fetched.files and place.exists() and not (right and wanted.sha256):
            raise _in_the_way(place)
        if not right:
            missing.append(wanted)
    return missing


def _adopted(dataset: Dataset, folder: Path, fetched: Fetched) -> None:
    """Record files that were there before the first fetch, with the pinned sums."""
    for wanted in dataset.files:
        if wanted.to and wanted.to not in fetched.files:
            size = (folder / wanted.to).stat().st_size
            fetched.files[wanted.to] = {"sha256": wanted.sha256, "bytes": size}


def _in_the_way(place: Path) -> Problem:
    return Problem(
        f"{place} is there already, and nothing says that it is what would be fetched",
        "move it away, or give another folder with --to",
    )


def _asked(
    wanted: Wanted, fetched: Fetched, endpoint: str, retries: int, folder: Path, reached: bool
) -> Generator[Tick, None, Remote]:
    """What the hub says of a file, at the commit that was recorded if it was fetched before.

    A hub that gave no answer yet (`reached`) is not asked again: there is no network.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    known = fetched.downloads.get(wanted.name)
    revision = known["commit"] if known else wanted.revision
    url = hf_hub_url(wanted.repo, wanted.path, repo_type="dataset", revision=revision, endpoint=endpoint)
    for tried in range(retries + 1):
        try:
            said = get_hf_file_metadata(url, timeout=ANSWER, library_name="multicsr", endpoint=endpoint)
            break
        except _failures() as error:
            pause = _pause(error, tried) if reached or isinstance(error, HfHubHTTPError) else None
            if pause is None or tried == retries:
                raise _refusal(error, wanted, endpoint, folder) from None
            yield Tick(0, 0, "asking the hub", warning=f"{_reason(error)} for {wanted.path}; trying again")
            time.sleep(pause)
    if said.commit_hash is None or said.size is None:
        raise Problem(
            f"{_shown(endpoint)} does not answer like the hub (no commit or no size for {wanted.name})",
            "check HF_ENDPOINT and the proxy",
        )
    if wanted.bytes not in (None, said.size):
        raise Problem(
            f"{wanted.name} has {said.size:,} bytes at the hub, not the {wanted.bytes:,} that are pinned",
            "it was changed there; use what you have, or a newer multicsr",
        )
    fixed = hf_hub_url(wanted.repo, wanted.path, repo_type="dataset", revision=said.commit_hash, endpoint=endpoint)
    return Remote(wanted, fixed, said.commit_hash, said.size, said.etag or "")


def _download(remote: Remote, part: Path, retries: int) -> Iterator[tuple[int, str]]:
    """Append to `part` until it is whole: (bytes there, news) after each block. Gives up when retries bring nothing new."""
    part.touch()
    most, tried = _there(part), 0
    yield most, ""
    while _there(part) < remote.bytes:
        try:
            for there in _stream(remote, part):
                yield there, ""
            if _there(part) < remote.bytes:
                raise Cut("the connection ended")
        except _failures() as error:
            there = _there(part)
            most, tried = (there, 0) if there > most else (most, tried + 1)
            pause = _pause(error, tried)
            if pause is None or tried > retries:
                raise _refusal(error, remote.wanted, remote.url, part.parents[2]) from None
            yield (
                there,
                f"{_reason(error)} at {there:,} of {remote.bytes:,} bytes of {remote.wanted.path}; trying again",
            )
            time.sleep(pause)


def _stream(remote: Remote, part: Path) -> Iterator[int]:
    """One request for what is missing of `part`, appended to it: its size after each block.

    The address names a commit, so the bytes behind it never change, and a part fits whatever follows. A server that
    ignores the range sends all of it, and the part begins anew.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, though not in __all__
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    start = _there(part)
    headers = build_hf_headers(library_name="multicsr") | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    # The client follows redirects, and takes the token off where they lead to another host.
    with get_session().stream("GET", remote.url, headers=headers, timeout=SILENCE) as response:
        hf_raise_for_status(response)
        goes_on = response.status_code == 206 and _first_byte(response.headers.get("Content-Range")) == start
        with part.open("ab" if goes_on else "wb") as file:
            for block in response.iter_bytes():  # as they come: gathering them would lose some when a connection breaks
                file.write(block)
                if file.tell() > remote.bytes:
                    return  # more than the hub said; the sums will tell
                yield file.tell()


def _first_byte(content_range: str | None) -> int | None:
    found = re.match(r"bytes (\d+)-", content_range or "")
    return int(found[1]) if found else None


def _failures() -> tuple[type[Exception], ...]:
    """What a network and a hub can do to us; anything else is a bug of ours and keeps its traceback."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # its HTTP library's
        HfHubHTTPError,
        HTTPError,
        OfflineModeIsEnabled,
    )

    return (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, Cut)


def _pause(error: Exception, tried: int) -> float | None:
    """Seconds to wait before another try, None where none would help."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # its HTTP library's

    grown = min(FIRST_PAUSE * 2.0**tried, LONGEST_PAUSE)
    if isinstance(error, HfHubHTTPError):
        if error.response.status_code not in PASSING:
            return None
        asked = error.response.headers.get("Retry-After", "")
        wait = max(grown, float(asked)) if asked.isdecimal() else grown
        return wait if wait <= LONGEST_PAUSE else None
    return grown if isinstance(error, (HTTPError, Cut)) else None


def _refusal(error: Exception, wanted: Wanted, endpoint: str, folder: Path) -> Problem:
    """What to tell the user of one of `_failures`."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    hub = _shown(endpoint)
    by_hand = f"or lay it by hand at {folder / wanted.to}" if wanted.to else f"or unpack it by hand into {folder}"
    if isinstance(error, OfflineModeIsEnabled):
        return Problem("HF_HUB_OFFLINE is set, so nothing can be fetched", f"unset it, {by_hand}")
    if isinstance(error, GatedRepoError):
        return Problem(
            f"{wanted.repo} wants its terms accepted", "accept them on its page, then log in with `hf auth login`"
        )
    if isinstance(error, RepositoryNotFoundError):
        return Problem(f"{hub} has no public dataset {wanted.repo}", f"log in if it is private, {by_hand}")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in PASSING:
            asked = error.response.headers.get("Retry-After")
            until = f", and asks to wait {asked} s" if asked else ""
            return Problem(
                f"{hub} answers {status} for {wanted.name}{until}",
                "run the same command later; it goes on where it was",
            )
        return Problem(
            f"{hub} answers {status} for {wanted.name} at {wanted.revision}", f"check the revision, {by_hand}"
        )
    return Problem(
        f"{wanted.name} could not be fetched from {hub}: {_reason(error)}",
        f"run the same command again with a network (it goes on where it was), {by_hand}",
    )


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"answer {status}" if status else (str(error).splitlines() or [type(error).__name__])[0]


def _checked(remote: Remote, part: Path, fetched: Fetched, folder: Path) -> str:
    """The sha256 of a whole file that is what was pinned, what was recorded, and what the hub says that it sent.

    Raises Problem otherwise, and removes the file.
    """
    found = sha256(part)
    known = fetched.downloads.get(remote.wanted.name, {}).get("sha256")
    git = _git_sum(part) if len(remote.etag) == 40 else ""
    for asked, got, who in (
        (str(remote.bytes), str(part.stat().st_size), "bytes, as the hub says"),
        (remote.wanted.sha256, found, "(sha256) as pinned"),
        (known, found, f"(sha256) as recorded in {folder}"),
        (remote.etag if len(remote.etag) == 64 else None, found, "(sha256) as the hub says"),
        (remote.etag if len(remote.etag) == 40 else None, git, "(git's sha1) as the hub says"),
    ):
        if asked is not None and asked != got:
            part.unlink()
            raise Problem(
                f"{remote.wanted.name} came with {got}, not {asked} {who}; it was removed",
                "run the same command again; if it stays so, what the hub (or a proxy) sends is another file",
            )
    return found


def _git_sum(path: Path) -> str:
    """Git's name for the content of a file, which the hub gives for small ones: sha1 of a header and the bytes."""
    content = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            content.update(block)
    return content.hexdigest()


def _unpacked(dataset: Dataset, archive: Path, aside: Path, folder: Path, fetched: Fetched) -> str:
    """Unpack aside, check, and rename into place; its files go into `fetched`. Returns the names left out."""
    assert dataset.unpack is not None
    shutil.rmtree(aside, ignore_errors=True)
    left_out = unpack(archive, aside)
    for path in dataset.holds:
        if not (aside / path).is_file():
            archive.unlink()
            raise Problem(f"{dataset.files[0].name} does not hold {path}", "the hub's archive is another one; tell us")
    place = folder / dataset.unpack
    files = {path.relative_to(aside).as_posix(): path for path in sorted(aside.rglob("*")) if path.is_file()}
    fetched.files = {
        f"{dataset.unpack}/{name}": {"sha256": sha256(path), "bytes": path.stat().st_size}
        for name, path in files.items()
    }
    write_record(folder, dataset.name, fetched)  # first: a folder without a record counts as somebody else's
    if place.exists():  # fetched before, and damaged since; other files in it stay
        for name, fresh in files.items():
            _place(fresh, place / name)
    else:
        _place(aside, place)
    return ", ".join(left_out)


def unpack(archive: Path, into: Path) -> list[str]:
    """Write the regular files of a tar archive under `into`; returns the names of links and devices, which are left out.

    Raises Problem for an archive that is cut short, or one with a name that leads out of the folder.
    """
    left_out, into = [], into.resolve()
    into.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                place = (into / member.name).resolve()
                if not place.is_relative_to(into) or member.name.startswith("/"):
                    raise Problem(
                        f"{archive.name} holds {member.name!r}, which leads out of the folder", "do not use it"
                    )
                if member.isreg():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with place.open("wb") as file:  # of two of one name the later counts, as tar has it
                        shutil.copyfileobj(_content(tar, member), file)
                elif not member.isdir():
                    left_out.append(member.name)
    except (tarfile.TarError, EOFError) as error:
        archive.unlink()
        raise Problem(f"{archive.name} is no whole archive: {error}", "run the same command again") from None
    return left_out


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    content = tar.extractfile(member)
    assert content is not None  # a regular file has content
    return content


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    whole.place(source, target)


def _part(aside: Path, remote: Remote) -> Path:
    """Where the bytes of a file gather. The name holds what tells one content from another, so that none are mixed."""
    key = hashlib.blake2b(f"{remote.url}/{remote.etag}/{remote.bytes}".encode(), digest_size=8).hexdigest()
    return aside / f"{Path(remote.wanted.path).name}.{key}.part"


def _there(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise Problem(f"{folder} is a file, not a folder", "give a folder with --to")
    folder.mkdir(parents=True, exist_ok=True)


def _refuse_too_little_room(folder: Path, dataset: Dataset, needed: int) -> None:
    needed *= 2 if dataset.unpack is not None else 1  # the archive, and what comes out of it
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Problem(
            f"{dataset.name} needs {needed / 1e9:,.1f} GB more under {folder}, and {free / 1e9:,.1f} GB are free",
            "make room, or give another folder with --to",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No two fetches work in one folder."""
    from filelock import FileLock, Timeout

    (folder / ASIDE).mkdir(exist_ok=True)
    try:
        with FileLock(folder / ASIDE / "lock", timeout=0):
            yield
    except Timeout:
        raise Problem(f"another fetch is at work in {folder}", "wait until it is done") from None


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the file system refuses becomes one line: a full disk, a folder that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise Problem(
            f"{error.filename or folder}: {error.strerror}",
            "make room or give write permission there, or give another folder with --to; the same command goes on",
        ) from error


def _shown(endpoint: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _tick(done: int, total: int, fresh: int, note: str, warning: str = "") -> Tick:
    """Kilobytes, rounded up."""
    return Tick(-(-done // 1000), -(-total // 1000), note, -(-max(fresh, 0) // 1000), warning)
