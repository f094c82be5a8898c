"""`pop3` as a process: its listening sockets and its sessions."""

import asyncio
import contextlib
import socket

from paperpath.pop3.mailboxes import Mailboxes
from paperpath.pop3.service import Service
from paperpath.pop3.session import Session
from paperpath.pop3.sessions import Sessions
from paperpath.process.child import Listeners
from paperpath.process.guard import Guard
from paperpath.process.logins import Logins
from paperpath.process.proxied import Behind, ProxyDoor
from paperpath.process.settings import Pop3Settings
from paperpath.telemetry.log import Log

_BACKLOG = 1024
_SWEEP_S = 5.0
"""How often sessions are looked through for late ones: costs less than a timer a command."""


class Pop3Role:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._sessions = Sessions()
        self._servers: list[asyncio.Server] = []
        self._logins: Logins | None = None
        self._mailboxes: Mailboxes
        self._guard: Guard

    async def configure(self, settings: Pop3Settings, listeners: Listeners) -> None:
        """Listen with these settings; sessions that are open go on with theirs."""
        if self._logins is None:
            self._logins = Logins(f"{settings.run}/auth", "pop3")
            self._mailboxes = Mailboxes(f"{settings.run}/local.mailboxes", "pop3")
            self._guard = Guard(settings.guard, "pop3", self._log)
            self._sweep()
        service = Service(settings, self._logins, self._mailboxes, self._guard, self._log)
        self._sessions.most = settings.sessions_most
        self._sessions.most_per_network = settings.sessions_per_address
        servers = [await self._serve(service, name, sock) for name, sock in listeners]
        self._stop_listening()
        self._servers = servers

    async def drain(self, grace_s: float) -> None:
        """Greet nobody more; who is logged in may finish."""
        self._stop_listening()
        self._sessions.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._sessions.all_ended(), grace_s)
        self._sessions.end_all()
        self._sessions.log_turned_away(self._log)
        await asyncio.sleep(0)  # the last replies leave, the sessions' lines are written

    async def _serve(self, service: Service, name: str, sock: socket.socket) -> asyncio.Server:
        spoken = name.partition(" ")[0]
        loop, sessions = asyncio.get_running_loop(), self._sessions

        def session() -> asyncio.Protocol:
            return Session(service, spoken, sessions)

        def turn_away(peer: str, reason: str) -> None:
            sessions.turn_away(service.network_of(peer), peer, reason)

        if name not in service.settings.proxied:
            return await loop.create_server(session, sock=sock, backlog=_BACKLOG)
        behind = Behind(service.balancers, sessions.spoken_for, session, turn_away)
        return await loop.create_server(lambda: ProxyDoor(behind), sock=sock, backlog=_BACKLOG)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []

    def _sweep(self) -> None:
        self._sessions.end_late()
        self._sessions.log_turned_away(self._log)
        asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
