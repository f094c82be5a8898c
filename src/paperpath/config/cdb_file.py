"""A cdb file that is looked into again and again: read anew where it was replaced."""

import errno
import os

from paperpath.base.cdb import Cdb

_MOST_BYTES = 256 * 1024 * 1024


class CdbFile:
    """One file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._cdb = Cdb(bytes(2048))

    def load(self) -> Cdb | None:
        """Return what it holds now, or None where there is no such file.

        Raises OSError, and ValueError where it is no cdb: both are temporary.
        """
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        state = (found.st_mtime_ns, found.st_ino, found.st_size)
        if state != self._state:
            self._cdb, self._state = self._read(), state
        return self._cdb

    def _read(self) -> Cdb:
        # Not mapped: a file that somebody cuts short would then kill this process.
        with open(self.path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), self.path)
        return Cdb(data)
