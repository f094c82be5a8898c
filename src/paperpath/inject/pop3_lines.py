"""The conversation of qmail-popup and qmail-pop3d with a client, on standard input and output (qmail-interfaces 15)."""

from paperpath.protocol.qmail_pop3 import split_command
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 1200
_READ_BYTES = 4096
_LINE_MOST_BYTES = 1 << 20
"""qmail's lines end where memory does."""


class Gone(Exception):
    """The client is: it hung up, is silent, or does not read."""


def commands() -> "Iterator[tuple[bytes, bytes]]":
    """Yield name and argument of each command, until the end of input.  Raises Gone."""
    held = b""
    while True:
        line, lf, rest = held.partition(b"\n")
        if lf:
            held = rest
            yield split_command(line)
            continue
        try:
            data = helpers.read_within(0, _READ_BYTES, TIMEOUT_S)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        held += data
        if len(held) > _LINE_MOST_BYTES:
            fail(b"out of memory")
            raise Gone


def say(text: bytes) -> None:
    """Write something.  Raises Gone."""
    try:
        helpers.write_within(1, text, TIMEOUT_S)
    except OSError:
        raise Gone from None


def okay(text: bytes = b"") -> None:
    """Say yes.  Raises Gone."""
    say(b"+OK %b\r\n" % text)


def fail(text: bytes) -> None:
    """Say no.  Raises Gone."""
    say(b"-ERR %b\r\n" % text)
