"""The readers that live now: at most one of a name that takes new mailboxes, ``_TAKING_MOST`` of these.

One whose mailboxes are all closed stays for a while.  Where there are as many as may be, the one that has stayed
longest gives way.
"""

import asyncio
import signal
import socket
from dataclasses import dataclass

from paperpath.local.lookup import CannotTell, Identity
from paperpath.local.workers import log_form, whom
from paperpath.system.channel import Channel
from paperpath.system.spawn import Process, how_it_ended, spawn_with_socket
from paperpath.telemetry.events import ProcessEnded
from paperpath.telemetry.log import Log
from paperpath.wire.mailbox import Admit, FromReader, Idle

_TAKING_MOST = 64
"""Each is an interpreter of its own, some 20 MB; the mailboxes of `paperpath account` share one."""
_LIVING_MOST = _TAKING_MOST + 16
"""Some are on their way out."""
KEEP_S = 60.0
"""How long one stays when its last mailbox is closed, unless there is need of its place: the next login of this user
need not wait for a new one."""
_FRAME_MOST_BYTES = 4096
_MODULE = "paperpath.local.reader_main"


@dataclass(slots=True)
class _Living:
    """One reader."""

    process: Process
    channel: Channel
    ended: "asyncio.Future[None]"
    admitted: int = 0
    going: asyncio.TimerHandle | None = None
    """Set while it has no mailbox: when it is let go."""


class Readers:
    """Starts, counts, lets go and reaps them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._taking: dict[str, _Living] = {}
        self._processes: list[_Living] = []

    def admit(self, name: str, identity: Identity, home: str) -> socket.socket:
        """Return an end of a conversation with the mailbox in ``home``.  Raises CannotTell, OSError."""
        reader = self._taking.get(name)
        if reader is None or reader.channel.closed:
            reader = self._taking[name] = self._start(name, identity)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader.channel.send(Admit(home), theirs.fileno())
            except OSError:
                ours.close()
                raise
        reader.admitted += 1
        _keep(reader)
        return ours

    async def end(self, grace_s: float) -> None:
        """Let all go, which then end with their last mailbox; kill those that outlast the grace."""
        for reader in self._processes:
            reader.channel.flush()
            reader.channel.close()
        living = [reader.ended for reader in self._processes]
        if living:
            await asyncio.wait(living, timeout=grace_s)
        for reader in list(self._processes):
            reader.process.send_signal(signal.SIGKILL)
        if self._processes:
            await asyncio.wait([reader.ended for reader in self._processes])

    def _start(self, name: str, identity: Identity) -> _Living:
        self._make_room()
        arguments = [identity.folder, identity.user, log_form(self._log)]
        try:
            process, ours = spawn_with_socket(_MODULE, arguments, whom(identity))
        except OSError as error:
            raise CannotTell(f"the reader could not be started: {error.strerror or error}") from error
        loop = asyncio.get_running_loop()
        channel = Channel(
            ours,
            FromReader,
            lambda frame, _: self._idle(reader, frame),
            lambda _: None,
            frame_most_bytes=_FRAME_MOST_BYTES,
        )
        reader = _Living(process, channel, loop.create_future())
        self._processes.append(reader)
        loop.add_reader(process.pidfd, self._ended, name, reader)
        return reader

    def _make_room(self) -> None:
        """Raises CannotTell where there is none."""
        taking = [reader for reader in self._processes if not reader.channel.closed]
        if len(taking) >= _TAKING_MOST:
            idle = [(reader.going.when(), reader) for reader in taking if reader.going is not None]
            if not idle:
                raise CannotTell("too many readers")
            min(idle, key=lambda one: one[0])[1].channel.close()
        if len(self._processes) >= _LIVING_MOST:
            raise CannotTell("too many readers that do not end")

    def _idle(self, reader: _Living, frame: Idle) -> None:
        # One that was given a mailbox meanwhile will say so again.
        if frame.admitted == reader.admitted:
            _keep(reader)
            reader.going = asyncio.get_running_loop().call_later(KEEP_S, reader.channel.close)

    def _ended(self, name: str, reader: _Living) -> None:
        asyncio.get_running_loop().remove_reader(reader.process.pidfd)
        self._processes.remove(reader)
        _keep(reader)
        reader.channel.close()
        status = reader.process.poll()
        reader.ended.set_result(None)
        if status:
            how = how_it_ended(status)
            self._log.emit(ProcessEnded(role=f"mailbox reader {name}", pid=reader.process.pid, how=how, restart_s=0.0))


def _keep(reader: _Living) -> None:
    """Do not let it go yet."""
    if reader.going is not None:
        reader.going.cancel()
        reader.going = None
