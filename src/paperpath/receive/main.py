"""`receive` as a process: its listening sockets and its sessions."""

import asyncio
import contextlib
import socket

from paperpath.process.child import Listeners
from paperpath.process.directory import Directory
from paperpath.process.settings import ReceiveSettings
from paperpath.process.submitter import Submitter
from paperpath.receive.drops import Drops
from paperpath.receive.qmqp import InjectionSession, QmqpSession
from paperpath.receive.qmtp import QmtpSession
from paperpath.receive.service import Service
from paperpath.receive.session import Session
from paperpath.receive.sessions import Sessions
from paperpath.telemetry.log import Log

_BACKLOG = 4096
_SWEEP_S = 5.0
"""How often sessions are looked through for silent ones: costs less than a timer a command."""
_SESSIONS: dict[str, type[QmqpSession | QmtpSession]] = {
    "inject": InjectionSession,
    "qmqp": QmqpSession,
    "qmtp": QmtpSession,
}
"""What is spoken, where it is not SMTP or LMTP; ``inject`` is the door of this host's programs."""


class ReceiveRole:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._sessions = Sessions()
        self._servers: list[asyncio.Server] = []
        self._submitter: Submitter | None = None
        self._directory: Directory | None = None
        self._drops: Drops | None = None
        self._timeout_s = 0
        self._sweep: asyncio.TimerHandle | None = None

    async def configure(self, settings: ReceiveSettings, listeners: Listeners) -> None:
        """Listen with these settings; sessions that are open go on with theirs."""
        if self._submitter is None or self._directory is None:
            self._submitter = Submitter(f"{settings.run}/queue.intake", "receive")
            self._directory = Directory(f"{settings.run}/local.lookup", "receive")
            self._sweep_later()
        service = Service(settings, self._submitter, self._directory, self._log)
        self._timeout_s = settings.command_timeout_s
        self._sessions.most = settings.sessions_most
        servers = [await self._serve(service, name, sock) for name, sock in listeners]
        self._stop_listening()
        self._servers = servers
        self._take_drops(service)

    async def drain(self, grace_s: float) -> None:
        """Greet nobody more; let transactions end."""
        self._stop_listening()
        if self._drops is not None:
            await self._drops.stop()
        self._sessions.draining = True
        self._sessions.end_idle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._sessions.all_ended(), grace_s)
        self._sessions.end_all()
        await asyncio.sleep(0)  # the last replies leave, the sessions' lines are written

    async def _serve(self, service: Service, name: str, sock: socket.socket) -> asyncio.Server:
        loop, sessions = asyncio.get_running_loop(), self._sessions
        spoken = name.partition(" ")[0]

        def session() -> asyncio.Protocol:
            kind = _SESSIONS.get(spoken)
            return Session(service, spoken, sessions) if kind is None else kind(service, sessions)

        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(session, sock=sock, backlog=_BACKLOG)
        return await loop.create_server(session, sock=sock, backlog=_BACKLOG)

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

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sessions.end_silent(self._timeout_s)
        self._sweep_later()
