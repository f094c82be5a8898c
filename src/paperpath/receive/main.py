"""`receive` as a process: its listening sockets and its sessions."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from paperpath.base.reply import Reply
from paperpath.process.child import Listeners
from paperpath.process.directory import Directory
from paperpath.process.settings import ReceiveSettings
from paperpath.process.submitter import Submitter
from paperpath.receive import replies
from paperpath.receive.drops import Drops
from paperpath.receive.injection import InjectionSession
from paperpath.receive.service import Service
from paperpath.receive.session import Session
from paperpath.telemetry.log import Log

_BACKLOG = 4096
_SWEEP_S = 5.0
"""How often sessions are looked through for silent ones: costs less than a timer a command."""


_INJECT = "inject"
"""What the door of this host's programs is called."""


class OpenSession(Protocol):
    """What is asked of a session while it is open, whatever it speaks."""

    last_input: float

    @property
    def is_idle(self) -> bool:
        """Whether ending it now would interrupt nothing."""

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""

    def end(self, last: Reply, result: str, /) -> None:
        """End it."""


class Sessions:
    """The open sessions of this process."""

    def __init__(self) -> None:
        self.most = 0
        self.draining = False
        self.time: Callable[[], float] = asyncio.get_running_loop().time
        self._open: set[OpenSession] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: OpenSession) -> bool:
        """Count a session; False where it is one too many."""
        if len(self._open) >= self.most:
            return False
        self._open.add(session)
        self._none_open.clear()
        return True

    def discard(self, session: OpenSession) -> None:
        """It ended."""
        self._open.discard(session)
        if not self._open:
            self._none_open.set()

    async def all_ended(self) -> None:
        """Wait until none is open."""
        await self._none_open.wait()

    def end_silent(self, silent_s: float) -> None:
        """End those from which nothing came for so long; one that waits for our answer is not silent."""
        before = self.time() - silent_s
        for session in [s for s in self._open if s.last_input < before and not s.waits_for_us]:
            session.end(replies.TIMEOUT, "timeout")

    def end_idle(self) -> None:
        """End those between transactions."""
        for session in [s for s in self._open if s.is_idle]:
            session.end(replies.STOPPING, "stopping")

    def end_all(self) -> None:
        """End all."""
        for session in list(self._open):
            session.end(replies.STOPPING, "stopping")


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
        loop = asyncio.get_running_loop()
        if name == _INJECT:
            return await loop.create_unix_server(
                lambda: InjectionSession(service, self._sessions), sock=sock, backlog=_BACKLOG
            )
        spoken = name.partition(" ")[0]
        return await loop.create_server(lambda: Session(service, spoken, self._sessions), sock=sock, backlog=_BACKLOG)

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
