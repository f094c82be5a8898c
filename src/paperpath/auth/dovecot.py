"""Dovecot's auth socket, as a backend."""

import asyncio
import os
from functools import partial
from typing import Any, Final

from paperpath.auth.known import Known
from paperpath.auth.verdict import Client, Identity, Later, Unknown, Verdict
from paperpath.protocol.dovecot_auth import (
    Answered,
    Challenged,
    DovecotClient,
    DovecotError,
    Ready,
    cancel,
    greeting,
    login,
    plain_login,
    response,
)
from paperpath.protocol.sasl import Say

_CONNECT_WITHIN_S = 5.0
_HUNG_UP = Unknown("Dovecot hung up")
_MESSAGE_MOST_BYTES: Final = 4096
"""Far more than a client has to say; at a line of 8192 bytes Dovecot hangs up, on everybody's logins."""
_SCRAM: Final = "SCRAM-SHA-256"
_Said = Say | Verdict


class _Connection(asyncio.Protocol):
    """One connection, from the greeting on."""

    def __init__(self) -> None:
        self._machine = DovecotClient()
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.open: dict[int, asyncio.Future[_Said]] = {}
        self.is_up = True
        self.offers: frozenset[str] = frozenset()
        """Mechanisms."""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        transport.write(greeting(os.getpid()))

    def data_received(self, data: bytes) -> None:
        try:
            events = self._machine.receive(data)
        except DovecotError:
            self._transport.abort()
            return
        for event in events:
            if isinstance(event, Ready):
                self._ready(event)
            else:
                self._answered(event)

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_up = False
        for waiting in self.open.values():
            if not waiting.done():
                waiting.set_result(_HUNG_UP)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("Dovecot hung up"))

    async def ask(self, ticket: int, line: bytes) -> _Said:
        """Send a line and return what is said to it."""
        if not self.is_up:
            return _HUNG_UP
        answer: asyncio.Future[_Said] = asyncio.get_running_loop().create_future()
        self.open[ticket] = answer
        self._transport.write(line)
        try:
            return await answer
        finally:
            del self.open[ticket]

    def send(self, line: bytes) -> None:
        self._transport.write(line)

    def close(self) -> None:
        self._transport.close()

    def _ready(self, event: Ready) -> None:
        self.offers = event.mechanisms
        if not self.ready.done():
            self.ready.set_result(None)

    def _answered(self, event: Answered | Challenged) -> None:
        waiting = self.open.get(event.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(Say(event.data) if isinstance(event, Challenged) else _verdict(event))


class DovecotBackend:
    """Keeps a connection while Dovecot does; one that is lost is made again for the next login."""

    def __init__(self, path: str, known: Known) -> None:
        self._path, self._known = path, known
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._last_ticket = 0

    def check(self, name: str, password: bytes, client: Client) -> Verdict | Later[Verdict]:
        """Tell whose password this is."""
        parts = (b"dovecot", name.encode(), password)
        return self._known.find(*parts) or partial(self._judge, name, password, client, parts)

    def scram(self, client: Client) -> "DovecotScram":
        """Return a login by SCRAM-SHA-256, which Dovecot runs."""
        return DovecotScram(self, client)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    def next_ticket(self) -> int:
        """Return the number of another login."""
        self._last_ticket += 1
        return self._last_ticket

    async def connected(self) -> _Connection | Unknown:
        """Return the connection, a new one where there is none."""
        try:
            return await self._connect()
        except (OSError, TimeoutError) as error:
            return Unknown(f"Dovecot cannot be reached: {error}")

    async def _judge(self, name: str, password: bytes, client: Client, parts: tuple[bytes, ...]) -> Verdict:
        connection = await self.connected()
        if isinstance(connection, Unknown):
            return connection
        ticket = self.next_ticket()
        said = await connection.ask(
            ticket,
            plain_login(ticket, name, password, service=client.service, peer=client.peer, secure=client.secure),
        )
        if isinstance(said, Say):  # a mechanism of one message has no second; whatever it wants, it did not say yes
            return Unknown("Dovecot asks on")
        if isinstance(said, Identity):
            self._known.add(said, *parts)
        return said

    async def _connect(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.is_up:
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    loop = asyncio.get_running_loop()
                    _, connection = await loop.create_unix_connection(_Connection, self._path)
                    await connection.ready
                self._connection = connection
            return self._connection


class DovecotScram:
    """One login whose mechanism Dovecot runs: what it and the client say is carried on as it is."""

    _connection: _Connection

    def __init__(self, backend: DovecotBackend, client: Client) -> None:
        self._backend, self._client = backend, client
        self._ticket = 0

    async def start(self, initial: bytes) -> _Said:
        """Begin, with what the client said first."""
        if len(initial) > _MESSAGE_MOST_BYTES:
            return None
        connection = await self._backend.connected()
        if isinstance(connection, Unknown):
            return connection
        if _SCRAM not in connection.offers:
            return Unknown(f"Dovecot does not offer {_SCRAM}: its auth_mechanisms have it not")
        client, self._connection, self._ticket = self._client, connection, self._backend.next_ticket()
        return await connection.ask(
            self._ticket,
            login(
                self._ticket,
                _SCRAM.encode(),
                initial,
                service=client.service,
                peer=client.peer,
                secure=client.secure,
            ),
        )

    async def respond(self, data: bytes) -> _Said:
        """Go on with its answer to the last challenge."""
        if len(data) > _MESSAGE_MOST_BYTES:
            self.cancel()
            return None
        return await self._connection.ask(self._ticket, response(self._ticket, data))

    def cancel(self) -> None:
        """The client is gone."""
        if self._ticket and self._connection.is_up:
            self._connection.send(cancel(self._ticket))


def _verdict(event: Answered) -> Verdict:
    if event.user is not None:
        return Identity(event.user.lower())
    return Unknown("Dovecot could not tell") if event.temporary else None
