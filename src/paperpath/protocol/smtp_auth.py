"""AUTH in the SMTP server machine (RFC 4954): the exchange's lines, without base64, and nothing of what they mean.

An exchange is a question (`AuthGiven`), and for each 334 that answers one, another (`AuthResponse`); 235 ends it, and
so does any refusal.  The client may cancel it with ``*`` (`AuthCancelled`).  Meanwhile every line is a response:
whatever looks like a command is none.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from paperpath.base.reply import reply
from paperpath.protocol.smtp_events import AuthCancelled, AuthGiven, AuthResponse, Refusal
from paperpath.protocol.smtp_refusals import NOT_IMPLEMENTED

if TYPE_CHECKING:
    from paperpath.protocol.smtp_server import ServerSession

AGAIN: Final = Refusal(reply(503, "5.5.1", "Already logged in"), "AUTH again")
EHLO_FIRST: Final = Refusal(reply(503, "5.5.1", "EHLO first"), "AUTH before EHLO")
SYNTAX: Final = Refusal(reply(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]"), "bad syntax in AUTH")
NOT_BASE64: Final = Refusal(reply(501, "5.5.2", "Not base64"), "a response that is not base64")
UNKNOWN_MECHANISM: Final = Refusal(reply(504, "5.5.4", "Mechanism not offered"), "mechanism not offered")
IN_CLEAR: Final = Refusal(
    reply(538, "5.7.11", "That mechanism is taken under TLS only: STARTTLS first"), "password without TLS"
)
NEVER_IN_CLEAR: Final = Refusal(
    reply(538, "5.7.11", "That mechanism is taken under TLS only, and TLS is not offered here"), "password without TLS"
)
CANCELLED: Final = Refusal(reply(501, "5.7.0", "Cancelled"), "login cancelled")
TOO_LONG: Final = Refusal(reply(500, "5.5.6", "The response is too long"), "a response that is too long")

_CANCELLED: Final = AuthCancelled()


def authenticate(session: ServerSession, argument: bytes) -> None:
    """AUTH: any time but within a transaction, once."""
    name, _, initial = argument.partition(b" ")
    mechanism = name.upper()
    refusal = _refusal(session, mechanism)
    if refusal is not None:
        session._refuse(refusal)
        return
    # RFC 4954 4: an empty initial response is written "=", to tell it from none.
    response = None if not initial else b"" if initial == b"=" else _decoded(initial)
    if initial and response is None:
        session._refuse(NOT_BASE64)
    else:
        session._ask(AuthGiven(mechanism.decode("ascii"), response))


def _refusal(session: ServerSession, mechanism: bytes) -> Refusal | None:
    config = session.config
    if not config.mechanisms:
        return NOT_IMPLEMENTED
    if session.authenticated_at:
        return AGAIN
    if not session.esmtp:
        return EHLO_FIRST
    if not mechanism:
        return SYNTAX
    if mechanism in config.offered(secure=session.secure):
        return None
    if mechanism not in config.mechanisms:
        return UNKNOWN_MECHANISM
    return IN_CLEAR if config.starttls else NEVER_IN_CLEAR


def take_response(session: ServerSession, line: bytes) -> None:
    """A line within an exchange."""
    if line == b"*":
        cancel(session, CANCELLED)
        return
    response = _decoded(line)
    if response is None:
        cancel(session, NOT_BASE64)
    else:
        session._ask(AuthResponse(response))


def cancel(session: ServerSession, refusal: Refusal) -> None:
    """End an exchange for what the client sent."""
    session.in_exchange = False
    session._events.append(_CANCELLED)
    session._refuse(refusal)


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
