"""What all SMTP server sessions of one kind share, with the replies that follow from it made once."""

from dataclasses import dataclass, field
from typing import Final

from paperpath.base.dates import iso8601

HOLD_MOST_S: Final = 30 * 86400
"""The furthest future release (RFC 4865) that is taken: a month of somebody else's mail is enough to look after."""

_LIMIT_MOST: Final = 999_999
"""RFC 9422 4: six digits; whoever takes more need not say so."""

_XCLIENT: Final = b"XCLIENT NAME ADDR PORT PROTO HELO"
"""The attributes that mean something everywhere; LOGIN does where clients log in."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What all sessions of one kind share."""

    hostname: bytes
    message_size_bytes: int
    """The largest content taken, counted as it is stored (LF line ends), and the value of SIZE in EHLO's reply."""
    recipients_most: int
    """Of one message; announced with LIMITS (RFC 9422 4.2): who sends as many ``RCPT`` gets none refused for that."""
    extensions: tuple[bytes, ...] = (
        b"PIPELINING",
        b"SIZE %d",
        b"8BITMIME",
        b"ENHANCEDSTATUSCODES",
        b"SMTPUTF8",
        b"CHUNKING",
        b"DSN",
        b"LIMITS %l",
    )
    """Lines of EHLO's reply; ``%d`` becomes the size, ``%l`` the limits."""
    starttls: bool = False
    """Whether TLS can be begun where it is not there yet: there is a certificate."""
    xclient: bool = False
    """Whether the client may say for whom it speaks (Postfix's XCLIENT)."""
    xclient_login: bool = False
    """Whether it may say as which account too."""
    mechanisms: tuple[bytes, ...] = ()
    """What AUTH takes (RFC 4954), the best first; empty: there is no AUTH."""
    mechanisms_in_clear: tuple[bytes, ...] = ()
    """Those of them that are taken without TLS too."""
    lmtp: bool = False
    """LMTP (RFC 2033): LHLO in the place of EHLO and HELO, and a reply for each recipient to the content."""
    messages_most: int = 0
    """In one session (RFC 9422 4.1); 0: any number."""
    commands_most: int = 0
    """Commands in a row that bring no message on before the session ends; 0: any number."""
    greeting: bytes = field(init=False, repr=False)
    helo_reply: bytes = field(init=False, repr=False)
    ehlo_reply: bytes = field(init=False, repr=False)
    """To a client without TLS that has not proved who it is."""
    secure_ehlo_reply: bytes = field(init=False, repr=False)
    """To one with TLS."""
    quit_reply: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "greeting", b"220 %s %s Paperpath\r\n" % (self.hostname, b"LMTP" if self.lmtp else b"ESMTP")
        )
        object.__setattr__(self, "helo_reply", b"250 %s\r\n" % self.hostname)
        object.__setattr__(self, "ehlo_reply", self._ehlo_reply(self._offers(secure=False)))
        object.__setattr__(self, "secure_ehlo_reply", self._ehlo_reply(self._offers(secure=True)))
        object.__setattr__(self, "quit_reply", b"221 2.0.0 %s closing connection\r\n" % self.hostname)

    def ehlo(self, secure: bool, authenticated_at: int) -> bytes:
        """Return the reply to EHLO in a session that uses TLS or not, by a client that logged in then, or not (0)."""
        if not authenticated_at:
            return self.secure_ehlo_reply if secure else self.ehlo_reply
        furthest = iso8601(authenticated_at + HOLD_MOST_S).encode()
        # RFC 4865 3, RFC 2852 2, RFC 6710 3: of no use to strangers, who must not have what these give.
        more = [b"FUTURERELEASE %d %s" % (HOLD_MOST_S, furthest), b"DELIVERBY", b"MT-PRIORITY"]
        return self._ehlo_reply(self._offers(secure=secure, logged_in=True) + more)

    def offered(self, *, secure: bool) -> tuple[bytes, ...]:
        """Return the mechanisms of AUTH that can be used now."""
        return self.mechanisms if secure else self.mechanisms_in_clear

    def _offers(self, *, secure: bool, logged_in: bool = False) -> list[bytes]:
        mechanisms = self.offered(secure=secure)
        login = [b"AUTH " + b" ".join(mechanisms)] if mechanisms and not logged_in else []
        return (
            login
            + [b"REQUIRETLS"] * secure
            + [b"STARTTLS"] * (self.starttls and not secure)
            + [_XCLIENT + b" LOGIN" * self.xclient_login] * self.xclient
        )

    def _limits(self) -> bytes:
        messages = b"MAILMAX=%d " % self.messages_most if 0 < self.messages_most <= _LIMIT_MOST else b""
        return b"%bRCPTMAX=%d" % (messages, self.recipients_most)

    def _ehlo_reply(self, more: list[bytes]) -> bytes:
        size, limits = b"%d" % self.message_size_bytes, self._limits()
        offered = [line.replace(b"%d", size).replace(b"%l", limits) for line in self.extensions]
        lines = [self.hostname, *offered, *more]
        return b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]
