"""Content of messages on its way to a POP3 client (RFC 1939 3): line ends made CR LF, dots stuffed, cut for TOP.

All of it works on pieces, cut anywhere, and keeps none of them.
"""

from typing import Final

_LF: Final = 10


class Stuffer:
    """Makes stored lines, which end in LF, fit to be sent.

    Lines stored with CR LF stay as they are.  The line after the last has to be a dot, so one without its end gets it.
    """

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""  # a CR whose LF may come with the next piece

    def feed(self, data: bytes) -> bytes:
        """Return what is to be sent for the next piece."""
        data = self._held + data
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        if not data:
            return b""
        first_dot = b"." if self._at_line_start and data.startswith(b".") else b""
        self._at_line_start = data[-1] == _LF
        lines = data.replace(b"\r\n", b"\n").replace(b"\n.", b"\n..")
        return first_dot + lines.replace(b"\n", b"\r\n")

    def finish(self) -> bytes:
        """Return what ends the message."""
        held, self._held = self._held, b""
        return held + (b".\r\n" if self._at_line_start and not held else b"\r\n.\r\n")


class Top:
    """Takes from a message its header, the empty line and the first ``lines`` lines of its body."""

    __slots__ = ("_begun", "_in_header", "_left")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._in_header = True
        self._begun = b""  # the first bytes of the line that is being read: enough to tell an empty one

    @property
    def done(self) -> bool:
        """Whether nothing of what follows is wanted."""
        return not self._in_header and self._left <= 0

    def take(self, data: bytes) -> bytes:
        """Return as much of the next piece as belongs to it."""
        at = 0
        while at < len(data) and not self.done:
            end = data.find(b"\n", at)
            line = data[at:] if end < 0 else data[at:end]
            self._begun = (self._begun + line[:2])[:2]
            if end < 0:
                return data
            at = end + 1
            self._end_line()
        return data[:at]

    def _end_line(self) -> None:
        if self._in_header:
            self._in_header = self._begun not in {b"", b"\r"}
        else:
            self._left -= 1
        self._begun = b""
