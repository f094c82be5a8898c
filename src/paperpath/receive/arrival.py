"""What happens to a connection before anything is said on it, whatever is spoken there."""

import asyncio
from typing import NamedTuple

from paperpath.base.reply import Reply
from paperpath.receive import replies
from paperpath.receive.service import Service
from paperpath.receive.sessions import OpenSession, Sessions
from paperpath.telemetry.events import MessageRefused


class Arrival(NamedTuple):
    """Who came, and whether there is a place for it."""

    peer: str
    """An address, or ``local uid N``."""
    relay: bool
    """Whether it may send to everywhere."""
    refusal: Reply | None
    """Why it is turned away; None: it is counted as a session."""


RELAYS_ONLY = frozenset({"lmtp", "qmqp"})
"""Services that have no business with strangers: both hand over mail for anybody."""


def arrive(
    service: Service, name: str, sessions: Sessions, session: OpenSession, transport: asyncio.BaseTransport
) -> Arrival:
    """Look at who is at the other end, and count the session where it has a place."""
    peer, (relay, network) = service.client_at(transport)
    refusal = None
    if name in RELAYS_ONLY and not relay:
        refusal = replies.NOT_FOR_STRANGERS
        _log_stranger(service, name, peer, refusal)
    elif network and sessions.count_from(network) >= service.settings.sessions_per_address:
        refusal = replies.TOO_MANY_FROM_ADDRESS
    elif not sessions.add(session, network):
        refusal = replies.TOO_MANY_SESSIONS
    return Arrival(peer, relay, refusal)


def _log_stranger(service: Service, name: str, peer: str, refusal: Reply) -> None:
    where = "[inject] trusted_users" if peer.startswith("local ") else "[relay] networks"
    service.log.emit(
        MessageRefused(
            service=name,
            peer=peer,
            sender="",
            recipient=None,
            code=refusal.code,
            status=refusal.status,
            reason=f"{peer} is not in {where}",
        )
    )
