"""The ``maildirsize`` file of Maildir++: what a mailbox may hold, and what it holds.  Pure.

The first line is the limit, such as ``10000000S,1000C``: bytes and messages, either may be missing.  Every other line
is a change, ``bytes count``, and their sum is what the mailbox holds.
"""

from dataclasses import dataclass

SIZE_FILE_MOST_BYTES = 5120
"""A longer file is written anew, from what the mailbox really holds."""

_NUMBER_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Limits:
    """What a mailbox may hold; 0 is without end."""

    size_bytes: int = 0
    messages: int = 0

    def __str__(self) -> str:
        parts = (f"{self.size_bytes}S" if self.size_bytes else "", f"{self.messages}C" if self.messages else "")
        return ",".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Use:
    """What a mailbox holds."""

    size_bytes: int = 0
    messages: int = 0

    def plus(self, size_bytes: int, messages: int = 1) -> "Use":
        """Return the use after a change."""
        return Use(self.size_bytes + size_bytes, self.messages + messages)

    def fits(self, limits: Limits) -> bool:
        """Tell whether this is within the limits."""
        too_large = limits.size_bytes and self.size_bytes > limits.size_bytes
        return not too_large and not (limits.messages and self.messages > limits.messages)

    def line(self) -> bytes:
        """Return the line of a change by this much."""
        return b"%d %d\n" % (self.size_bytes, self.messages)


@dataclass(frozen=True, slots=True)
class SizeFile:
    """What a file says."""

    first: bytes
    """The first line, which may say more than is understood here."""
    limits: Limits
    use: Use | None
    """None where it has to be counted anew: the file is too long, or holds what is no number."""
    changes: int
    """How many lines the use is the sum of."""


def read_size_file(content: bytes) -> SizeFile:
    """Understand a file, which may be cut off behind ``SIZE_FILE_MOST_BYTES``.

    What the first line says beside the two limits is passed over, as the format asks.
    """
    first, *lines = content.split(b"\n")
    limits = _limits(first)
    if len(content) > SIZE_FILE_MOST_BYTES:
        return SizeFile(first, limits, None, len(lines))
    use, changes = Use(), 0
    for line in lines:
        if line.strip():
            change = [_number(word) for word in line.split()]
            if len(change) != 2 or change[0] is None or change[1] is None:
                return SizeFile(first, limits, None, changes)
            use, changes = use.plus(change[0], change[1]), changes + 1
    known = changes and use.size_bytes >= 0 and use.messages >= 0
    return SizeFile(first, limits, use if known else None, changes)


def _limits(line: bytes) -> Limits:
    found = {b"S": 0, b"C": 0}
    for part in line.split(b","):
        number, kind = _number(part.strip()[:-1]), part.strip()[-1:]
        if kind in found and number is not None and number > 0:
            found[kind] = number
    return Limits(found[b"S"], found[b"C"])


def _number(text: bytes) -> int | None:
    digits = text.removeprefix(b"-")
    return int(text) if digits.isdigit() and len(digits) <= _NUMBER_MOST_DIGITS else None
