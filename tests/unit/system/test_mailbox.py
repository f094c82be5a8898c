"""Opening messages: files and nothing else."""

import errno
import os
from pathlib import Path

import pytest

from paperpath.system.mailbox import clean_tmp, open_message


def test_a_message(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    descriptor, size = open_message(os.fsencode(tmp_path / "a"))
    try:
        assert (os.read(descriptor, 100), size) == (b"content", 7)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    for name, code in (("link", errno.ELOOP), ("folder", errno.EINVAL), ("fifo", errno.EINVAL), ("no", errno.ENOENT)):
        with pytest.raises(OSError) as raised:
            open_message(os.fsencode(tmp_path / name))
        assert raised.value.errno == code
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path: Path) -> None:
    for name in ("1", "3"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "2").mkdir()
    clean_tmp(os.fsencode(tmp_path), 1e12)
    assert os.listdir(tmp_path) == ["2"]


def test_cleaning_what_is_not_there(tmp_path: Path) -> None:
    clean_tmp(os.fsencode(tmp_path / "tmp"), 0.0)
