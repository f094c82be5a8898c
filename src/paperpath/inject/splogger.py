"""splogger: standard input to syslog, a line an entry (qmail-interfaces 18)."""

import os
import syslog

from paperpath.base.digits import leading_digits
from paperpath.inject.command import printable
from paperpath.system import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_BYTES = 799
"""Of one entry: some syslog daemons cut, or did worse to, longer ones."""
_READ_BYTES = 64 * 1024


def main(argv: list[str]) -> int:
    """Write entries until the end of input."""
    tag = argv[1] if len(argv) > 1 else "splogger"
    facility = int(leading_digits(os.fsencode(argv[2]))[:9] or b"0") << 3 if len(argv) > 2 else syslog.LOG_MAIL
    syslog.openlog(tag, 0, facility)
    for line in _lines():
        priority = priority_of(line)
        for text in entries(line, clock.now_microseconds()):
            syslog.syslog(priority, text)
    return 0


def priority_of(line: bytes) -> int:
    """Return the syslog priority that a line asks for by its beginning."""
    if line.startswith(b"alert:"):
        return syslog.LOG_ALERT
    return syslog.LOG_WARNING if line.startswith(b"warning:") else syslog.LOG_INFO


def entries(line: bytes, now_us: int) -> "Iterator[str]":
    """Yield a line's entries under one stamp, those that continue it with ``+``; none for an empty line."""
    stamp = f"{now_us // 1_000_000}.{now_us % 1_000_000:06d}"
    shown = printable(line).decode("ascii")
    for at in range(0, len(shown), _LONGEST_BYTES):
        yield f"{stamp}{'+' if at else ' '}{shown[at : at + _LONGEST_BYTES]}"


def _lines() -> "Iterable[bytes]":
    """Yield lines as they come.  A long one comes in pieces, which the memory of this process is not filled with."""
    rest = b""
    while piece := os.read(0, _READ_BYTES):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _READ_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest
