"""What the SMTP client machine is given and what it says."""

from enum import IntEnum, auto

import msgspec

from paperpath.base import limits
from paperpath.base.outcome import Deferred, Outcome
from paperpath.base.terms import MessageTerms, RecipientTerms

CONNECTION_LOST = "4.2"  # RFC 3463 3.5: bad connection
PROTOCOL_ERROR = "5.0"  # RFC 3463 3.6


class Phase(IntEnum):
    """What the client waits for."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    UPGRADING = auto()
    READY = auto()
    RESET = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    CONTENT = auto()
    END_OF_DATA = auto()
    EMPTY_END = auto()
    QUIT = auto()
    CLOSED = auto()


class Limit(msgspec.Struct, frozen=True, gc=False):
    """How long a phase may last, in seconds, and how the log calls what was waited for."""

    seconds: float
    words: str


TLS_HANDSHAKE_S = 30
"""No RFC names one; handshakes that work take a few round trips."""
IDLE_S = 5
"""How long a connection waits for more mail: a burst for one destination leaves shorter gaps, and RFC 5321 is
silent on it; servers begin to mind at ten seconds or more."""
QUIT_S = 5
"""The answer to QUIT changes nothing, so there is no use in waiting long."""

LIMITS = {
    Phase.GREETING: Limit(limits.CLIENT_GREETING_S, "the greeting"),  # RFC 5321 4.5.3.2.1
    # RFC 5321 names none for EHLO; as for MAIL, which is as simple a question.
    Phase.EHLO: Limit(limits.CLIENT_MAIL_S, "the reply to EHLO"),
    Phase.HELO: Limit(limits.CLIENT_MAIL_S, "the reply to HELO"),
    Phase.STARTTLS: Limit(limits.CLIENT_MAIL_S, "the reply to STARTTLS"),
    Phase.UPGRADING: Limit(TLS_HANDSHAKE_S, "the TLS handshake"),
    Phase.READY: Limit(IDLE_S, "more mail"),
    Phase.RESET: Limit(limits.CLIENT_MAIL_S, "the reply to RSET"),
    Phase.MAIL: Limit(limits.CLIENT_MAIL_S, "the reply to MAIL"),  # RFC 5321 4.5.3.2.2
    Phase.RCPT: Limit(limits.CLIENT_RCPT_S, "the reply to RCPT"),  # RFC 5321 4.5.3.2.3
    Phase.DATA: Limit(limits.CLIENT_DATA_S, "the reply to DATA"),  # RFC 5321 4.5.3.2.4
    Phase.CONTENT: Limit(limits.CLIENT_BLOCK_S, "room to send the content"),  # RFC 5321 4.5.3.2.5
    Phase.END_OF_DATA: Limit(limits.CLIENT_END_OF_DATA_S, "the reply to the end of data"),  # RFC 5321 4.5.3.2.6
    Phase.EMPTY_END: Limit(limits.CLIENT_END_OF_DATA_S, "the reply to the end of data"),
    Phase.QUIT: Limit(QUIT_S, "the reply to QUIT"),
    Phase.CLOSED: Limit(QUIT_S, "nothing"),
}

HANDSHAKE = frozenset({Phase.GREETING, Phase.EHLO, Phase.HELO, Phase.STARTTLS, Phase.UPGRADING})
"""Phases before the first transaction: a failure here is the host's, not the message's."""

TRANSACTION = frozenset(
    {Phase.RESET, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT, Phase.END_OF_DATA, Phase.EMPTY_END}
)


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """One message for one or more recipients."""

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes | None
    """Trace lines and content, lines ending in LF; None where the machine's owner sends it in blocks."""
    size: int
    """Bytes of the whole, as stored."""
    eight_bit: bool
    """Whether the content may hold bytes above 127."""
    smtputf8: bool = False
    """Whether the message needs RFC 6531 whatever its addresses look like."""
    terms: MessageTerms | None = None
    """What the sender asked for."""
    recipient_terms: tuple[RecipientTerms | None, ...] = ()
    """The same for recipients, in their order; empty where nobody asks for anything."""
    left_s: int = 0
    """How many seconds are left to deliver it by (RFC 2852)."""


class Capabilities(msgspec.Struct, frozen=True, gc=False):
    """What the server offers."""

    pipelining: bool = False
    size: bool = False
    size_most: int = 0
    """Largest message it takes, in bytes; 0: it does not say (RFC 1870 3)."""
    eight_bit: bool = False
    smtputf8: bool = False
    chunking: bool = False
    starttls: bool = False
    enhanced_codes: bool = False
    dsn: bool = False
    require_tls: bool = False
    deliver_by: bool = False
    deliver_by_least_s: int = 0
    """The least time that it takes for what is to be returned afterwards (RFC 2852 3); 0: any."""
    mt_priority: bool = False
    mails_most: int = 0
    """Transactions on one connection (RFC 9422 4.1); here and below 0: it does not say."""
    recipients_most: int = 0
    """Recipients of one transaction (RFC 9422 4.2)."""
    recipient_domains_most: int = 0
    """Domains among them (RFC 9422 4.3)."""


class Ready(msgspec.Struct, frozen=True, gc=False):
    """The connection can carry a transaction."""


class Upgrade(msgspec.Struct, frozen=True, gc=False):
    """Begin the TLS handshake now, then call ``tls_started`` (or ``lost``)."""


class SendContent(msgspec.Struct, frozen=True, gc=False):
    """Send the content, encoded by `DataEncoder`, with its end; then call ``content_sent``."""


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The transaction is over: one outcome for every recipient, in their order."""

    outcomes: tuple[Outcome, ...]
    untouched: bool = False
    """The server was gone before it said anything about this transaction: on a connection that was used before, the
    ordinary end of its patience, and no reason to defer anything."""


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The server did not get as far as taking mail: try the next address; nothing was sent."""

    outcome: Deferred


Event = Ready | Upgrade | SendContent | Finished | Refused
