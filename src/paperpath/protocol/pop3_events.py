"""What the POP3 machine tells its shell, and what it asks.

A question stops the machine until the method that its description names is called.
"""

import msgspec


class Pop3Config(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What holds for one connection, or for the rest of one after STLS."""

    hostname: bytes
    """What the greeting names."""
    timestamp: bytes = b""
    """For APOP, with its angle brackets; empty where APOP is not offered."""
    passwords: bool = True
    """Whether USER and PASS are taken: not in clear text over a network."""
    mechanisms: tuple[str, ...] = ()
    """Of AUTH."""
    stls: bool = False
    logins_most: int = 3
    """Failed logins before the connection ends."""


class LoginGiven(msgspec.Struct, frozen=True, gc=False):
    """Somebody wants to log in: `challenge`, `opened` or `refuse_login`.

    USER and PASS come as ``PLAIN``, APOP as ``APOP`` with timestamp, NUL, name, NUL, digest (`wire.logins`).
    """

    mechanism: str
    initial: bytes | None


class ResponseGiven(msgspec.Struct, frozen=True, gc=False):
    """The client's answer to a challenge: `challenge`, `opened` or `refuse_login`."""

    data: bytes


class LoginAbandoned(msgspec.Struct, frozen=True, gc=False):
    """The client cancelled its login, and has been answered."""


class TlsWanted(msgspec.Struct, frozen=True, gc=False):
    """STLS: write the output, shake hands, then `secured`.  Input from before the handshake is forgotten."""


class PageWanted(msgspec.Struct, frozen=True, gc=False):
    """Describe ``MAILBOX_PAGE_MESSAGES`` messages, or as many as there are, from number ``first`` on: `page`."""

    first: int


class ContentWanted(msgspec.Struct, frozen=True, gc=False):
    """Send this message: `begin_content`, then `content` for each piece and `end_content`; or `no_content`."""

    number: int


class UpdateWanted(msgspec.Struct, frozen=True, gc=False):
    """QUIT: remove what is marked (a bit a message, the lowest of the first byte is number 1): `updated`."""

    marked: bytes


class Closing(msgspec.Struct, frozen=True, gc=False):
    """Always the last event: write what `take_output` returns, then close the connection."""

    reason: str


Question = LoginGiven | ResponseGiven | TlsWanted | PageWanted | ContentWanted | UpdateWanted
Event = Question | LoginAbandoned | Closing
