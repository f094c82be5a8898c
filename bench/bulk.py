"""One message to very many recipients, in one pipelined transaction (RFC 2920)."""

import socket
import time
from collections.abc import Iterator
from typing import BinaryIO, Final

from bench.errors import BenchError

_WINDOW: Final = 1000
"""Commands sent before their replies are read: both directions fit into the sockets' buffers."""

_REPLY_S: Final = 120


def send(port: int, domain: str, recipients: int) -> float:
    """Send one small message to `recipients` addresses at `domain`; return the seconds from MAIL to the last reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=_REPLY_S) as connection:
        # One segment a window; without this each one would wait for the acknowledgement of the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as replies:
            _expect(replies, b"2")
            connection.sendall(b"EHLO load.test\r\n")
            if b"PIPELINING" not in _expect(replies, b"2").upper():
                raise BenchError("the server does not announce PIPELINING")
            began_s = time.monotonic()
            connection.sendall(b"MAIL FROM:<sender@load.test>\r\n")
            _expect(replies, b"2")
            for count, commands in _windows(domain, recipients):
                connection.sendall(commands)
                for _ in range(count):
                    _expect(replies, b"2")
            connection.sendall(b"DATA\r\n")
            _expect(replies, b"3")
            connection.sendall(b"From: sender@load.test\r\nSubject: to everybody\r\n\r\nHello.\r\n.\r\n")
            _expect(replies, b"2")
            took_s = time.monotonic() - began_s
            connection.sendall(b"QUIT\r\n")
    return took_s


def _windows(domain: str, recipients: int) -> Iterator[tuple[int, bytes]]:
    """Yield the RCPT commands in windows, each with its number of commands."""
    for start in range(0, recipients, _WINDOW):
        numbers = range(start, min(start + _WINDOW, recipients))
        yield len(numbers), b"".join(b"RCPT TO:<r%d@%s>\r\n" % (number, domain.encode()) for number in numbers)


def _expect(replies: BinaryIO, code: bytes) -> bytes:
    """Read one reply, all its lines; raises BenchError when its code does not begin with `code`."""
    lines = b""
    while True:
        line = replies.readline()
        lines += line
        if not line.startswith(code):
            raise BenchError(f"unexpected reply: {lines!r}")
        if line[3:4] != b"-":
            return lines
