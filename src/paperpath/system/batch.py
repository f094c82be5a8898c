"""Many new files made durable together: the hot path of Maildir delivery.

The promise is that of `system.files`, kept for each file: content, name, folder.  Only the order of the steps
differs from one file after the other: the write-out of all is started before the first is waited for, so that
they share the disk's and the journal's work.  fsync is still called on every file and every folder.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from paperpath.system import kernel
from paperpath.system.files import CREATE, copy_content, write_pieces

_CANNOT_RENAME_EXCLUSIVELY = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class FolderNotSynced(OSError):
    """The file is complete and has its name, but whether the name outlives a power cut is not known."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to make, with mode 0600: ``pieces``, then the first ``size`` bytes of the file ``source``, if any."""

    tmp: int
    """Descriptor of the folder in which it is written."""
    new: int
    """Descriptor of the folder, on the same file system, in which it is to appear."""
    name: bytes
    """Its name in both; nobody else's."""
    pieces: tuple[bytes, ...]
    source: int | None = None
    size: int = 0


def create_files_durably(files: Sequence[NewFile]) -> list[OSError | None]:
    """Make each file complete and durable, or not at all; return for each what failed, or None.

    One file's failure does not touch the others.  An existing name is never replaced.  A failed file leaves
    nothing behind, with one exception: where the sync of a ``new`` folder fails, the files are in it and each
    gets ``FolderNotSynced``.  Holds one descriptor a file while it runs: the caller bounds the batch.
    """
    making = [_Making(file) for file in files]
    try:
        for one in making:
            one.write()
        for one in making:
            if one.descriptor is not None:
                kernel.start_writeout(one.descriptor)
        for one in making:
            one.sync()
        for one in making:
            one.publish()
    finally:
        for one in making:
            one.clean()
    _sync_folders(making)
    return [one.failure for one in making]


class _Making:
    """One file on its way.  Each step is skipped once one has failed."""

    __slots__ = ("created", "descriptor", "failure", "file")

    def __init__(self, file: NewFile) -> None:
        self.file = file
        self.descriptor: int | None = None
        self.failure: OSError | None = None
        self.created = False

    def write(self) -> None:
        file = self.file
        try:
            self.descriptor = os.open(file.name, CREATE, 0o600, dir_fd=file.tmp)
            self.created = True
            write_pieces(self.descriptor, file.pieces)
            if file.source is not None:
                copy_content(file.source, self.descriptor, file.size)
        except OSError as error:
            self.failure = error

    def sync(self) -> None:
        descriptor = self.descriptor
        if self.failure is not None or descriptor is None:
            return
        try:
            os.fsync(descriptor)
            self.descriptor = None
            os.close(descriptor)
        except OSError as error:
            self.failure = error

    def publish(self) -> None:
        if self.failure is not None:
            return
        try:
            _move(self.file)
            self.created = False
        except OSError as error:
            self.failure = error

    def clean(self) -> None:
        """Take away what a failure left in ``tmp``: as well as can be, for the failure is known already."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self.descriptor)
        if self.created:
            with contextlib.suppress(OSError):
                os.unlink(self.file.name, dir_fd=self.file.tmp)


def _move(file: NewFile) -> None:
    """Give the file its name in ``new``.  Raises FileExistsError rather than replace one."""
    if kernel.HAS_RENAMEAT2:
        try:
            return kernel.rename_exclusively(file.tmp, file.new, file.name)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME_EXCLUSIVELY:
                raise
    os.link(file.name, file.name, src_dir_fd=file.tmp, dst_dir_fd=file.new, follow_symlinks=False)
    # It is in its place: a second name that stays in tmp is harmless, and readers remove it after 36 hours.
    with contextlib.suppress(OSError):
        os.unlink(file.name, dir_fd=file.tmp)


def _sync_folders(making: list[_Making]) -> None:
    for folder in {one.file.new for one in making if one.failure is None}:
        try:
            os.fsync(folder)
        except OSError as error:
            for one in making:
                if one.file.new == folder and one.failure is None:
                    one.failure = FolderNotSynced(error.errno, error.strerror)
