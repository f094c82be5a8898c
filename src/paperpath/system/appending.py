"""Appending to files that others append to as well: mboxes."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterable

from paperpath.system.files import sync_folder, write_pieces

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK_S = 0.02
"""How often a lock is tried for: the kernel's own waiting cannot be given up."""


class NotLocked(OSError):
    """Others hold the lock for too long."""


def append_durably(path: bytes, pieces: Iterable[bytes], *, lock_within_s: float, stopped: threading.Event) -> None:
    """Append all pieces under an exclusive flock and sync the file, which is created, mode 0600, where missing.

    An error that happens meanwhile takes back what was appended.  Where locks do not work at all, it goes on
    without one and takes nothing back, for that might be another's.  Raises NotLocked where others hold the
    lock all the time or ``stopped`` is set, OSError for all else.
    """
    descriptor, is_new, locked = _open_locked(path, time.monotonic() + lock_within_s, stopped)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            for piece in pieces:
                write_pieces(descriptor, (piece,))
            os.fsync(descriptor)
            if is_new:
                sync_folder(os.fsdecode(os.path.dirname(os.path.realpath(path))))
        except BaseException:
            if locked:
                os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def append_line(path: str, line: bytes) -> None:
    """Append a line to a file that is there, in one write and without sync: others may do the same.  Raises OSError."""
    descriptor = os.open(path, _APPEND)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _open_locked(path: bytes, end: float, stopped: threading.Event) -> tuple[int, bool, bool]:
    """Return a descriptor of the file that has this name once it is locked, whether it is new, whether it is locked.

    Whoever had the lock may have put another file in its place (maildir2mbox): what is appended to the former one
    nobody would read.
    """
    while True:
        descriptor, is_new = _open(path)
        try:
            locked = _lock(descriptor, end, stopped)
            if _still_has_name(descriptor, path):
                return descriptor, is_new, locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _still_has_name(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _open(path: bytes) -> tuple[int, bool]:
    try:
        return os.open(path, _APPEND), False
    except FileNotFoundError:
        return os.open(path, _APPEND | os.O_CREAT, 0o600), True


def _lock(descriptor: int, end: float, stopped: threading.Event) -> bool:
    """Take the lock; False where there is no such thing here."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end or stopped.wait(_LOOK_S):
                raise NotLocked(errno.EWOULDBLOCK, "another program holds its lock") from None
        except OSError:
            return False
        else:
            return True
