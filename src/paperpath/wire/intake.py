"""`receive` (and whoever else brings mail) to `queue`: here is a message; and back: it is durable, or try later."""

import msgspec

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.wire.frame import Hello


class Submit(msgspec.Struct, frozen=True, array_like=True, tag="submit", gc=False):
    """One message with its whole envelope.

    Content of more than ``INLINE_CONTENT_BYTES`` comes as a descriptor with the frame (``attached``), else
    inside.
    """

    ticket: int
    """The submitter's own number for this question."""
    sender: bytes
    recipients: tuple[bytes, ...]
    trace: bytes
    """The lines that go before the content, LF at their ends: the Received field and what later stages add."""
    content: bytes
    """Header and body, lines ending in LF; empty where ``attached``."""
    size: int
    """Bytes of content."""
    origin: str
    """Where it came from, for the log: ``smtp 192.0.2.1``."""
    smtputf8: bool = False
    attached: bool = False
    terms: MessageTerms | None = None
    """What the sender asked for beside the delivery."""
    recipient_terms: dict[int, RecipientTerms] = {}
    """The same for recipients, by their place in ``recipients``; few have any."""


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag="accepted", gc=False):
    """Content and envelope are on stable storage."""

    ticket: int
    message: int


class NotAccepted(msgspec.Struct, frozen=True, array_like=True, tag="not-accepted", gc=False):
    """Nothing was stored; always temporary, because it is always our own trouble."""

    ticket: int
    storage_full: bool


FromSubmitter = Hello | Submit
FromQueue = Accepted | NotAccepted
