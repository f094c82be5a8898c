"""`paperpath queue …` to `queue`: look and operate.  Every request gets exactly one of its answers."""

import msgspec

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.wire.frame import Hello

PAGE_MOST = 500
"""Messages in one page of a listing: bounds the memory and the time of one answer."""


class RecipientView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One unfinished recipient as an operator sees it.  Times are seconds since the epoch."""

    number: int
    address: bytes
    channel: str
    destination: str
    state: str
    """``waiting``, ``under-way`` or ``held``."""
    due: int
    attempts: int
    last: str
    """What the last attempt came to; empty before the first."""
    terms: RecipientTerms | None = None


class HistoryView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened to a message."""

    at: int
    text: str


class MessageView(msgspec.Struct, frozen=True, array_like=True, tag="message", gc=False):
    """One message of the queue."""

    message: int
    sender: bytes
    birth: int
    size: int
    origin: str
    held: bool
    recipient_count: int
    recipients: tuple[RecipientView, ...] = ()
    """Only where one message was asked for; at most ``PAGE_MOST``."""
    history: tuple[HistoryView, ...] = ()
    terms: MessageTerms | None = None


class ListMessages(msgspec.Struct, frozen=True, array_like=True, tag="list", gc=False):
    """Messages after ``after`` in order of age, at most ``PAGE_MOST``; filters match anywhere, case folded."""

    after: int = 0
    sender: bytes = b""
    recipient: bytes = b""
    destination: str = ""
    held_only: bool = False


class ShowMessage(msgspec.Struct, frozen=True, array_like=True, tag="show", gc=False):
    """One message with its recipients and its history."""

    message: int


class ReadContent(msgspec.Struct, frozen=True, array_like=True, tag="content", gc=False):
    """Trace and the first ``most`` bytes of content of one message."""

    message: int
    most: int


class Operate(msgspec.Struct, frozen=True, array_like=True, tag="operate", gc=False):
    """Do ``verb`` (``hold``, ``release``, ``retry``, ``remove``) to these messages; none named: to all."""

    verb: str
    messages: tuple[int, ...]
    operator: str
    """Who asked, for the log."""


class Statistics(msgspec.Struct, frozen=True, array_like=True, tag="stats", gc=False):
    """Numbers of the queue."""


class Page(msgspec.Struct, frozen=True, array_like=True, tag="page", gc=False):
    """Answer to a listing; ``more`` tells that another page follows the last message here."""

    messages: tuple[MessageView, ...]
    more: bool


class Content(msgspec.Struct, frozen=True, array_like=True, tag="content-is", gc=False):
    """Answer to ``ReadContent``."""

    trace: bytes
    content: bytes
    size: int


class Why(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why one recipient waits, in words, with the moment when that changes (0: when an operator says so)."""

    number: int
    address: bytes
    reason: str
    until: int


class ExplainWait(msgspec.Struct, frozen=True, array_like=True, tag="why", gc=False):
    """Why does this message wait?"""

    message: int


class Waits(msgspec.Struct, frozen=True, array_like=True, tag="waits", gc=False):
    """Answer to ``ExplainWait``."""

    recipients: tuple[Why, ...]


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done", gc=False):
    """Answer to ``Operate``: how many messages it touched."""

    touched: int


class Numbers(msgspec.Struct, frozen=True, array_like=True, tag="numbers", gc=False):
    """Answer to ``Statistics``."""

    messages: int
    recipients: int
    held: int
    under_way: int
    due: int
    deferred: int
    oldest_birth: int
    """Seconds since the epoch; 0 where the queue is empty."""
    content_bytes: int


class NoSuchMessage(msgspec.Struct, frozen=True, array_like=True, tag="no-such-message", gc=False):
    """The message is not in the queue: delivered, failed or removed, or it never was."""

    message: int


class Trouble(msgspec.Struct, frozen=True, array_like=True, tag="trouble", gc=False):
    """The request could not be carried out now."""

    reason: str


Request = ListMessages | ShowMessage | ReadContent | ExplainWait | Operate | Statistics
FromOperator = Hello | Request
FromQueue = Page | MessageView | Content | Waits | Done | Numbers | NoSuchMessage | Trouble
