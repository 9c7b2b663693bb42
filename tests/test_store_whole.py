"""Files and folders that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import whole


def test_a_text_is_written_as_it_is(tmp_path: Path) -> None:
    """UTF-8, line ends untouched, what lay there before gone, and nothing left beside it."""
    path = tmp_path / "a.txt"
    path.write_text("something longer than what comes")
    assert whole.write(path, "é\r\nb\n") == path
    assert path.read_bytes() == "é\r\nb\n".encode()
    assert whole.write(path, b"\x00").read_bytes() == b"\x00"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with whole.file(path) as part:
            part.write_text("half of the n")
            assert part.parent == path.parent  # a rename within a disk
            assert path.read_text() == "old"
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_is_replaced_only_where_that_is_asked(tmp_path: Path, replace: bool) -> None:
    """Else what somebody put there meanwhile stays, and the writer hears of it."""
    path = tmp_path / "deep" / "model"
    with whole.folder(path) as part:
        (part / "old").write_text("1")

    def again() -> None:
        with whole.folder(path, replace=replace) as part:
            (part / "new").write_text("2")

    if replace:
        again()
    else:
        with pytest.raises(OSError, match="not empty"):
            again()
    assert [file.name for file in path.iterdir()] == ["new" if replace else "old"]
    assert list(path.parent.iterdir()) == [path]


def test_place_takes_a_file_written_elsewhere(tmp_path: Path) -> None:
    part, path = tmp_path / "aside", tmp_path / "a"
    part.write_text("new")
    path.write_text("old")
    whole.place(part, path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
