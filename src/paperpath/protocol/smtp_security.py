"""What a session that begins anew needs of the SMTP server machine: STARTTLS (RFC 3207) and Postfix's XCLIENT.

Both put the session back to where it was after the greeting: whatever was said before, by whoever it was, counts no
more.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from paperpath.base.limits import DOMAIN_BYTES
from paperpath.protocol.smtp_events import ClientTold, Refusal, TlsBegins
from paperpath.protocol.smtp_refusals import NOT_IMPLEMENTED, R220_READY, STARTTLS_SYNTAX, TLS_ALREADY, XCLIENT_SYNTAX

if TYPE_CHECKING:
    from paperpath.protocol.smtp_server import ServerSession

_ATTRIBUTES: Final = frozenset({b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO"})
_WITH_LOGIN: Final = _ATTRIBUTES | {b"LOGIN"}
_UNKNOWN: Final = frozenset({b"[UNAVAILABLE]", b"[TEMPUNAVAIL]"})
_XTEXT: Final = re.compile(rb"\+([0-9A-F]{2})")
_V6: Final = b"IPV6:"
_PROTOCOLS: Final = {b"SMTP": False, b"ESMTP": True}


def start_tls(session: ServerSession, argument: bytes) -> None:
    """RFC 3207 4: say go ahead, and throw away what came behind the command: it was sent in clear, by anybody.

    Nothing is read from here until `ServerSession.start_over`; what is fed meanwhile is thrown away too.
    """
    if session.secure:
        session._refuse(TLS_ALREADY)
    elif not session.config.starttls:
        session._refuse(NOT_IMPLEMENTED)
    elif argument:
        session._refuse(STARTTLS_SYNTAX)
    else:
        session._wait_for_tls(R220_READY.encode(), TlsBegins())


def take_client(session: ServerSession, argument: bytes) -> None:
    """Postfix's XCLIENT: ask whether the client may say for whom it speaks."""
    if not session.config.xclient:
        session._refuse(NOT_IMPLEMENTED)
        return
    told = parse_xclient(argument, _WITH_LOGIN if session.config.xclient_login else _ATTRIBUTES)
    if isinstance(told, Refusal):
        session._refuse(told)
    else:
        session._ask(told)


def parse_xclient(argument: bytes, attributes: frozenset[bytes] = _ATTRIBUTES) -> ClientTold | Refusal:
    """Read what follows ``XCLIENT``: ``NAME=VALUE ...``, of these names each once, values as xtext."""
    values: dict[bytes, bytes] = {}
    for word in argument.split():
        name, equals, raw = word.partition(b"=")
        name = name.upper()
        if not equals or not raw or name not in attributes or name in values:
            return XCLIENT_SYNTAX
        values[name] = b"" if raw.upper() in _UNKNOWN else _XTEXT.sub(lambda m: bytes([int(m[1], 16)]), raw)
    if not values or any(len(value) > DOMAIN_BYTES for value in values.values()):
        return XCLIENT_SYNTAX
    proto = values.get(b"PROTO") or b"SMTP"
    address = _address(values[b"ADDR"]) if b"ADDR" in values else None
    if proto.upper() not in _PROTOCOLS or (b"ADDR" in values and address is None):
        return XCLIENT_SYNTAX
    return ClientTold(
        address=address,
        name=values.get(b"NAME"),
        helo=values.get(b"HELO"),
        esmtp=_PROTOCOLS[proto.upper()],
        login=values.get(b"LOGIN", b""),
    )


def _address(value: bytes) -> str | None:
    """Return an address as it is compared, nothing where it is not known, None where it is none."""
    if not value:
        return ""
    bare = value[len(_V6) :] if value[: len(_V6)].upper() == _V6 else value
    try:
        # The zone of a link-local address may be any text, and means something on that host only.
        return str(ipaddress.ip_address(bare.partition(b"%")[0].decode()))
    except ValueError:
        return None
