import errno
import os
from pathlib import Path

import pytest

from paperpath.system.growing import grow

MIB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"kept")
    return path


def test_a_file_grows_step_by_step_and_keeps_what_it_holds(file: Path) -> None:
    assert grow(str(file), 3 * MIB, 2 * MIB)
    assert file.stat().st_size == 4 + 2 * MIB
    assert not grow(str(file), 3 * MIB, 2 * MIB)
    assert file.read_bytes() == b"kept" + bytes(3 * MIB - 4)


def test_its_bytes_are_written_and_not_only_promised(file: Path) -> None:
    grow(str(file), MIB, MIB)
    assert file.stat().st_blocks * 512 >= MIB


def test_a_file_that_is_long_enough_is_left_alone(file: Path) -> None:
    assert not grow(str(file), 4, MIB)
    assert file.read_bytes() == b"kept"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert not grow(str(tmp_path / "none"), MIB, MIB)
    assert list(tmp_path.iterdir()) == []


def test_scarce_room_is_left_to_others(file: Path) -> None:
    free = os.statvfs(file)
    assert not grow(str(file), free.f_bavail * free.f_frsize, MIB)
    assert file.read_bytes() == b"kept"


def test_a_disk_that_fills_up_meanwhile_gets_its_room_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def full(descriptor: int, data: bytes, at: int) -> int:
        if at > MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data, at)

    monkeypatch.setattr("paperpath.system.growing.os.pwrite", full)
    assert not grow(str(file), 4 * MIB, 4 * MIB)
    assert file.read_bytes() == b"kept"


def test_a_disk_that_fails_is_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("paperpath.system.growing.os.fdatasync", broken)
    with pytest.raises(OSError, match="error"):
        grow(str(file), MIB, MIB)
