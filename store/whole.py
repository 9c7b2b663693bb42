"""Files that appear whole: a temporary name in the same folder, flushed to the disk, renamed. Standard library only.

Whoever reads the path finds what was there before or all of what came after it, also when the process is killed or the disk
is full. One of the leaves that every storey may import.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Make `content` (a text as UTF-8, its line ends as they are) all that the file `path` holds; returns `path`."""
    with file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def file(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end; where the block raises, `path` is as it was."""
    part = _part(path)
    try:
        yield part
        place(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end; where the block raises, `path` is as it was.

    A folder that lies there with something in it is replaced with `replace`, and otherwise raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, old = _part(path), path.with_name(f".{path.name}.{os.getpid()}.old")
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        _flush(part)
        if replace and path.is_dir() and not path.is_symlink():
            path.rename(old)  # at once, where removing it would take a while
        part.rename(path)
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def place(source: Path, target: Path) -> None:
    """Flush a file or folder that was written under another name on the same disk, and rename it to `target`. A file that
    lies there is replaced, a folder only if it is empty. Raises OSError where that fails."""
    _flush(source)
    source.replace(target)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _flush(path: Path) -> None:
    """Wait until the disk has all bytes of a file, or of every file under a folder."""
    for written in path.rglob("*") if path.is_dir() else (path,):
        if written.is_file():
            with written.open("rb") as opened:
                os.fsync(opened.fileno())
