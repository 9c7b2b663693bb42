"""Getting public sets from the hub. Arrow: a set -> bytes over HTTP -> checked files under a folder -> their record.

Bytes gather aside (`stages/public/hub.py`), in files that the next call goes on with. A file takes its place only after its
size and sums are right (`stages/public/checks.py`); an archive is unpacked aside and renamed whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stages.public.checks import checked, unpack
from stages.public.hub import RETRIES, Remote, ask, download, gathered, part_of, public_address
from stages.public.sets import ASIDE, Dataset, Fetched, Wanted, faults, record, sha256, state, write_record
from stages.stage import COMPLETE, Tick
from store import whole
from store.problem import Problem


def fetch(dataset: Dataset, folder: Path, endpoint: str, retries: int = RETRIES) -> Generator[Tick, None, None]:
    """Get what is missing or damaged of `dataset` under `folder`; ticks count kilobytes.

    A file fetched before is asked for at the commit that was recorded then, and held to its sum. Raises Problem for
    whatever stands in the way; what was got so far stays, and the same call goes on.
    """
    with _told(folder):
        _make(folder)
        with _alone(folder):
            yield from _fetch(dataset, folder, endpoint.rstrip("/"), retries)


def _fetch(dataset: Dataset, folder: Path, endpoint: str, retries: int) -> Generator[Tick, None, None]:
    fetched = record(folder).get(dataset.name) or Fetched()
    missing = _missing(dataset, folder, fetched)
    if fetched.complete and not missing:
        yield _tick(fetched.bytes, fetched.bytes, 0, COMPLETE)
        return
    aside = folder / ASIDE / dataset.name
    aside.mkdir(parents=True, exist_ok=True)
    remotes: list[Remote] = []
    for wanted in missing:
        remotes.append((yield from ask(wanted, fetched, endpoint, retries, folder, reached=bool(remotes))))
    total, done = sum(remote.bytes for remote in remotes), 0
    _refuse_too_little_room(folder, dataset, sum(remote.bytes - gathered(part_of(aside, remote)) for remote in remotes))
    begun = sum(gathered(part_of(aside, remote)) for remote in remotes)
    yield _tick(done, total, 0, "asked the hub")
    for remote in remotes:
        for there, warning in download(remote, part_of(aside, remote), retries):
            yield _tick(done + there, total, done + there - begun, remote.wanted.path, warning)
        done += remote.bytes
        sum_ = checked(remote, part_of(aside, remote), fetched, folder)
        fetched.downloads[remote.wanted.name] = {"commit": remote.commit, "sha256": sum_, "bytes": remote.bytes}
        if dataset.unpack is None:
            fetched.files[remote.wanted.to] = {"sha256": sum_, "bytes": remote.bytes}
            write_record(folder, dataset.name, fetched)  # first: a file without a record counts as somebody else's
            _place(part_of(aside, remote), folder / remote.wanted.to)
    if dataset.unpack is not None and remotes:
        yield _tick(done, total, done - begun, "unpacking")
        left_out = _unpacked(dataset, part_of(aside, remotes[0]), aside / "unpacked", folder, fetched)
        if left_out:
            yield _tick(done, total, done - begun, "unpacking", f"left out, for they are no files: {left_out}")
    _adopted(dataset, folder, fetched)
    fetched.complete, fetched.endpoint = True, public_address(endpoint)
    fetched.date = datetime.now(UTC).isoformat(timespec="seconds")
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
        "move it away, or give another folder, to=DIR",
    )


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


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    whole.place(source, target)


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise Problem(f"{folder} is a file, not a folder", "give a folder, to=DIR")
    folder.mkdir(parents=True, exist_ok=True)


def _refuse_too_little_room(folder: Path, dataset: Dataset, needed: int) -> None:
    needed *= 2 if dataset.unpack is not None else 1  # the archive, and what comes out of it
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Problem(
            f"{dataset.name} needs {needed / 1e9:,.1f} GB more under {folder}, and {free / 1e9:,.1f} GB are free",
            "make room, or give another folder, to=DIR",
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
            "make room or give write permission there, or give another folder, to=DIR; the same command goes on",
        ) from error


def _tick(done: int, total: int, fresh: int, note: str, warning: str = "") -> Tick:
    """Kilobytes, rounded up."""
    return Tick(-(-done // 1000), -(-total // 1000), note, -(-max(fresh, 0) // 1000), warning)
