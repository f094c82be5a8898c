"""Appending to mboxes: the lock, the sync, and taking back what failed."""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.system.appending import NotLocked, append_durably


def append(path: Path, *pieces: bytes, lock_within_s: float = 30.0, stopped: threading.Event | None = None) -> None:
    append_durably(os.fsencode(path), pieces, lock_within_s=lock_within_s, stopped=stopped or threading.Event())


def test_new_file(tmp_path: Path) -> None:
    append(tmp_path / "box", b"a\n", b"b\n")
    assert (tmp_path / "box").read_bytes() == b"a\nb\n"
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o600


def test_file_that_is_there_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"former\n")
    (tmp_path / "box").chmod(0o640)
    append(tmp_path / "box", b"a\n")
    assert (tmp_path / "box").read_bytes() == b"former\na\n"
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o640


def test_everything_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    append(tmp_path / "box", b"a\n")
    append(tmp_path / "box", b"a\n")
    assert synced == ["box", tmp_path.name, "box"]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    with (tmp_path / "box").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield tmp_path / "box"


def test_lock_of_another_is_waited_for_so_long_and_no_longer(held: Path) -> None:
    with pytest.raises(NotLocked):
        append(held, b"a\n", lock_within_s=0.1)
    assert held.read_bytes() == b""


def test_waiting_can_be_given_up(held: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(NotLocked):
        append(held, b"a\n", stopped=stopped)


def test_lock_that_is_let_go_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "box").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=append, args=(tmp_path / "box", b"a\n"))
        thread.start()
        fcntl.flock(other, fcntl.LOCK_UN)
        thread.join(30)
    assert (tmp_path / "box").read_bytes() == b"a\n"


@pytest.mark.parametrize("there_is_another", [True, False])
def test_file_that_was_replaced_while_its_lock_was_waited_for(tmp_path: Path, there_is_another: bool) -> None:
    box, tried = tmp_path / "box", threading.Event()

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            tried.set()
            return super().wait(timeout)

    with box.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=append, args=(box, b"a\n"), kwargs={"stopped": Waiting()})
        thread.start()
        assert tried.wait(30)
        if there_is_another:
            (tmp_path / "new").write_bytes(b"moved\n")
            (tmp_path / "new").rename(box)
        else:
            box.unlink()
    thread.join(30)
    assert box.read_bytes() == (b"moved\na\n" if there_is_another else b"a\n")


def failing() -> Iterator[bytes]:
    yield b"first\n"
    raise OSError(errno.EIO, "cannot read")


def test_failure_takes_back_what_was_appended(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"former\n")
    with pytest.raises(OSError, match="cannot read"):
        append_durably(os.fsencode(tmp_path / "box"), failing(), lock_within_s=1, stopped=threading.Event())
    assert (tmp_path / "box").read_bytes() == b"former\n"


def test_without_locks_it_is_appended_and_nothing_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    append(tmp_path / "box", b"a\n")
    with pytest.raises(OSError, match="cannot read"):
        append_durably(os.fsencode(tmp_path / "box"), failing(), lock_within_s=1, stopped=threading.Event())
    assert (tmp_path / "box").read_bytes() == b"a\nfirst\n"


def test_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "box")
    with pytest.raises(OSError, match="No such device"):
        append(tmp_path / "box", b"a\n")
