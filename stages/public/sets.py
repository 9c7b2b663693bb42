"""The public sets that can be fetched, and what of them lies in a folder. Arrow: a name -> its files -> are they right?

What is known of a set is a table in `bundled/data.toml`. What was fetched into a folder is recorded beside it in one JSON
file: commit, date, size and sha256 of everything. Nothing here touches the network.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from stages.tasks.files import senteval_root
from store import whole
from store.problem import Problem

RECORD = "multicsr-data.json"
ASIDE = ".multicsr-fetch"  # under the folder: what is not finished yet

State = Literal["complete", "by hand", "partly", "no"]
Sums = Literal["pinned", "recorded"]

HASHED_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True)
class Wanted:
    """A file of the hub: `path` in the dataset repository `repo`; `to` is its place under the folder ('' for an archive)."""

    repo: str
    revision: str
    path: str
    to: str
    sha256: str | None
    bytes: int | None

    @property
    def name(self) -> str:
        """What messages and the record call it."""
        return f"{self.repo}/{self.path}"


@dataclass(frozen=True)
class Dataset:
    """A set. `unpack` is the folder that its archive becomes; `holds`, files that must be in it."""

    name: str
    about: str
    layout: str
    terms: str
    files: tuple[Wanted, ...]
    unpack: str | None
    holds: tuple[str, ...]

    @property
    def pinned(self) -> bool:
        """Whether every file's sum is known before the first fetch."""
        return all(wanted.sha256 for wanted in self.files)

    def places(self, folder: Path) -> list[Path]:
        """The files that show that the set is there; SentEval's may lie by hand in any of the ways that eval reads."""
        if self.unpack is None:
            return [folder / wanted.to for wanted in self.files]
        by_hand = self.layout == "SentEval" and folder.is_dir()
        root = senteval_root(folder) if by_hand else folder / self.unpack
        return [root / path for path in self.holds]


