"""What the SMTP server machine tells its shell, and what it asks.

A question stops the machine until `ServerSession.answer` is called once; a notice does not.  The values are msgspec
structs, because a session makes a dozen of them and a frozen data class costs ten times as much to make.
"""

import msgspec

from paperpath.base.reply import Reply
from paperpath.base.terms import RecipientTerms
from paperpath.protocol.smtp_parameters import Asked


class SenderGiven(msgspec.Struct, frozen=True, gc=False):
    """MAIL: may this sender begin a transaction?  A positive answer begins it."""

    address: bytes
    """Unquoted; empty for the null reverse-path."""
    size: int = 0
    """Octets announced with SIZE (RFC 1870), 0 where the client did not say."""
    smtputf8: bool = False
    body: str = "7BIT"
    """``7BIT`` or ``8BITMIME`` (RFC 6152)."""
    asked: Asked | None = None
    """What it asks for beside the delivery."""


class RecipientGiven(msgspec.Struct, frozen=True, gc=False):
    """RCPT: is this recipient welcome?  A positive answer adds it."""

    address: bytes
    """Unquoted; without ``@`` where the client named no domain."""
    terms: RecipientTerms | None = None
    """NOTIFY and ORCPT, where there is one of them."""


class ContentStart(msgspec.Struct, frozen=True, gc=False):
    """DATA, or the first BDAT: may the content come?

    The answer to DATA is sent as it is (``R354_START_INPUT`` to go on).  For BDAT a positive answer is not sent,
    because the chunk is already on its way; a refusal is sent when the chunk has been swallowed.
    """


class ContentEnd(msgspec.Struct, frozen=True, gc=False):
    """The content is complete; the answer is the reply to the whole message and ends the transaction."""

    size: int
    """Bytes of decoded content, the sum of all parts."""


class ContentPart(msgspec.Struct, frozen=True, gc=False):
    """Decoded content: CR LF made LF, dots unstuffed.  As large as the input it came from."""

    data: bytes


class ClientTold(msgspec.Struct, frozen=True, gc=False):
    """XCLIENT: may this client say for whom it speaks?  Call `ServerSession.start_over` before a positive answer."""

    address: str | None
    """Of whom it speaks for, as it wrote it; empty: it does not know it; None: it did not say, nothing changes."""
    name: bytes | None
    helo: bytes | None
    esmtp: bool
    login: bytes = b""
    """Which account it is, as whoever it came through found out; empty: none."""


class TlsBegins(msgspec.Struct, frozen=True, gc=False):
    """STARTTLS: write what `take_output` returns, shake hands, then call `ServerSession.start_over`.

    Until then whatever is fed is thrown away.
    """


class AuthGiven(msgspec.Struct, frozen=True, gc=False):
    """AUTH: 334 with a challenge goes on, 235 lets the client in (set ``authenticated_at`` before), others refuse."""

    mechanism: str
    """In upper case; one of those offered."""
    initial: bytes | None
    """The initial response; None where there is none."""


class AuthResponse(msgspec.Struct, frozen=True, gc=False):
    """The response to the last challenge; answered as `AuthGiven`."""

    data: bytes


class AuthCancelled(msgspec.Struct, frozen=True, gc=False):
    """The exchange is over without a word from the shell."""


class TransactionDropped(msgspec.Struct, frozen=True, gc=False):
    """The transaction is over without a message: throw away what was gathered."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The machine itself refused a command or a message; ``reply`` is queued already."""

    reply: Reply
    reason: str
    """One of a fixed set of phrases, fit for a counter's label."""


class Closing(msgspec.Struct, frozen=True, gc=False):
    """Always the last event: write what `take_output` returns, then close the connection."""

    reason: str


Question = SenderGiven | RecipientGiven | ContentStart | ContentEnd | ClientTold | AuthGiven | AuthResponse
Event = Question | ContentPart | TlsBegins | AuthCancelled | TransactionDropped | Refusal | Closing
