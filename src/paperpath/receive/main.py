"""`receive` as a process: its listening sockets and its sessions."""

import asyncio
import contextlib
import socket
from functools import partial

from paperpath.process.child import Listeners
from paperpath.process.directory import Directory
from paperpath.process.guard import Guard
from paperpath.process.logins import Logins
from paperpath.process.proxied import Behind, ProxyDoor
from paperpath.process.room import Room
from paperpath.process.settings import ReceiveSettings
from paperpath.process.submitter import Submitter
from paperpath.receive.arrival import refuse_balanced
from paperpath.receive.drops import Drops
from paperpath.receive.load import Load, sessions_possible
from paperpath.receive.qmqp import InjectionSession, QmqpSession
from paperpath.receive.qmtp import QmtpSession
from paperpath.receive.service import Service
from paperpath.receive.session import Session
from paperpath.receive.sessions import Patience, Sessions
from paperpath.telemetry.events import SessionsFewer
from paperpath.telemetry.log import Log

_BACKLOG = 4096
_SESSIONS: dict[str, type[QmqpSession | QmtpSession]] = {
    "inject": InjectionSession,
    "qmqp": QmqpSession,
    "qmtp": QmtpSession,
}
"""What is spoken, where it is not SMTP or LMTP; ``inject`` is the door of this host's programs."""
_LOOK_S = 1.0
_SWEEP_LOOKS = 5
"""After so many looks at the load, sessions are looked through for silent ones: costs less than a timer a command."""


class ReceiveRole:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._sessions = Sessions()
        self._servers: list[asyncio.Server] = []
        self._submitter: Submitter | None = None
        self._directory: Directory | None = None
        self._logins: Logins | None = None
        self._room = Room(log)
        self._drops: Drops | None = None
        self._guard: Guard | None = None
        self._guard_path = ""
        self._load: Load | None = None
        self._patience = Patience(0, 0, 0)
        self._looks = 0

    async def configure(self, settings: ReceiveSettings, listeners: Listeners) -> None:
        """Listen with these settings; sessions that are open go on with theirs."""
        if self._submitter is None or self._directory is None:
            self._submitter = Submitter(f"{settings.run}/queue.intake", "receive")
            self._directory = Directory(f"{settings.run}/local.lookup", "receive")
            self._load = Load(self._sessions, self._submitter)
            self._look_later()
        self._go_over_to(settings)
        if settings.auth and self._logins is None:
            self._logins = Logins(settings.auth, "receive")
        logins = self._logins if settings.auth else None
        service = Service(settings, self._submitter, self._directory, self._log, self._guard, logins, self._room)
        servers = [await self._serve(service, name, sock) for name, sock in listeners]
        self._stop_listening()
        self._servers = servers
        self._take_drops(service)

    def _go_over_to(self, settings: ReceiveSettings) -> None:
        limits = settings.limits
        self._patience = Patience(settings.command_timeout_s, limits.content_timeout_s, limits.strained_timeout_s)
        self._sessions.most = sessions_possible(settings.sessions_most)
        self._sessions.reserved_percent = limits.reserved_percent
        if self._sessions.most < settings.sessions_most:
            self._log.emit(SessionsFewer(wanted=settings.sessions_most, sessions=self._sessions.most))
        if self._guard is None or settings.guard != self._guard_path:
            if self._guard is not None:
                self._guard.close()
            self._guard, self._guard_path = Guard(settings.guard, "receive", self._log), settings.guard

    async def drain(self, grace_s: float) -> None:
        """Greet nobody more; let transactions end."""
        self._stop_listening()
        if self._drops is not None:
            await self._drops.stop()
        self._sessions.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._sessions.all_ended(), grace_s)
        self._sessions.end_all()
        self._sessions.turned_away.log(self._log)
        await asyncio.sleep(0)  # the last replies leave, the sessions' lines are written

    async def _serve(self, service: Service, name: str, sock: socket.socket) -> asyncio.Server:
        loop, sessions = asyncio.get_running_loop(), self._sessions
        spoken = name.partition(" ")[0]

        def session() -> asyncio.Protocol:
            kind = _SESSIONS.get(spoken)
            return Session(service, spoken, sessions) if kind is None else kind(service, sessions)

        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(session, sock=sock, backlog=_BACKLOG)
        if name not in service.settings.proxied:
            return await loop.create_server(session, sock=sock, backlog=_BACKLOG)
        behind = Behind(service.balancers, sessions.spoken_for, session, partial(refuse_balanced, service, sessions))
        return await loop.create_server(lambda: ProxyDoor(behind), sock=sock, backlog=_BACKLOG)

    def _take_drops(self, service: Service) -> None:
        if not service.settings.drop:
            return
        if self._drops is None:
            self._drops = Drops(service.settings.drop)
        self._drops.serve(service)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        assert self._load is not None
        self._look_later()
        self._load.look(self._sessions.time())
        self._looks += 1
        if self._looks % _SWEEP_LOOKS == 0:
            self._sessions.end_silent(self._patience)
            self._sessions.turned_away.log(self._log)
