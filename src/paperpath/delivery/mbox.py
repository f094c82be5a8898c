"""Delivery into an mbox, as qmail writes it (mboxrd): quoted so that readers can take the quotes away again."""

import re
from collections.abc import Iterable, Iterator

from paperpath.delivery.environment import from_line
from paperpath.delivery.errand import Message
from paperpath.message.trace import delivered_to, return_path

_LOOKS_LIKE_FROM_LINE = re.compile(rb"^(?=>*+From )", re.MULTILINE)


def mbox_pieces(message: Message, now: int) -> Iterator[bytes]:
    """Yield what is appended for a message that arrived at ``now`` seconds."""
    yield from_line(message.sender, now) + return_path(message.sender) + delivered_to(message.recipient)
    yield from quoted(message.pieces())
    yield b"\n"


def quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same text in whole lines, each that begins like a From_ line with one more ``>`` before it.

    A last line without its end gets one.
    """
    rest = b""
    for piece in pieces:
        lines, end, begun = (rest + piece).rpartition(b"\n")
        rest = begun
        if end:
            yield _quote(lines + end)
    if rest:
        yield _quote(rest) + b"\n"


def _quote(lines: bytes) -> bytes:
    return _LOOKS_LIKE_FROM_LINE.sub(b">", lines) if b"From " in lines else lines
