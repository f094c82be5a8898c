"""Large content: files of the store's content folder, synced before any row names them."""

import contextlib
import os

from paperpath.system.files import copy_descriptor, open_to_read, read_some
from paperpath.system.removal import remove_if_there


class Contents:
    """The folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def take(self, name: str, descriptor: int, size: int) -> None:
        """Copy a submitted file in, durable with its name; blocks for as long as the disk needs.

        Raises OSError, with ENOSPC or EDQUOT where there is no room.
        """
        copy_descriptor(descriptor, os.path.join(self._folder, name), size)

    def discard(self, name: str) -> None:
        """Remove a file that no row names: its message was not accepted."""
        with contextlib.suppress(OSError):  # what stays is an orphan, removed at the next opening
            remove_if_there(os.path.join(self._folder, name))

    def open(self, name: str) -> int:
        """Return a descriptor to read from."""
        return open_to_read(os.path.join(self._folder, name))

    def head(self, name: str, most: int) -> bytes:
        """Return the first ``most`` bytes."""
        descriptor = self.open(name)
        try:
            return read_some(descriptor, most)
        finally:
            os.close(descriptor)
