"""What came, held to what was wanted: sums, and archives unpacked. Arrow: a file -> its sum, or what is in it."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path
from typing import Any

from stages.public.hub import Remote
from stages.public.sets import HASHED_AT_ONCE, Fetched, sha256
from store.problem import Problem


def checked(remote: Remote, part: Path, fetched: Fetched, folder: Path) -> str:
    """The sha256 of a whole file that is what was pinned, what was recorded, and what the hub says that it sent.

    Raises Problem otherwise, and removes the file.
    """
    received = sha256(part)
    known = fetched.downloads.get(remote.wanted.name, {}).get("sha256")
    git = git_sum(part) if len(remote.etag) == 40 else ""
    for asked, got, who in (
        (str(remote.bytes), str(part.stat().st_size), "bytes, as the hub says"),
        (remote.wanted.sha256, received, "(sha256) as pinned"),
        (known, received, f"(sha256) as recorded in {folder}"),
        (remote.etag if len(remote.etag) == 64 else None, received, "(sha256) as the hub says"),
        (remote.etag if len(remote.etag) == 40 else None, git, "(git's sha1) as the hub says"),
    ):
        if asked is not None and asked != got:
            part.unlink()
            raise Problem(
                f"{remote.wanted.name} came with {got}, not {asked} {who}; it was removed",
                "run the same command again; if it stays so, what the hub (or a proxy) sends is another file",
            )
    return received


def git_sum(path: Path) -> str:
    """Git's name for the content of a file, which the hub gives for small ones: sha1 of a header and the bytes."""
    content = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            content.update(block)
    return content.hexdigest()


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
