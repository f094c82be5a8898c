"""Removing files."""

from pathlib import Path

import pytest

from paperpath.system.removal import remove_if_there


def test_a_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    remove_if_there(str(path))
    assert not path.exists()


def test_a_missing_file_is_no_trouble(tmp_path: Path) -> None:
    remove_if_there(str(tmp_path / "missing"))


def test_what_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"directory|permitted"):
        remove_if_there(str(tmp_path))
