"""The client side of SMTP as qmail-remote speaks it, and the report that it makes of it (qmail-interfaces 12.2, 12.7).

The service sends by `protocol.smtp_client`; this is for what runs qmail-remote itself.  HELO, one step at a time, and
no waiting after QUIT.

A report is a sequence of items that end in NUL: one a recipient (``r`` taken, ``h`` refused, ``s`` not now), then one
of the message (``K`` taken, ``Z`` not now, ``D`` refused).
"""

from enum import Enum, auto

REPLY_MOST_BYTES = 5000
"""Of a server's reply that is told."""

_LF, _CR, _DASH, _ZERO = 10, 13, 45, 48
_UNSIGNED = 1 << 64

PARTIAL_LINE = b"DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0"
UNREADABLE = b"ZUnable to read message. (#4.3.0)\n\0"


class Replies:
    """Puts replies together from whatever pieces they come in."""

    __slots__ = ("_code", "_column", "_is_first_line", "_mark", "text")

    def __init__(self) -> None:
        self.text = bytearray()
        """What the reply says, without its CRs."""
        self._begin()

    def _begin(self) -> None:
        self._code, self._column, self._mark, self._is_first_line = 0, 0, 0, True

    def take(self, byte: int) -> int | None:
        """Take the next byte of the server's; return the code when the reply is complete."""
        if self._is_first_line and not self._column:
            self.text.clear()
        if byte != _CR and len(self.text) < REPLY_MOST_BYTES:
            self.text.append(byte)
        if self._column < 3:
            if self._is_first_line:
                self._code = (self._code * 10 + byte - _ZERO) % _UNSIGNED
            self._column += 1
            return None
        if self._column == 3:
            self._mark = byte
            self._column = 4
        if byte != _LF:
            return None
        if self._mark == _DASH:
            self._column, self._is_first_line = 0, False
            return None
        code = self._code
        self._begin()
        return code


class Step(Enum):
    """What the next reply is to."""

    GREETING = auto()
    HELO = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    CONTENT = auto()
    """The message is to be sent now; no reply is awaited before that is done."""
    END = auto()
    OVER = auto()


class Dialogue:
    """One conversation: one sender, at least one recipient, all written as SMTP writes them."""

    def __init__(self, partner: bytes, helo: bytes, sender: bytes, recipients: list[bytes]) -> None:
        self._partner, self._helo, self._sender, self._recipients = partner, helo, sender, recipients
        self._replies = Replies()
        self._next_recipient = 0
        self._is_anybody_taken = False
        self._input = self._output = b""
        self.step = Step.GREETING
        self.report = b""
        """Complete when the step is OVER."""

    def take_output(self) -> bytes:
        """Return what is to be sent now."""
        output, self._output = self._output, b""
        return output

    def feed(self, data: bytes) -> None:
        """Take what the server sent."""
        self._input += data
        at = 0
        while at < len(self._input) and self.step not in (Step.CONTENT, Step.OVER):
            code = self._replies.take(self._input[at])
            at += 1
            if code is not None:
                self._reply(code)
        # A server that answers before it was asked is heard when it was.
        self._input = self._input[at:]

    def content_sent(self) -> None:
        """Take that all of the message has gone out; what ends it is the next output."""
        self._output += b".\r\n"
        self.step = Step.END
        self.feed(b"")

    def lost(self) -> None:
        """Take that the connection is gone."""
        duplicate = b"Possible duplicate! " if self.step is Step.END else b""
        self.give_up(b"ZConnected to %b but connection died. %b(#4.4.2)\n\0" % (self._partner, duplicate))

    def give_up(self, item: bytes) -> None:
        """End without a word to the server; ``item`` is the message's."""
        self.report += item
        self.step = Step.OVER

    def _reply(self, code: int) -> None:
        step = self.step
        if step is Step.GREETING:
            if code != 220:
                self._quit(b"ZConnected to ", b" but greeting failed")
            else:
                self._say(b"HELO " + self._helo, Step.HELO)
        elif step is Step.HELO:
            if code != 250:
                self._quit(b"ZConnected to ", b" but my name was rejected")
            else:
                self._say(b"MAIL FROM:<" + self._sender + b">", Step.MAIL)
        elif step is Step.MAIL:
            if code >= 400:
                self._quit(_letter(code) + b"Connected to ", b" but sender was rejected")
            else:
                self._ask_recipient()
        elif step is Step.RCPT:
            self._recipient(code)
        elif step is Step.DATA:
            if code >= 400:
                self._quit(_letter(code), b" failed on DATA command")
            else:
                self.step = Step.CONTENT
        elif step is Step.END:
            refused = code >= 400
            self._quit(_letter(code), b" failed after I sent the message" if refused else b" accepted message")

    def _ask_recipient(self) -> None:
        recipient = self._recipients[self._next_recipient]
        self._next_recipient += 1
        self._say(b"RCPT TO:<" + recipient + b">", Step.RCPT)

    def _recipient(self, code: int) -> None:
        if code >= 400:
            letter = b"h" if code >= 500 else b"s"
            self.report += letter + self._partner + b" does not like recipient.\n" + self._said() + b"\0"
        else:
            self.report += b"r\0"
            self._is_anybody_taken = True
        if self._next_recipient < len(self._recipients):
            self._ask_recipient()
        elif self._is_anybody_taken:
            self._say(b"DATA", Step.DATA)
        else:
            self._quit(b"DGiving up on ", b"")

    def _say(self, line: bytes, step: Step) -> None:
        self._output += line + b"\r\n"
        self.step = step

    def _quit(self, before: bytes, after: bytes) -> None:
        self._output += b"QUIT\r\n"
        self.give_up(before + self._partner + after + b".\n" + self._said() + b"\0")

    def _said(self) -> bytes:
        """Return the server's last words, once."""
        text = bytes(self._replies.text).replace(b"\0", b"?")
        self._replies.text.clear()
        return b"Remote host said: " + text if text else b""


def _letter(code: int) -> bytes:
    return b"D" if code >= 500 else b"Z" if code >= 400 else b"K"


def merge(report: bytes) -> bytes:
    """Return what qmail-rspawn makes of a report about one recipient: ``K``, ``Z`` or ``D``, and the text."""
    items = report.split(b"\0")[:-1]
    message = next((item[:1] for item in items if item[:1] in (b"K", b"Z", b"D")), b"D")
    ranks = {b"K": 1, b"Z": 0, b"D": -1}
    letter = {b"s": b"Z", b"h": b"D"}.get(report[:1], message)
    text = items[0][1:] if items else b""
    if items and ranks[message] <= ranks[letter] and len(items) > 1 and items[1][:1] in ranks:
        text += items[1][1:]
    return letter + text
