"""What there is to deliver, and what became of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from paperpath.base.outcome import Outcome
from paperpath.system.files import read_all, read_piece
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Forward

HEADER_MOST_BYTES = 256 * 1024
"""How much of a large message is read to find its own Delivered-To line; loops beyond that are caught by hops."""

_PIECE_BYTES = 1 << 20


class Refused(Exception):
    """This delivery cannot be tried, or goes no further; ``outcome`` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way to one recipient.  It is ``trace``, then ``content`` or what ``source`` holds."""

    recipient: bytes
    sender: bytes
    trace: bytes
    """Whole lines."""
    content: bytes
    """Empty where there is a ``source``."""
    source: int | None
    """Descriptor of a file whose first ``size`` bytes are the content.  Its position is not used."""
    size: int

    def beginning(self) -> bytes:
        """Return the content, or as much of a large one as may hold its header."""
        if self.source is None:
            return self.content
        return read_all(self.source, min(self.size, HEADER_MOST_BYTES))

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole message, a bounded piece at a time."""
        yield self.trace
        yield self.content
        at = 0
        while self.source is not None and at < self.size:
            piece = read_piece(self.source, min(self.size - at, _PIECE_BYTES), at)
            at += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Errand:
    """A message and the account that it is for."""

    account: Account
    message: Message


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an errand.  The forwards are to be committed together with the outcome, or not at all."""

    outcome: Outcome
    forwards: tuple[Forward, ...] = ()
