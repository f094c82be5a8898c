"""What qmail-popup and qmail-pop3d share with each other and with nobody else: how they read a command, how they count,
and how they send a message (qmail-interfaces 15).

`protocol.pop3` reads and sends otherwise: it follows RFC 1939 where these follow qmail.
"""

_NUMBER_BITS = 64
_DIGITS = b"0123456789"


def split_command(line: bytes) -> tuple[bytes, bytes]:
    """Return name, in lower case, and argument of a line without its LF: up to a NUL, without one CR at its end."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]
    name, _, argument = line.partition(b" ")
    return name.lower(), argument.lstrip(b" ")


def leading_number(text: bytes) -> tuple[int | None, bytes]:
    """Return the number that a text begins with, as C counts, and the rest; None where there is none."""
    rest = text.lstrip(_DIGITS)
    digits = text[: len(text) - len(rest)]
    if not digits:
        return None, text
    number = 0
    for at in range(0, len(digits), 18):  # int() refuses to read thousands of digits at once
        part = digits[at : at + 18]
        number = (number * 10 ** len(part) + int(part)) % (1 << _NUMBER_BITS)
    return number, rest


class Sending:
    """A message on its way: lines end in CR LF, dots are stuffed, and an empty line stands before the last dot.

    ``limit`` is one more than the lines of the body that are wanted; 0: all are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_header = True
        self._at_line_start = True
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Return what is to be sent for the next piece."""
        if self._limit:
            data = self._wanted(data)
        if not data:
            return b""
        first_dot = b"." if self._at_line_start and data.startswith(b".") else b""
        self._at_line_start = data.endswith(b"\n")
        return first_dot + data.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")

    def finish(self) -> bytes:
        """Return what ends the message."""
        return (b"" if self._at_line_start else b"\r\n") + b"\r\n.\r\n"

    def _wanted(self, data: bytes) -> bytes:
        """Return as much of a piece as the limit leaves."""
        at, begins = 0, self._at_line_start
        while at < len(data):
            if begins and not self._in_header:
                self._limit -= 1
                if not self._limit:
                    self.done = True
                    return data[:at]
            end = data.find(b"\n", at) + 1
            if begins and end == at + 1:
                self._in_header = False
            if not end:
                break
            at, begins = end, True
        return data
