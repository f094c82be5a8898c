"""A connection that begins with a PROXY header: it is read here, then the session begins as if its client had come
itself.

From whoever is not a listed load balancer nothing is read: a header from anybody would let everybody be anybody.  Who
is listed and sends none is turned away too, and that counts against nobody: it is how one of the two is set up.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from paperpath.base.networks import Network, is_within
from paperpath.protocol.proxy import Proxied, ProxyError, ProxyReader

HEADER_MOST_S: Final = 5.0
"""A balancer sends the header with the connection; the specification asks for at least 3 s."""

SpokenFor = dict[asyncio.BaseTransport, str]
"""Connections whose session begins now, and the client's address that a load balancer told."""


class Behind(NamedTuple):
    """A listening socket behind load balancers."""

    networks: tuple[Network, ...]
    """Where they are."""
    spoken_for: SpokenFor
    session: Callable[[], asyncio.Protocol]
    """Makes what comes after the header; it takes the client's address from ``spoken_for``."""
    turn_away: Callable[[str, str], None]
    """Notes for the log whose connection was not let in, and why; nothing is said to it."""


class ProxyDoor(asyncio.Protocol):
    """One connection until its header is there."""

    __slots__ = ("_behind", "_deadline", "_peer", "_reader", "_transport")

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._reader = ProxyReader()

    def connection_made(self, transport: Any) -> None:
        """Wait for the header, from those who may send one."""
        self._transport: asyncio.Transport = transport
        self._deadline = asyncio.get_running_loop().call_later(HEADER_MOST_S, self._refuse, "no PROXY header came")
        address = transport.get_extra_info("peername")
        self._peer: str = address[0] if address else ""
        if not address:  # it has gone again, as some do that only look whether anybody is here
            transport.abort()
        elif not is_within(self._peer, self._behind.networks):
            self._refuse("not in [fronts] proxy")

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
            self._behind.spoken_for[self._transport] = found.address
        session = self._behind.session()
        self._transport.set_protocol(session)
        session.connection_made(self._transport)
        if self._reader.rest and not self._transport.is_closing():
            session.data_received(self._reader.rest)

    def _refuse(self, reason: str) -> None:
        self._behind.turn_away(self._peer, reason)
        self._transport.abort()
