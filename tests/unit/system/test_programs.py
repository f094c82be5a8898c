"""Users' programs: input, output, how they end, and those that do not want to."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paperpath.system import programs
from paperpath.system.files import create_spool_file
from paperpath.system.programs import Ended, message_to_read, run_unwatched, run_watched

MESSAGE = b"Subject: x\n\nhello\n"


@pytest.fixture
def message() -> Iterator[int]:
    descriptor = message_to_read((MESSAGE,), None, len(MESSAGE))
    yield descriptor
    os.close(descriptor)


def watched(command: bytes, folder: Path, message: int, **changes: Any) -> Ended:
    given: dict[str, Any] = {
        "environment": {b"PATH": os.environb[b"PATH"], b"WORD": b"a\xff"},
        "timeout_s": 60.0,
        "output_most_bytes": 1000,
        "stopped": threading.Event(),
    }
    return run_watched(command, folder=str(folder), message=message, **(given | changes))


@pytest.mark.parametrize("size", [0, 100, 300_000])
def test_message_is_a_file_of_its_own(tmp_path: Path, size: int) -> None:
    source = create_spool_file(str(tmp_path))
    os.write(source, b"y" * size + b"not this")
    descriptor = message_to_read((b"trace\n", b""), source, size)
    os.close(source)
    assert os.read(descriptor, size + 100) == b"trace\n" + b"y" * size
    assert os.lseek(descriptor, 0, os.SEEK_SET) == 0
    with pytest.raises(OSError, match="Bad file"):
        os.write(descriptor, b"x")
    os.close(descriptor)


def test_program_gets_message_folder_and_environment(tmp_path: Path, message: int) -> None:
    ended = watched(b'cat; echo "$WORD"; pwd -P; echo too >&2', tmp_path, message)
    assert ended == Ended(0, MESSAGE + b"a\xff\n" + os.fsencode(tmp_path.resolve()) + b"\ntoo\n")


@pytest.mark.parametrize(
    ("command", "status"), [(b"exit 99", 99), (b"kill -KILL $$", -signal.SIGKILL), (b"no-such", 127)]
)
def test_status(tmp_path: Path, message: int, command: bytes, status: int) -> None:
    assert watched(command, tmp_path, message).status == status


def test_broken_pipe_ends_a_program(tmp_path: Path, message: int) -> None:
    assert watched(b"yes | head -n 1; kill -PIPE $$", tmp_path, message) == Ended(-signal.SIGPIPE, b"y\n")


def test_flood_is_read_and_dropped(tmp_path: Path, message: int) -> None:
    ended = watched(b"head -c 3000000 /dev/zero; echo x > done", tmp_path, message)
    assert ended == Ended(0, b"\0" * 1000)
    assert (tmp_path / "done").exists()


def test_program_that_closes_its_output_is_waited_for(tmp_path: Path, message: int) -> None:
    assert watched(b"exec >&- 2>&-; sleep 0.3; exit 3", tmp_path, message).status == 3


def test_time_limit(tmp_path: Path, message: int) -> None:
    assert not watched(b"sleep 1000", tmp_path, message, timeout_s=0.1).in_time


@pytest.fixture
def stopped_after_begin(tmp_path: Path) -> Iterator[threading.Event]:
    """An event that is set as soon as there is a file ``begun``."""
    stopped, over = threading.Event(), threading.Event()

    def look() -> None:
        while not (tmp_path / "begun").exists() and not over.wait(0.01):
            pass
        stopped.set()

    thread = threading.Thread(target=look)
    thread.start()
    yield stopped
    over.set()
    thread.join()


def test_program_and_its_children_are_ended(tmp_path: Path, message: int, stopped_after_begin: threading.Event) -> None:
    command = b"echo begun; sleep 1000 & echo $! > child; : > begun; wait"
    ended = watched(command, tmp_path, message, stopped=stopped_after_begin)
    assert ended == Ended(-signal.SIGTERM, b"begun\n", in_time=False)
    assert _ends(int((tmp_path / "child").read_text()))


def test_program_that_ignores_term_is_killed(
    tmp_path: Path, message: int, stopped_after_begin: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_TERM_GRACE_S", 0.2)
    command = b"trap '' TERM; sleep 1000 & echo $! > child; : > begun; wait; wait"
    ended = watched(command, tmp_path, message, stopped=stopped_after_begin)
    assert ended == Ended(-signal.SIGKILL, b"", in_time=False)
    assert _ends(int((tmp_path / "child").read_text()))


def test_process_left_behind_is_not_waited_for(tmp_path: Path, message: int) -> None:
    ended = watched(b"sleep 1000 & echo $! > child; echo done", tmp_path, message)
    assert ended == Ended(0, b"done\n")
    child = int((tmp_path / "child").read_text())
    assert _lives(child)
    os.kill(child, signal.SIGKILL)


def test_what_cannot_be_started(tmp_path: Path, message: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="nowhere"):
        watched(b"true", tmp_path / "nowhere", message)
    monkeypatch.setattr(programs, "_SHELL", b"/no/shell")
    with pytest.raises(OSError, match="shell"):
        watched(b"true", tmp_path, message)


def test_nothing_is_left_open(tmp_path: Path, message: int) -> None:
    before = os.listdir("/proc/self/fd")
    watched(b"true", tmp_path, message)
    watched(b"sleep 1000", tmp_path, message, timeout_s=0.1)
    assert os.listdir("/proc/self/fd") == before


def test_unwatched_program_speaks_for_itself(tmp_path: Path, message: int, capfd: pytest.CaptureFixture[str]) -> None:
    environment = {b"PATH": os.environb[b"PATH"]}
    ended = run_unwatched(b"cat; exit 7", folder=str(tmp_path), environment=environment, message=message)
    assert ended == Ended(7, None)
    assert capfd.readouterr().out.encode() == MESSAGE


def _lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not reaped by its new parent yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _ends(pid: int) -> bool:
    """Tell whether a process that was sent a signal ends of it, which may take it a moment on a busy machine."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], 30)[0])
    finally:
        os.close(pidfd)