@dataclass
class Fetched:
    """What the record says of a set: `downloads` by the file's name on the hub, `files` by their path under the folder.

    Both give `sha256` and `bytes`, and a download its `commit` too.
    """

    complete: bool = False
    date: str = ""
    endpoint: str = ""
    downloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all its files together."""
        return sum(file["bytes"] for file in self.files.values())


def known(own: Path | None = None) -> dict[str, Dataset]:
    """Every set by name: the bundled ones, and those in the file `own`. Raises Problem, naming what is wrong in it."""
    bundled = files("stages") / "bundled" / "data.toml"
    bundled_sets = _parsed(bundled.read_text(encoding="utf-8"), "data.toml")
    if own is None:
        return bundled_sets
    try:
        text = own.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(f"sets {own} cannot be read: {error.strerror}", "give a TOML file", setting="sets") from None
    except UnicodeDecodeError as error:
        raise Problem(f"sets {own} is not UTF-8 (byte {error.start})", "save it as UTF-8", setting="sets") from None
    return bundled_sets | _parsed(text, str(own))


def chosen(names: list[str], sets: dict[str, Dataset]) -> list[Dataset]:
    """The sets called `names`. Raises Problem for a name that is none."""
    for name in names:
        if name not in sets:
            raise Problem(f"there is no set {name!r}", f"give one of {', '.join(sets)}")
    return [sets[name] for name in dict.fromkeys(names)]


def state(dataset: Dataset, folder: Path) -> tuple[State, Sums | None]:
    """Whether the set lies under `folder`, judged by names and sizes, and what its sums are held to, if anything."""
    fetched = record(folder).get(dataset.name)
    if fetched is not None:
        sums: Sums = "pinned" if dataset.pinned else "recorded"
        whole = fetched.complete and all(_size(folder / path) == file["bytes"] for path, file in fetched.files.items())
        return ("complete" if whole else "partly"), sums
    there = [place.is_file() for place in dataset.places(folder)]
    if there and all(there):
        return "by hand", "pinned" if dataset.pinned else None
    begun = any(there) or any((folder / ASIDE / dataset.name).glob("*.part"))
    return ("partly" if begun else "no"), None


def faults(dataset: Dataset, folder: Path) -> Iterator[tuple[str, str]]:
    """(path, what is wrong with it) of every file that is missing or whose bytes are not those pinned or recorded."""
    for path, sum_ in expected(dataset, folder).items():
        place = folder / path
        if _size(place) is None:
            yield path, "is missing"
        elif (actual := sha256(place)) != sum_:
            yield path, f"has sha256 {actual}, not {sum_}"


def expected(dataset: Dataset, folder: Path) -> dict[str, str]:
    """The sha256 of each file under `folder` for which one is pinned or recorded."""
    fetched = record(folder).get(dataset.name) or Fetched()
    pinned = {wanted.to: wanted.sha256 for wanted in dataset.files if wanted.to and wanted.sha256}
    return {path: file["sha256"] for path, file in fetched.files.items()} | pinned


def record(folder: Path) -> dict[str, Fetched]:
    """What was fetched into `folder`, by set. Raises Problem where the record is damaged."""
    path = folder / RECORD
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return {name: Fetched(**entry) for name, entry in plain.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, TypeError, AttributeError):
        raise Problem(
            f"{path} is no record of fetched sets", "restore it, or move it away: sums are then recorded anew"
        ) from None


def write_record(folder: Path, name: str, fetched: Fetched) -> None:
    """Store what was fetched of the set `name`; the record appears whole."""
    entries = record(folder) | {name: fetched}
    text = json.dumps({key: vars(entry) for key, entry in sorted(entries.items())}, indent=1, ensure_ascii=False)
    whole.write(folder / RECORD, text + "\n")


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex digits."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            content.update(block)
    return content.hexdigest()


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _parsed(toml: str, shown: str) -> dict[str, Dataset]:
    try:
        tables = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{shown} is not TOML: {error}", "mend that line") from None
    return {name: _dataset(name, table, shown) for name, table in tables.items()}


def _dataset(name: str, table: Any, shown: str) -> Dataset:
    def wrong(what: str) -> Problem:
        return Problem(f"{shown}, [{name}]: {what}", "stages/bundled/data.toml shows the form")

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or not isinstance(table, dict):
        raise wrong("a set is a table whose name has lower-case letters, digits, - and _")
    for key in ("about", "layout", "terms", "repo", "revision"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise wrong(f"no usable {key!r}")
    unpack, sums, sizes = table.get("unpack"), table.get("sha256", {}), table.get("bytes", {})
    try:
        wanted = tuple(
            Wanted(
                table["repo"].replace("{part}", part),
                table["revision"],
                path,
                to.replace("{part}", part),
                sums.get(path),
                sizes.get(path),
            )
            for part in table.get("parts", [""])
            for path, to in table["files"]
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise wrong("files is not a list of [path, place]") from None
    if "parts" in table and (sums or sizes):
        raise wrong("sha256 and bytes name one file each, and parts repeat the files")
    if not wanted or (unpack is not None and len(wanted) > 1):
        raise wrong("files is empty, or names more than the one archive to unpack")
    for place in [unpack] if unpack is not None else [file.to for file in wanted]:
        if not _inside(place):
            raise wrong(f"{place!r} is no place under the folder")
    for sum_ in sums.values():
        if not isinstance(sum_, str) or not re.fullmatch(r"[0-9a-f]{64}", sum_):
            raise wrong(f"{sum_!r} is not a sha256")
    return Dataset(name, table["about"], table["layout"], table["terms"], wanted, unpack, tuple(table.get("holds", ())))


def _inside(place: Any) -> bool:
    if not isinstance(place, str) or not place:
        return False
    path = PurePosixPath(place)
    return not path.is_absolute() and ".." not in path.parts and path.parts[:1] != (RECORD,)
