"""Reading a message as qmail-smtpd does (qmail-interfaces 13.4): CR LF is a line end, a lone LF the end of everything.

A CR without LF stays as it is.  A dot that begins a line is removed, unless a CR follows it.
"""

_HELD_MOST_BYTES = 64 * 1024
_DOT = ord(".")


class StrayLineEnd(Exception):
    """There is an LF without its CR."""


class Data:
    """One message while it comes."""

    __slots__ = ("_in_header", "_in_line", "_left", "hops", "is_complete", "is_too_large")

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes``: how much it may have after decoding; 0: as much as it likes."""
        self._left = most_bytes if most_bytes else None
        self._in_header, self._in_line = True, False
        self.hops = 0
        """How many fields of its header say that it has been somewhere."""
        self.is_complete = self.is_too_large = False

    def take(self, data: bytearray) -> bytes:
        """Take from the front of ``data`` what is complete; return what it decodes to.

        Nothing comes back where there is nothing more, or where the message is over.  Raises StrayLineEnd.
        """
        while not self.is_complete:
            end = data.rfind(b"\n") + 1
            if not end:
                return self._take_part(data)
            block = bytes(data[:end])
            taken, piece = self._block(block)
            del data[:taken]
            counted = self._count(piece)
            if counted:
                return counted
        return b""

    def _take_part(self, data: bytearray) -> bytes:
        """Take the beginning of a line that does not end, so that it does not grow in memory."""
        if len(data) <= _HELD_MOST_BYTES:
            return b""
        part = bytes(data[:-1])
        del data[:-1]
        if not self._in_line:
            self._look_at(part)
            part = _undotted(part)
        self._in_line = True
        return self._count(part)

    def _block(self, block: bytes) -> tuple[int, bytes]:
        """Return how much of some lines has been read, and what it decodes to."""
        is_plain = not self._in_header and not self._in_line and block[0] != _DOT and b"\n." not in block
        if is_plain and block.count(b"\n") == block.count(b"\r\n"):
            return len(block), block.replace(b"\r\n", b"\n")
        lines, at = [], 0
        while at < len(block):
            end = block.index(b"\n", at)
            line = block[at:end]
            at = end + 1
            if line[-1:] != b"\r":
                raise StrayLineEnd
            if line == b".\r" and not self._in_line:
                self.is_complete = True
                break
            if not self._in_line:
                self._look_at(line)
                line = _undotted(line)
            self._in_line = False
            lines.append(line[:-1] + b"\n")
        return at, b"".join(lines)

    def _look_at(self, line: bytes) -> None:
        if self._in_header:
            self._in_header = line != b"\r"
            self.hops += line[:8].lower() == b"received" or line[:9].lower() == b"delivered"

    def _count(self, piece: bytes) -> bytes:
        """Return a piece that the message may have; nothing once it is too large."""
        if self._left is None:
            return piece
        self._left -= len(piece)
        self.is_too_large |= self._left < 0
        return b"" if self.is_too_large else piece


def _undotted(line: bytes) -> bytes:
    return line[1:] if line[:1] == b"." and line[1:2] != b"\r" else line
