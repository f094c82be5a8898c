"""What serialmail's clients share: a message of a Maildir as qmail-local leaves it there (qmail-interfaces 20.3)."""

import os

from paperpath.inject.command import printable, reason
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

RETURN_PATH = b"Return-Path: <"
DELIVERED_TO = b"Delivered-To: "
WRITE_S = 73
_ANSWER_MOST_BYTES = 2000
_READ_BYTES = 4096
_LINE_MOST_BYTES = 64 * 1024


class Broken(Exception):
    """The conversation cannot go on; the text says why."""


def envelope(file: "BufferedReader") -> tuple[bytes, bytes] | None:
    """Return sender and recipient, read from the two lines that a message begins with; None where it does not."""
    first, second = file.readline(), file.readline()
    if not first.startswith(RETURN_PATH) or not first.endswith(b">\n"):
        return None
    if not second.startswith(DELIVERED_TO) or not second.endswith(b"\n"):
        return None
    return first[len(RETURN_PATH) : -2], second[len(DELIVERED_TO) : -1]


def names(descriptor: int) -> "Iterator[bytes]":
    """Yield what stands on a descriptor, each up to its NUL, as soon as it is there."""
    rest = b""
    while data := os.read(descriptor, _READ_BYTES):
        *found, rest = (rest + data).split(b"\0")
        yield from found


def answer(name: bytes, letter: bytes, text: bytes) -> bytes:
    """Return what maildirserial is told of a message: its name, ``K``, ``Z`` or ``D``, and what the server said."""
    address = os.environb.get(b"TCPREMOTEIP")
    line = letter + (address + b" said: " if address is not None else b"") + text
    return name + b"\0" + printable(line[:_ANSWER_MOST_BYTES]) + b"\n"


class Peer:
    """A server on descriptors 6 and 7, as tcpclient leaves it (UCSPI)."""

    def __init__(self, read_s: int) -> None:
        self._read_s, self._input = read_s, b""

    def write(self, data: bytes) -> None:
        """Send everything.  Raises Broken."""
        try:
            helpers.write_within(7, data, WRITE_S)
        except OSError as error:
            raise Broken(f"network write error: {reason(error) or 'timed out'}") from None

    def line(self) -> bytes:
        """Return the next line without its end.  Raises Broken."""
        while b"\n" not in self._input:
            if len(self._input) > _LINE_MOST_BYTES:
                raise Broken("protocol violation")
            self._read()
        line, _, self._input = self._input.partition(b"\n")
        return line.removesuffix(b"\r")

    def exactly(self, count: int) -> bytes:
        """Return so many bytes.  Raises Broken."""
        while len(self._input) < count:
            self._read()
        data, self._input = self._input[:count], self._input[count:]
        return data

    def beginning(self, count: int) -> bytes:
        """Take so many bytes, and return the first of them.  Raises Broken."""
        kept = self.exactly(min(count, _ANSWER_MOST_BYTES))
        count -= len(kept)
        while count:
            count -= len(self.exactly(min(count, _READ_BYTES)))
        return kept

    def _read(self) -> None:
        try:
            data = helpers.read_within(6, _READ_BYTES, self._read_s)
        except OSError as error:
            raise Broken(f"network read error: {reason(error) or 'timed out'}") from None
        if not data:
            raise Broken("network read error: end of file")
        self._input += data
