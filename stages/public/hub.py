"""What the hub says of a file, and its bytes over HTTP. Arrow: an address -> bytes in a file that the next call goes on with.

The hub library knows addresses, tokens, redirects and what the hub says of a file (commit, size, sum). Its own download
throws an unfinished file away when the process ends, so the bytes are streamed here. Whatever a network or a hub does is
tried again where that may help, and is else a Problem.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stages.public.sets import Fetched, Wanted
from stages.stage import Tick
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


def ask(
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
            f"{public_address(endpoint)} does not answer like the hub (no commit or no size for {wanted.name})",
            "check HF_ENDPOINT and the proxy",
        )
    if wanted.bytes not in (None, said.size):
        raise Problem(
            f"{wanted.name} has {said.size:,} bytes at the hub, not the {wanted.bytes:,} that are pinned",
            "it was changed there; use what you have, or a newer multicsr",
        )
    fixed = hf_hub_url(wanted.repo, wanted.path, repo_type="dataset", revision=said.commit_hash, endpoint=endpoint)
    return Remote(wanted, fixed, said.commit_hash, said.size, said.etag or "")


def download(remote: Remote, part: Path, retries: int) -> Iterator[tuple[int, str]]:
    """Append to `part` until it is whole: (bytes there, news) after each block. Gives up when retries bring nothing new."""
    part.touch()
    most, tried = gathered(part), 0
    yield most, ""
    while gathered(part) < remote.bytes:
        try:
            for there in _stream(remote, part):
                yield there, ""
            if gathered(part) < remote.bytes:
                raise Cut("the connection ended")
        except _failures() as error:
            there = gathered(part)
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

    start = gathered(part)
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
    match = re.match(r"bytes (\d+)-", content_range or "")
    return int(match[1]) if match else None


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

    hub = public_address(endpoint)
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


def part_of(aside: Path, remote: Remote) -> Path:
    """Where the bytes of a file gather. The name holds what tells one content from another, so that none are mixed."""
    key = hashlib.blake2b(f"{remote.url}/{remote.etag}/{remote.bytes}".encode(), digest_size=8).hexdigest()
    return aside / f"{Path(remote.wanted.path).name}.{key}.part"


def gathered(part: Path) -> int:
    """The bytes of a file that are here."""
    return part.stat().st_size if part.exists() else 0


def public_address(endpoint: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
