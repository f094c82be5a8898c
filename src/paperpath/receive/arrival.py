"""What happens to a connection before anything is said on it, whatever is spoken there.

Nothing here waits: a ban, a rate and the sessions of other processes are looked up in what `guard` pushed, and the rest
this process counts.  Relay networks and users of this host are bound by nothing but the number of all sessions.
"""

import asyncio
from typing import NamedTuple

from paperpath.base.reply import Reply
from paperpath.receive import replies
from paperpath.receive.service import Client, Service
from paperpath.receive.sessions import OpenSession, Sessions
from paperpath.receive.standing import THIS_HOST, Rank, Standing
from paperpath.receive.turned_away import Refused


class Arrival(NamedTuple):
    """Who came, and whether there is a place for it."""

    peer: str
    """An address, or ``local uid N``."""
    relay: bool
    """Whether it may send to everywhere."""
    refusal: Reply | None
    """Why it is turned away; None: it is counted as a session."""
    standing: Standing


RELAYS_ONLY = frozenset({"lmtp", "qmqp"})
"""Services that have no business with strangers: both hand over mail for anybody."""


def arrive(
    service: Service, name: str, sessions: Sessions, session: OpenSession, transport: asyncio.BaseTransport
) -> Arrival:
    """Look at who is at the other end, and count the session where it has a place."""
    told = sessions.spoken_for.pop(transport, None)
    peer, client = service.client_at(transport) if told is None else (told, service.client(told))
    return _let_in(service, name, sessions, session, peer, client)


def arrive_as(service: Service, name: str, sessions: Sessions, session: OpenSession, peer: str) -> Arrival:
    """Look again at a session that is counted, whose client is somebody else: who it came through said so."""
    sessions.discard(session)
    return _let_in(service, name, sessions, session, peer, service.client(peer))


def refuse_balanced(service: Service, sessions: Sessions, peer: str, reason: str) -> None:
    """Note a connection that is to come through a load balancer, and did not as it should have."""
    refused = Refused(replies.NOT_FOR_STRANGERS, reason)
    sessions.turned_away.count(service.client(peer).wide or "this host", peer, refused)


def _let_in(
    service: Service, name: str, sessions: Sessions, session: OpenSession, peer: str, client: Client
) -> Arrival:
    standing = THIS_HOST if client.relay else _standing(service, peer, client)
    refused = _judge(service, sessions, peer, client) if client.network else None
    if refused is None and name in RELAYS_ONLY and not client.relay:
        missing = "[relay] networks" if client.network else "[inject] trusted_users"
        refused = Refused(replies.NOT_FOR_STRANGERS, f"{name} is for {missing}")
    if refused is None and not sessions.add(session, standing):
        refused = Refused(replies.TOO_MANY_SESSIONS, sessions.shortage)
    if refused is not None:
        sessions.turned_away.count(client.wide or "this host", peer, refused)
    return Arrival(peer, client.relay, None if refused is None else refused.reply, standing)


def _standing(service: Service, peer: str, client: Client) -> Standing:
    is_known = not client.network or service.guard.is_known(client.network)
    return Standing(service.guard, peer, client.network, client.wide, Rank.KNOWN if is_known else Rank.STRANGER)


def _judge(service: Service, sessions: Sessions, peer: str, client: Client) -> Refused | None:
    guard, settings = service.guard, service.settings
    ban = guard.ban_of(peer)
    if ban is not None:
        guard.turned_away(client.network)
        return Refused(replies.BANNED if ban.until else replies.BANNED_FOR_GOOD, f"banned: {ban.reason}")
    if guard.is_slowed(client.network, "connections"):
        return Refused(replies.TOO_MANY_CONNECTIONS, "[limits] connections_per_minute")
    if sessions.count_from(client.network) + guard.held_elsewhere(client.network) >= settings.sessions_per_address:
        return Refused(replies.TOO_MANY_FROM_ADDRESS, "[receive] sessions_per_address")
    most = settings.limits.sessions_per_network
    if sessions.count_from(client.wide) + guard.held_elsewhere(client.wide) >= most:
        return Refused(replies.TOO_MANY_FROM_NETWORK, "[limits] sessions_per_network")
    return None
