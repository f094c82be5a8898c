"""Changing a Maildir as one who reads it: opening, moving and removing messages."""

import errno
import os
import stat

_STALE_S = 129_600
"""36 hours: a file in ``tmp`` that nobody looked at for so long belongs to a delivery that was cut off."""


def open_message(path: bytes) -> tuple[int, int]:
    """Return a read-only descriptor of a regular file, and its size.  Raises OSError; a link is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return descriptor, found.st_size
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")


def remove_message(path: bytes) -> None:
    """Remove a message.  Raises OSError.

    Not synced: one that comes back after a power cut is a message that is fetched again.
    """
    os.unlink(path)


def move_message(path: bytes, other: bytes) -> None:
    """Give a message another name in the same Maildir.  Raises OSError."""
    os.rename(path, other)


def clean_tmp(folder: bytes, now: float) -> None:
    """Remove what deliveries that were cut off left in ``tmp``, as far as that can be."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if not entry.name.startswith(b".") and entry.stat(follow_symlinks=False).st_atime + _STALE_S < now:
                os.unlink(entry.path)
        except OSError:
            continue
