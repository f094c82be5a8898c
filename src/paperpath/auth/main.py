"""`auth` as a process: its socket, and those who ask there."""

import asyncio
import socket

from paperpath.auth.bench import Bench
from paperpath.auth.desk import Desk
from paperpath.auth.uses import Uses
from paperpath.process.child import Listeners
from paperpath.process.doors import Doors
from paperpath.process.settings import AuthSettings
from paperpath.system.chance import random_bytes
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.logins import LOGINS_FRAME_MOST_BYTES, FromLoginClient

_SECRET_BYTES = 32


class AuthRole:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._secret = random_bytes(_SECRET_BYTES)
        self._bench: Bench | None = None
        self._uses: Uses
        self._desks: set[Desk] = set()
        self._doors = Doors()

    async def configure(self, settings: AuthSettings, listeners: Listeners) -> None:
        """Judge by these settings from now on; attempts that are under way end by theirs."""
        former = self._bench
        if former is None:
            self._uses = Uses(settings.uses_file, self._log)
        self._bench = Bench(settings, self._secret)
        for desk in self._desks:
            desk.bench = self._bench
        if former is not None:
            asyncio.get_running_loop().call_later(former.settings.timeout_s, former.close)
        self._doors.serve(listeners, {name: (settings.client_users, self._connected) for name, _ in listeners})

    async def drain(self, grace_s: float) -> None:
        """End what is being judged; then nobody is let in any more."""
        self._doors.close()
        under_way = [task for desk in self._desks for task in desk.under_way]
        if under_way:
            await asyncio.wait(under_way, timeout=grace_s)
        for desk in list(self._desks):
            desk.channel.flush()
            desk.channel.close()
        if self._bench is not None:
            self._uses.write()
            self._bench.close()

    def _connected(self, sock: socket.socket) -> None:
        bench = self._bench
        assert bench is not None
        desk = Desk(bench, self._uses, self._log)

        def ended(reason: str) -> None:
            self._desks.discard(desk)
            desk.ended(reason)

        desk.channel = Channel(sock, FromLoginClient, desk.take, ended, frame_most_bytes=LOGINS_FRAME_MOST_BYTES)
        self._desks.add(desk)
