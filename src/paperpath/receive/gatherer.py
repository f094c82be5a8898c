"""The content of one message while it arrives: in memory while it is small, then in a file without a name."""

import errno
import os

from paperpath.base.limits import HOPS_MOST, INLINE_CONTENT_BYTES
from paperpath.message.header import count_hops
from paperpath.system.descriptors import descriptors_most
from paperpath.system.files import create_spool_file, read_all, read_some, write_pieces

_HEADER_MOST_BYTES = 256 * 1024
"""How far into a spooled message hops are counted: a header beyond that has other troubles."""


HELD_MOST_BYTES = 64 * 1024 * 1024
"""Content in memory, of all sessions of the process: beyond that even small messages wait in files for their end, so
that ten thousand clients that stop in the middle cost files and no memory."""
_HELD_LEAST_BYTES = 16 * 1024
"""What one session may always hold in memory: a file costs more."""
_DESCRIPTORS_LEFT = 50
"""Descriptors that files of messages leave free: for the process itself, and so that `accept` never fails."""


class _Memory:
    """What all gatherers of this process hold."""

    held = 0


class Gatherer:
    """Collects parts.  A message that fits a frame costs no file, as long as there is memory."""

    __slots__ = ("_descriptor", "_folder", "_held", "_parts", "size")

    def __init__(self, spool_folder: str) -> None:
        self._folder = spool_folder
        self._parts: list[bytes] = []
        self._held = 0
        self._descriptor: int | None = None
        self.size = 0

    def add(self, part: bytes) -> None:
        """Take a part.  Raises OSError where it cannot be spooled; nothing may be added after that."""
        self._parts.append(part)
        self._held += len(part)
        self.size += len(part)
        _Memory.held += len(part)
        if self.size > INLINE_CONTENT_BYTES:
            if self._descriptor is None:
                self._descriptor = self._create()
            if self._held >= INLINE_CONTENT_BYTES:
                self._spill(self._descriptor)
        if _Memory.held > HELD_MOST_BYTES and self._held >= _HELD_LEAST_BYTES:
            if self._descriptor is None:
                self._descriptor = self._create()
            self._spill(self._descriptor)

    def finish(self) -> tuple[bytes, int | None]:
        """Return the content, or a descriptor of the file that holds it (still ours to close, with ``drop``)."""
        if self._descriptor is None:
            return b"".join(self._parts), None
        self._spill(self._descriptor)
        if self.size > INLINE_CONTENT_BYTES:
            return b"", self._descriptor
        content = read_all(self._descriptor, self.size)
        self.drop()
        return content, None

    def is_looping(self, content: bytes) -> bool:
        """Tell, after ``finish``, whether the message went through more servers than any honest one does."""
        head = content if self._descriptor is None else read_some(self._descriptor, _HEADER_MOST_BYTES)
        return count_hops(b"", head) >= HOPS_MOST

    def replace(self, descriptor: int) -> None:
        """Hold another file in the place of what ``finish`` returned."""
        self.drop()
        self._descriptor = descriptor

    def drop(self) -> None:
        """Let go of everything."""
        self._let_go()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _create(self) -> int:
        descriptor = create_spool_file(self._folder)
        if descriptor >= descriptors_most() - _DESCRIPTORS_LEFT:  # the kernel gives out the lowest that is free
            os.close(descriptor)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return descriptor

    def _spill(self, descriptor: int) -> None:
        write_pieces(descriptor, self._parts)
        self._let_go()

    def _let_go(self) -> None:
        self._parts.clear()
        _Memory.held -= self._held
        self._held = 0
