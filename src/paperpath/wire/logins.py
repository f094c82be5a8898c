"""Whoever serves clients (`receive`, `pop3`) to `auth`: somebody wants to log in; and back: say this to the client,
that was who it claims to be, or it was not.

All mechanisms run in `auth`.  The process at the network carries their bytes without base64 and understands none of
them.  Mechanisms have the names of RFC 4422 in upper case, and besides: ``APOP``, whose initial response is the
greeting's timestamp, a NUL, the name, a NUL and the digest in hex (RFC 1939 7).  USER and PASS are ``PLAIN`` with an
initial response of NUL, name, NUL, password (RFC 4616).

A ticket is the client's own number for one attempt; the attempt ends with `LoggedIn`, `LoginRefused` or `Abandon`.
"""

from typing import Final

import msgspec

from paperpath.wire.frame import Hello

RESPONSE_MOST_BYTES: Final = 9216
"""The longest response or challenge: RFC 4954 4 lets lines have 12,288 octets, which are 9,216 without base64."""

LOGINS_FRAME_MOST_BYTES: Final = 16 * 1024

SHOWING: Final = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})
"""Mechanisms that show a listener what one logs in with."""

VOUCHED: Final = "XCLIENT"
"""No mechanism of clients: a proxy of ``[fronts] xclient`` has judged the login itself, and the initial response is the
name (Postfix's XCLIENT with LOGIN).  It opens no mailbox: `LoggedIn.door_pass` is empty."""

OPENING: Final = frozenset({"pop3", "pop3s"})
"""Services that open the mailbox of who has logged in."""

BINDING_TYPE: Final = "tls-server-end-point"
"""The binding to a TLS channel that there is (RFC 5929)."""


class Login(msgspec.Struct, frozen=True, array_like=True, tag="login", gc=False):
    """Begin an attempt."""

    ticket: int
    mechanism: str
    initial: bytes | None
    """The initial response; None where the client gave none, which is not the same as an empty one."""
    service: str
    """What is spoken: ``submission``, ``pop3`` …"""
    peer: str
    """The client's address, as text."""
    secure: bool
    """Whether TLS protects the connection, or it may be treated so."""
    binding_type: str = ""
    """`BINDING_TYPE`; empty where no binding can be had."""
    binding: bytes = b""


class Respond(msgspec.Struct, frozen=True, array_like=True, tag="respond", gc=False):
    """The client's answer to the last `Challenge`."""

    ticket: int
    response: bytes


class Abandon(msgspec.Struct, frozen=True, array_like=True, tag="abandon", gc=False):
    """The client cancelled or is gone.  There is no answer; one that crosses this is to be ignored."""

    ticket: int


class Challenge(msgspec.Struct, frozen=True, array_like=True, tag="challenge", gc=False):
    """Say this to the client, and bring its answer."""

    ticket: int
    data: bytes


class LoggedIn(msgspec.Struct, frozen=True, array_like=True, tag="logged-in", gc=False):
    """The client is ``account``."""

    ticket: int
    account: str
    """``local@domain`` of `paperpath account`, or the name of a system account."""
    addresses: tuple[bytes, ...]
    """What it may send as, in lower case: ``local@domain``, ``@domain`` for all of a domain, ``local-*@domain`` and
    ``local+*@domain`` for extensions of its own."""
    data: bytes
    """For the client, with the success (SCRAM's server signature over a protocol that can carry it); mostly empty."""
    door_pass: bytes
    """What opens this account's mailbox at `local` for a short while (`process.passes`); empty for `VOUCHED`, and where
    the service is none of `OPENING`: `receive` gets none."""


class LoginRefused(msgspec.Struct, frozen=True, array_like=True, tag="login-refused", gc=False):
    """The client did not prove it."""

    ticket: int
    reason: str
    """For the log; the client is told one sentence for all."""
    temporary: bool
    """We could not tell: the fault is ours, and says nothing about the password."""
    malformed: bool = False
    """The client broke the mechanism's syntax; also no word about the password."""


FromLoginClient = Hello | Login | Respond | Abandon
FromAuth = Challenge | LoggedIn | LoginRefused
LoginAnswer = Challenge | LoggedIn | LoginRefused
