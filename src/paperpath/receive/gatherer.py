"""The content of one message while it arrives: in memory while it is small, then in a file without a name."""

import os

from paperpath.base.limits import HOPS_MOST, INLINE_CONTENT_BYTES
from paperpath.message.header import count_hops
from paperpath.system.files import create_spool_file, read_some, write_pieces

_HEADER_MOST_BYTES = 256 * 1024
"""How far into a spooled message hops are counted: a header beyond that has other troubles."""


class Gatherer:
    """Collects parts.  A message that fits a frame costs no file."""

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
        if self.size > INLINE_CONTENT_BYTES:
            if self._descriptor is None:
                self._descriptor = create_spool_file(self._folder)
            if self._held >= INLINE_CONTENT_BYTES:
                self._spill(self._descriptor)

    def finish(self) -> tuple[bytes, int | None]:
        """Return the content, or a descriptor of the file that holds it (still ours to close, with ``drop``)."""
        if self._descriptor is None:
            return b"".join(self._parts), None
        self._spill(self._descriptor)
        return b"", self._descriptor

    def is_looping(self, content: bytes) -> bool:
        """Tell, after ``finish``, whether the message went through more servers than any honest one does."""
        head = content if self._descriptor is None else read_some(self._descriptor, _HEADER_MOST_BYTES)
        return count_hops(b"", head) >= HOPS_MOST

    def replace(self, descriptor: int) -> None:
        """Hold another file in the place of the one that ``finish`` returned."""
        self.drop()
        self._descriptor = descriptor

    def drop(self) -> None:
        """Let go of everything."""
        self._parts.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _spill(self, descriptor: int) -> None:
        write_pieces(descriptor, self._parts)
        self._parts.clear()
        self._held = 0
