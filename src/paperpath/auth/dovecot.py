"""Dovecot's auth socket, as a backend."""

import asyncio
import os
from typing import Any

from paperpath.auth.known import Known
from paperpath.auth.verdict import Client, Identity, Unknown, Verdict
from paperpath.protocol.dovecot_auth import Answered, DovecotClient, DovecotError, greeting, plain_login

_CONNECT_WITHIN_S = 5.0


class _Connection(asyncio.Protocol):
    """One connection, from the greeting on."""

    def __init__(self) -> None:
        self._machine = DovecotClient()
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.open: dict[int, asyncio.Future[Verdict]] = {}
        self.is_up = True

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
            if isinstance(event, Answered):
                self._answered(event)
            elif not self.ready.done():
                self.ready.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_up = False
        for waiting in self.open.values():
            if not waiting.done():
                waiting.set_result(Unknown("Dovecot hung up"))
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("Dovecot hung up"))

    def send(self, line: bytes) -> None:
        self._transport.write(line)

    def close(self) -> None:
        self._transport.close()

    def _answered(self, event: Answered) -> None:
        waiting = self.open.get(event.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(_verdict(event))


class DovecotBackend:
    """Keeps a connection while Dovecot does; one that is lost is made again for the next login."""

    def __init__(self, path: str, known: Known) -> None:
        self._path, self._known = path, known
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._last_ticket = 0

    async def check(self, name: str, password: bytes, client: Client) -> Verdict:
        """Tell whose password this is."""
        parts = (b"dovecot", name.encode(), password)
        known = self._known.find(*parts)
        if known is not None:
            return known
        try:
            verdict = await self._ask(await self._connected(), name, password, client)
        except (OSError, TimeoutError) as error:
            return Unknown(f"Dovecot cannot be reached: {error}")
        if isinstance(verdict, Identity):
            self._known.add(verdict, *parts)
        return verdict

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.is_up:
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    loop = asyncio.get_running_loop()
                    _, connection = await loop.create_unix_connection(_Connection, self._path)
                    await connection.ready
                self._connection = connection
            return self._connection

    async def _ask(self, connection: _Connection, name: str, password: bytes, client: Client) -> Verdict:
        self._last_ticket += 1
        ticket = self._last_ticket
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        connection.open[ticket] = answer
        connection.send(
            plain_login(ticket, name, password, service=client.service, peer=client.peer, secure=client.secure)
        )
        try:
            return await answer
        finally:
            del connection.open[ticket]


def _verdict(event: Answered) -> Verdict:
    if event.user is not None:
        return Identity(event.user.lower())
    return Unknown("Dovecot could not tell") if event.temporary else None
