"""A scanner for the header of a message, on bytes with LF line ends.

Nothing is decoded and nothing is repaired: a header ends at the first empty line, a field is a line that
begins with a name and a colon, and what is neither is passed over.  Every function is linear in the header
and does not touch the body.
"""

import re
from collections.abc import Iterator

# RFC 5322 3.6.8: ftext is any printable ASCII but the colon; 4.5.8: blanks may stand before the colon.
# 2.2.3: a line that begins with a blank continues the field before it.
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)

ADDRESS_FIELDS = frozenset(
    b"bcc cc from reply-to resent-bcc resent-cc resent-from resent-sender resent-to sender to".split()
)
"""Names, in lower case, of the fields that an author fills with addresses."""


def header_end(content: bytes) -> int:
    """Return the offset just past the header, before the empty line; all of it where there is none."""
    if content.startswith(b"\n"):
        return 0
    end = content.find(b"\n\n")
    return len(content) if end < 0 else end + 1


def count_hops(trace: bytes, content: bytes) -> int:
    """Return how many Received and Delivered-To lines stand in ``trace`` and in the header of ``content``.

    RFC 5321 6.3 counts them to find loops.  Folded lines are not counted: they begin with a blank.
    """
    lines = (b"\n" + trace + content[: header_end(content)]).lower()
    return lines.count(b"\nreceived:") + lines.count(b"\ndelivered-to:")


def fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and raw value of every field, in order.

    The name is as written; the value is all that follows the colon, folds and blanks too, less the last LF.
    """
    for match in _FIELD.finditer(header):
        yield match[1], match[2]
