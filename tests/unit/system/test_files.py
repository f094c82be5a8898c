"""Durable files: what is there afterwards, in which order it was synced, and what an error leaves behind."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paperpath.system import files


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls that make things durable, with the file they were about, as they happen."""
    seen: list[str] = []

    def recording(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            about = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "fsync" else str(arguments[-1])
            seen.append(f"{name} {os.path.basename(about)}")
            return real(*arguments, **more)

        return call

    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, recording(name, getattr(os, name)))
    return seen


def fail(error: int) -> Callable[..., Any]:
    def call(*_arguments: Any, **_more: Any) -> Any:
        raise OSError(error, os.strerror(error))

    return call


def test_written_file_has_its_content_and_exactly_its_mode(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        files.write_file_durably(str(tmp_path / "a"), b"one", 0o644)
    finally:
        os.umask(former)
    assert (tmp_path / "a").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_content_then_name_then_folder(tmp_path: Path, calls: list[str]) -> None:
    files.write_file_durably(str(tmp_path / "a"), b"one")
    assert len(calls) == 3
    assert calls[0].startswith("fsync .new-")
    assert calls[1:] == ["rename a", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize(
    ("write", "step"),
    [
        (files.write_file_durably, "writev"),
        (files.write_file_durably, "fsync"),
        (files.write_file_durably, "rename"),
        (files.replace_file, "writev"),
        (files.replace_file, "rename"),
    ],
)
def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str, bytes, int], None], step: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        write(str(tmp_path / "a"), b"new", 0o600)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_failed_fsync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def broken(_descriptor: int) -> None:
        nonlocal count
        count += 1
        raise OSError(errno.EIO, "disk")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk"):
        files.write_file_durably(str(tmp_path / "a"), b"new")
    assert count == 1


def test_folders_are_made_with_their_mode_and_parents_synced(tmp_path: Path, calls: list[str]) -> None:
    former = os.umask(0o077)
    try:
        files.make_folders_durably(str(tmp_path / "a/b"), 0o750)
    finally:
        os.umask(former)
    assert [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("a", "a/b")] == [0o750, 0o750]
    assert calls == [f"fsync {tmp_path.name}", "fsync a"]


def test_what_is_made_is_for_its_owner_alone_unless_told_otherwise(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        files.make_folders_durably(str(tmp_path / "a/b"))
        files.write_file_durably(str(tmp_path / "c"), b"")
    finally:
        os.umask(former)
    modes = [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("a", "a/b", "c")]
    assert modes == [0o700, 0o700, 0o600]


def test_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o711)
    files.make_folders_durably(str(tmp_path / "a"), 0o700)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o711


def test_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files.make_folders_durably(str(tmp_path / "a"))


def test_rename_syncs_both_folders(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from/a").write_bytes(b"x")
    files.rename_durably(str(tmp_path / "from/a"), str(tmp_path / "to/b"))
    assert calls == ["rename b", "fsync to", "fsync from"]


def test_rename_within_a_folder_syncs_it_once(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "a").write_bytes(b"x")
    files.rename_durably(str(tmp_path / "a"), str(tmp_path / "b"))
    assert calls == ["rename b", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize("supported", [True, False])
def test_spool_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    real = os.open

    def without_tmpfile(path: str, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no")
        return real(path, flags, *more, **named)

    if not supported:
        monkeypatch.setattr(os, "open", without_tmpfile)
    descriptor = files.create_spool_file(str(tmp_path))
    try:
        os.write(descriptor, b"hello")
        assert os.listdir(tmp_path) == []
        assert files.read_all(descriptor, 5) == b"hello"
    finally:
        os.close(descriptor)


def test_spool_file_in_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.create_spool_file(str(tmp_path / "nowhere"))


@pytest.fixture
def spooled(tmp_path: Path) -> Any:
    """A spool file of 300,000 bytes whose position is somewhere in the middle, as after others used it."""
    descriptor = files.create_spool_file(str(tmp_path))
    os.write(descriptor, bytes(range(250)) * 1200)
    os.lseek(descriptor, 1234, os.SEEK_SET)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("way", ["copy_file_range", "sendfile"])
def test_copy_is_exact_and_leaves_the_shared_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spooled: int, way: str
) -> None:
    if way == "sendfile":
        monkeypatch.setattr(os, "copy_file_range", fail(errno.EXDEV))
    files.copy_descriptor(spooled, str(tmp_path / "copy"), 299_999, 0o640)
    assert (tmp_path / "copy").read_bytes() == (bytes(range(250)) * 1200)[:299_999]
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o640
    assert os.lseek(spooled, 0, os.SEEK_CUR) == 1234


def test_copy_syncs_the_file_before_its_folder(tmp_path: Path, calls: list[str], spooled: int) -> None:
    files.copy_descriptor(spooled, str(tmp_path / "copy"), 10)
    assert calls == ["fsync copy", f"fsync {tmp_path.name}"]


def test_copy_of_a_file_that_is_too_short_fails_and_leaves_nothing(tmp_path: Path, spooled: int) -> None:
    with pytest.raises(OSError, match="ends after 300000 of 300001"):
        files.copy_descriptor(spooled, str(tmp_path / "copy"), 300_001)
    assert os.listdir(tmp_path) == []


def test_copy_never_replaces(tmp_path: Path, spooled: int) -> None:
    (tmp_path / "copy").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        files.copy_descriptor(spooled, str(tmp_path / "copy"), 10)
    assert (tmp_path / "copy").read_bytes() == b"mine"


def test_copy_error_other_than_cannot_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spooled: int
) -> None:
    monkeypatch.setattr(os, "copy_file_range", fail(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        files.copy_descriptor(spooled, str(tmp_path / "copy"), 10)
    assert os.listdir(tmp_path) == []


def test_reading_more_than_there_is_fails(spooled: int) -> None:
    with pytest.raises(OSError, match="ends after"):
        files.read_all(spooled, 300_001)


@pytest.mark.parametrize("sizes", [[3, 0, 5], [1] * 1500, []])
@pytest.mark.parametrize("most", [1, 4, 1 << 20])
def test_pieces_are_written_whole_whatever_the_kernel_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], most: int
) -> None:
    pieces = [bytes([at % 251]) * size for at, size in enumerate(sizes)]
    real_write = os.write
    monkeypatch.setattr(os, "writev", lambda fd, data: real_write(fd, b"".join(data)[:most]))
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:most]))
    with (tmp_path / "a").open("wb") as file:
        files.write_pieces(file.fileno(), pieces)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)
