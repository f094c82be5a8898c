"""Netstrings, ``12:hello world!,``: how QMQP, QMTP and our own injecting programs mark lengths (qmail-interfaces 14.1).

Imports nothing: programs that live for milliseconds use it.
"""

DIGITS_MOST = 10
"""Digits of a length that are read at all; what is allowed is less, and the caller's to say."""


class NetstringError(ValueError):
    """These bytes are not a netstring."""


def netstring(data: bytes) -> bytes:
    """Return ``data`` with its length before it and a comma behind it."""
    return b"%d:%b," % (len(data), data)


def length(digits: bytes) -> int:
    """Return the length that stands before a colon.  Raises NetstringError for what is no number."""
    if not digits or len(digits) > DIGITS_MOST or digits.translate(None, b"0123456789"):
        raise NetstringError(f"not the length of a netstring: {digits[:DIGITS_MOST]!r}")
    return int(digits)


def split(data: bytes) -> list[bytes]:
    """Return the contents of netstrings that follow one another and fill ``data``.  Raises NetstringError."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        colon = data.find(b":", at, at + DIGITS_MOST + 1)
        if colon < 0:
            raise NetstringError("a length without its colon")
        end = colon + 1 + length(data[at:colon])
        if data[end : end + 1] != b",":
            raise NetstringError("a netstring without its comma")
        found.append(data[colon + 1 : end])
        at = end + 1
    return found
