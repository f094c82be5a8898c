"""Making a file longer before that is needed: a sync of bytes that have their place already writes no metadata."""

import errno
import os

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PIECE = bytes(1024 * 1024)
_ROOM_FACTOR = 8
"""Free space, in sizes of the file as it is to be, below which it is left to grow by itself."""


def grow(path: str, size: int, step: int) -> bool:
    """Write up to ``step`` bytes of zeros, synced, behind the end of an existing file, until it has ``size`` bytes.

    Return whether there is more to do.  There is not, and the file is as it was, where room is scarce or the file is
    not there.  Raises OSError where the disk fails.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return _grow(descriptor, size, step)
    finally:
        os.close(descriptor)


def _grow(descriptor: int, size: int, step: int) -> bool:
    before = os.fstat(descriptor).st_size
    free = os.fstatvfs(descriptor)
    if before >= size or free.f_bavail * free.f_frsize < size * _ROOM_FACTOR:
        return False
    end = min(size, before + step)
    try:
        at = before
        while at < end:
            at += os.pwrite(descriptor, _PIECE[: end - at], at)
        os.fdatasync(descriptor)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        os.ftruncate(descriptor, before)
        return False
    return end < size
