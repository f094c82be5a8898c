"""Replies of an SMTP server (RFC 5321 4.2), read by a client that believes nothing.

Lenient where servers are known to be careless (a line may end in LF alone, text may hold any byte) and strict where
a mistake would make one reply pass for another: three digits, one code for all lines of a reply, bounded in both
directions.  What breaks the rules is an error, and the caller's answer to it is "try again later".
"""

import re

import msgspec

from paperpath.base.text import one_line, show

LINE_MOST_BYTES = 2048
"""RFC 5321 4.5.3.1.5 asks for 512; four times that is still no burden."""

LINES_MOST = 100
"""Of one reply; the longest EHLO answers seen have some twenty."""

TEXT_MOST = 450
"""Characters of a reply that are kept for the log and the report."""

# RFC 5321 4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\n]*)|\r)?\n")
# RFC 3463 2, RFC 2034 4: status-code = class "." subject "." detail, at the start of the text.
_ENHANCED = re.compile(rb"([245])\.([0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")


class ReplyError(ValueError):
    """What came is not a reply; nothing after it can be understood either."""


class PeerReply(msgspec.Struct, frozen=True, gc=False):
    """One reply: its code and its lines of text, as bytes from a stranger."""

    code: int
    kind: int
    """The first digit of the code, which decides."""
    lines: tuple[bytes, ...]

    def enhanced(self) -> str:
        """Return subject and detail of the enhanced status, or nothing where it is missing or of another class."""
        found = _ENHANCED.match(self.lines[0])
        if found is None or found[1][0] - 48 != self.kind:
            return ""
        return found[2].decode()

    def text(self, note: str = "") -> str:
        """Return code and words, fit for a log line and bounded, with ``note`` behind them."""
        return one_line(f"{self.code} {show(b' '.join(self.lines))}", TEXT_MOST) + note


class ReplyReader:
    """Collects bytes as they arrive and cuts them into replies."""

    __slots__ = ("_at", "_code", "_data", "_lines")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._code = b""
        self._lines: tuple[bytes, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting: no byte, and no line of an unfinished reply."""
        return self._at == len(self._data) and not self._lines

    def add(self, data: bytes) -> None:
        """Take what arrived."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def next(self) -> PeerReply | None:
        """Return the next whole reply, or None where more bytes are needed.  Raises ReplyError."""
        while (found := _LINE.match(self._data, self._at)) is not None:
            code, mark, text = found.groups()
            self._check(found.end() - self._at, code)
            self._at = found.end()
            self._lines += (b"" if text is None else text.rstrip(b"\r"),)
            if mark != b"-":
                lines, self._lines, self._code = self._lines, (), b""
                number = int(code)
                return PeerReply(number, number // 100, lines)
            self._code = code
        self._check_rest()
        return None

    def _check(self, length: int, code: bytes) -> None:
        if length > LINE_MOST_BYTES:
            raise ReplyError("a line of the reply is too long")
        if len(self._lines) >= LINES_MOST:
            raise ReplyError("the reply has too many lines")
        if self._code and code != self._code:
            raise ReplyError("the lines of one reply have different codes")

    def _check_rest(self) -> None:
        """What is left begins no line that could still become one: say so now instead of waiting."""
        rest = len(self._data) - self._at
        if self._data.find(b"\n", self._at) >= 0:
            start = show(self._data[self._at : self._at + 80])
            raise ReplyError(one_line(f"not a reply: {start}", 200))
        if rest > LINE_MOST_BYTES:
            raise ReplyError("a line of the reply is too long")
