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


class Reader:
    """Input made of netstrings, as it arrives: a server machine's buffer, and what reads lengths and commas off it.

    What is wrong with a length does not depend on how the input was cut.
    """

    __slots__ = ("_buffer", "_left", "bytes_in")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0
        """Bytes that are still to come of the netstring that is being read."""
        self.bytes_in = 0

    @property
    def buffered_bytes(self) -> int:
        """Input that waits."""
        return len(self._buffer)

    def _read_length(self, most_bytes: int = DIGITS_MOST + 1) -> int | None:
        """Take a length and its colon off the buffer, which must fit into so many bytes; None where they have not come
        yet.  Raises NetstringError."""
        window = min(DIGITS_MOST + 1, most_bytes)
        digits, colon, _ = bytes(self._buffer[:window]).partition(b":")
        if digits.translate(None, b"0123456789") or (colon and not digits):
            raise NetstringError("a length that is no number")
        if not colon:
            if len(digits) == window:
                raise NetstringError("a length without its colon")
            return None
        del self._buffer[: len(digits) + 1]
        self._left = int(digits)
        return self._left

    def _take(self) -> bytes:
        """Take what there is of the netstring off the buffer."""
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(taken)
        return taken

    def _take_comma(self) -> bool:
        """Take the comma off the buffer; False where it has not come yet.  Raises NetstringError."""
        if not self._buffer:
            return False
        if self._buffer[:1] != b",":
            raise NetstringError("a netstring without its comma")
        del self._buffer[:1]
        return True


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
