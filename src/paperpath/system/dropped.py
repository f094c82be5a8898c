"""The drop folder, on its reader's side.

Every name in it may be anybody's work: a link to another's file, a pipe that never answers, a folder.  Only a regular
file with one name is opened to be read, never through a link.
"""

import errno
import os
import pwd
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from paperpath.system.files import sync_folder

MODE = 0o3733
"""Any user may add a file (not read, not list, not touch another's); its group becomes the reader's, who reads it."""

_ASIDE = ".bad"
_UNFINISHED = ".new-"
_UNFINISHED_S = 36 * 3600
"""After which a file that was never completed is removed: qmail's patience."""
_PART_BYTES = 256 * 1024
_NO_MESSAGE = {errno.ELOOP, errno.EACCES, errno.ENXIO, errno.ENODEV}
"""What opening says of a link, of what its owner keeps to himself, of a socket and of a device.  Any other trouble,
such as no room for a descriptor, is ours, and says nothing about what lies there."""


class NotAMessage(Exception):
    """What lies there is not a message; the text says why."""


class Dropped:
    """A file that is open; ``uid`` left it."""

    def __init__(self, descriptor: int, uid: int) -> None:
        self._descriptor = descriptor
        self.uid = uid

    def __enter__(self) -> "Dropped":
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)

    def parts(self) -> Iterator[bytes]:
        """Yield the content in order.  Raises OSError."""
        while part := os.read(self._descriptor, _PART_BYTES):
            yield part


def make_folder_for(uid: int, path: str, mode: int) -> None:
    """Make a folder where it is missing, such as this one, for the user who is to own it.  Raises OSError.

    One that cannot be given to that user does not stay: the next start would take it for the right one.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    try:
        if uid != os.geteuid():
            os.chown(path, uid, pwd.getpwuid(uid).pw_gid)
        os.chmod(path, mode)
    except OSError as error:
        os.rmdir(path)
        reason = f"cannot be made for user id {uid} ({error.strerror}): run `paperpath init --system`"
        raise OSError(error.errno, reason, path) from error


def list_dropped(folder: str) -> list[str]:
    """Return the names of what is complete, the oldest first; unfinished files of long ago are removed.

    Raises OSError.
    """
    found: list[tuple[int, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if not entry.name.startswith("."):
                    found.append((status.st_mtime_ns, entry.name))
                elif entry.name.startswith(_UNFINISHED) and status.st_mtime < time.time() - _UNFINISHED_S:
                    with suppress(OSError):
                        os.unlink(entry.path)
    return [name for _, name in sorted(found)]


def open_dropped(folder: str, name: str) -> Dropped:
    """Open what lies there under this name.

    Raises NotAMessage, FileNotFoundError where it has gone, and OSError where that cannot be told now.
    """
    try:
        # Not to wait at a pipe, nor to become the owner of a terminal.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(f"{folder}/{name}", flags)
    except OSError as error:
        if error.errno not in _NO_MESSAGE:
            raise
        raise NotAMessage(f"it cannot be opened: {error.strerror}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        raise NotAMessage("it is not a regular file with one name")
    return Dropped(descriptor, status.st_uid)


def remove_dropped(folder: str, name: str) -> None:
    """Take away a message that the queue has, durably: after a power cut it must not be taken again."""
    os.unlink(f"{folder}/{name}")
    sync_folder(folder)


def set_aside(folder: str, name: str) -> str:
    """Move what is no message to where it is not looked at again; return that place.  Raises OSError."""
    aside = f"{folder}/{_ASIDE}"
    with suppress(FileExistsError):
        os.mkdir(aside, 0o700)
    os.rename(f"{folder}/{name}", f"{aside}/{name}")
    return f"{aside}/{name}"
