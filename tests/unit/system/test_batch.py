"""A batch of new files: each complete and durable or not there, and none touched by another's failure."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paperpath.system import files, kernel
from paperpath.system.batch import FolderNotSynced, NewFile, create_files_durably


class Box:
    """Two folders as in a Maildir, open."""

    def __init__(self, path: Path) -> None:
        for name in ("tmp", "new"):
            (path / name).mkdir(parents=True)
        self.path = path
        self.tmp, self.new = files.open_folder(str(path / "tmp")), files.open_folder(str(path / "new"))

    def file(self, name: bytes, *pieces: bytes, **more: Any) -> NewFile:
        return NewFile(self.tmp, self.new, name, pieces, **more)

    def content(self) -> dict[str, bytes]:
        assert list((self.path / "tmp").iterdir()) == []
        return {file.name: file.read_bytes() for file in (self.path / "new").iterdir()}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box")
    yield box
    os.close(box.tmp)
    os.close(box.new)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "other")
    yield box
    os.close(box.tmp)
    os.close(box.new)


@pytest.fixture(params=["rename", "link", "refused"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file gets its name: by the exclusive rename, or by link where the C library or file system lacks it."""
    if request.param == "link":
        monkeypatch.setattr(kernel, "HAS_RENAMEAT2", False)
    elif request.param == "refused":
        monkeypatch.setattr(kernel, "rename_exclusively", failing(errno.EINVAL))
    return str(request.param)


def failing(error: int) -> Callable[..., Any]:
    def call(*_arguments: Any, **_more: Any) -> Any:
        raise OSError(error, os.strerror(error))

    return call


def test_all_files_are_made(box: Box, way: str) -> None:
    made = create_files_durably([box.file(b"a", b"one", b"two"), box.file(b"b"), box.file(b"c", b"three")])
    assert made == [None, None, None]
    assert box.content() == {"a": b"onetwo", "b": b"", "c": b"three"}
    assert stat.S_IMODE((box.path / "new/a").stat().st_mode) == 0o600


def test_empty_batch() -> None:
    assert create_files_durably([]) == []


def test_existing_name_is_never_replaced(box: Box, way: str) -> None:
    (box.path / "new/a").write_bytes(b"former")
    made = create_files_durably([box.file(b"a", b"mine"), box.file(b"b", b"other")])
    assert isinstance(made[0], FileExistsError) and made[1] is None
    assert box.content() == {"a": b"former", "b": b"other"}


def test_other_writers_file_in_tmp_is_left_alone(box: Box) -> None:
    (box.path / "tmp/a").write_bytes(b"theirs")
    made = create_files_durably([box.file(b"a", b"mine")])
    assert isinstance(made[0], FileExistsError)
    assert (box.path / "tmp/a").read_bytes() == b"theirs"


def test_source_follows_the_pieces(box: Box, tmp_path: Path) -> None:
    source = files.create_spool_file(str(tmp_path))
    os.write(source, b"y" * 200_000 + b"not this")
    made = create_files_durably([box.file(b"a", b"x\n", source=source, size=200_000)])
    os.close(source)
    assert made == [None]
    assert box.content() == {"a": b"x\n" + b"y" * 200_000}


def test_source_that_is_too_short_fails_alone(box: Box, tmp_path: Path) -> None:
    source = files.create_spool_file(str(tmp_path))
    made = create_files_durably([box.file(b"a", b"x", source=source, size=1), box.file(b"b", b"fine")])
    os.close(source)
    assert made[0] is not None and made[0].errno == errno.EIO and made[1] is None
    assert box.content() == {"b": b"fine"}


@pytest.mark.parametrize("step", ["writev", "fsync", "close"])
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_one_failure_does_not_touch_the_others(
    box: Box, monkeypatch: pytest.MonkeyPatch, step: str, victim: int
) -> None:
    real, count = getattr(os, step), -1

    def fails_once(descriptor: int, *more: Any) -> Any:
        nonlocal count
        count += 1
        if count == victim:
            if step == "close":
                real(descriptor)
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, *more)

    monkeypatch.setattr(os, step, fails_once)
    made = create_files_durably([box.file(name, name) for name in (b"a", b"b", b"c")])
    monkeypatch.undo()
    assert [failure is not None for failure in made] == [at == victim for at in range(3)]
    assert box.content() == {name: name.encode() for at, name in enumerate("abc") if at != victim}


def test_no_descriptor_is_left_open(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")
    create_files_durably([box.file(b"a", b"x"), box.file(b"a", b"y")])
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    create_files_durably([box.file(b"b", b"x"), box.file(b"c", b"y")])
    assert os.listdir("/proc/self/fd") == before


def test_folder_that_cannot_be_synced_fails_its_files_only(
    box: Box, other: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def broken(descriptor: int) -> None:
        if descriptor == box.new:
            raise OSError(errno.EIO, "disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    made = create_files_durably([box.file(b"a", b"1"), other.file(b"b", b"2"), box.file(b"c", b"3")])
    assert isinstance(made[0], FolderNotSynced) and isinstance(made[2], FolderNotSynced) and made[1] is None


def test_each_file_is_synced_before_its_name_and_each_folder_once_after(
    box: Box, other: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_sync, real_rename = os.fsync, kernel.rename_exclusively

    def sync(descriptor: int) -> None:
        steps.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real_sync(descriptor)

    def rename(old: int, new: int, name: bytes) -> None:
        steps.append("name " + name.decode())
        real_rename(old, new, name)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(kernel, "rename_exclusively", rename)
    create_files_durably([box.file(b"a", b"1"), other.file(b"b", b"2"), box.file(b"c", b"3")])
    assert steps[:3] == ["sync a", "sync b", "sync c"]
    assert steps[3:6] == ["name a", "name b", "name c"]
    assert steps[6:] == ["sync new", "sync new"]


def test_name_left_in_tmp_after_the_link_is_no_failure(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "HAS_RENAMEAT2", False)
    monkeypatch.setattr(os, "unlink", failing(errno.EIO))
    assert create_files_durably([box.file(b"a", b"1")]) == [None]
    assert (box.path / "new/a").read_bytes() == b"1"
