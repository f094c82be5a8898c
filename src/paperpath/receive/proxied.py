"""A connection that begins with a PROXY header: it is read here, then the session begins as if its client had come
itself.

From whoever is not a listed load balancer nothing is read: a header from anybody would let everybody be anybody.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from paperpath.protocol.proxy import Proxied, ProxyError, ProxyReader
from paperpath.receive import replies
from paperpath.receive.service import Service
from paperpath.receive.sessions import Sessions
from paperpath.receive.turned_away import Refused
from paperpath.telemetry.events import SessionClosed

HEADER_MOST_S: Final = 5.0
"""A balancer sends the header with the connection; the specification asks for at least 3 s."""


class ProxyDoor(asyncio.Protocol):
    """One connection until its header is there; ``session`` makes what comes after."""

    __slots__ = ("_deadline", "_name", "_peer", "_reader", "_service", "_session", "_sessions", "_transport")

    def __init__(
        self, service: Service, name: str, sessions: Sessions, session: Callable[[], asyncio.Protocol]
    ) -> None:
        self._service, self._name, self._sessions, self._session = service, name, sessions, session
        self._reader = ProxyReader()

    def connection_made(self, transport: Any) -> None:
        """Wait for the header, from those who may send one."""
        self._transport: asyncio.Transport = transport
        self._peer = self._service.client_at(transport)[0]
        self._deadline = asyncio.get_running_loop().call_later(HEADER_MOST_S, self._refuse, "no PROXY header came")
        if not self._service.may_say("proxy", self._peer):
            client = self._service.client(self._peer)
            refused = Refused(replies.NOT_FOR_STRANGERS, "not in [fronts] proxy")
            self._sessions.turned_away.count(client.wide or "this host", self._peer, refused)
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read the header; what comes behind it is the session's."""
        if self._transport.is_closing():
            return
        try:
            found = self._reader.feed(data)
        except ProxyError as error:
            self._refuse(str(error))
            return
        if found is not None:
            self._hand_over(found)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over before there was a session."""
        self._deadline.cancel()

    def _hand_over(self, found: Proxied) -> None:
        self._deadline.cancel()
        if found.address:
            self._sessions.spoken_for[self._transport] = found.address
        session = self._session()
        self._transport.set_protocol(session)
        session.connection_made(self._transport)
        if self._reader.rest and not self._transport.is_closing():
            session.data_received(self._reader.rest)

    def _refuse(self, reason: str) -> None:
        self._service.log.emit(
            SessionClosed(
                service=self._name,
                peer=self._peer,
                helo="",
                messages=0,
                recipients=0,
                refused=0,
                bytes_in=0,
                duration_s=0.0,
                result="error",
                reason=reason,
            )
        )
        self._transport.abort()
