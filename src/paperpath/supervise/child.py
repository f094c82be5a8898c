"""One child process: started, told its settings, watched, started again, drained."""

import asyncio
import signal
import socket
from collections.abc import Mapping

from paperpath.supervise.plan import Part
from paperpath.system.channel import Channel
from paperpath.system.clock import monotonic
from paperpath.system.spawn import Process, spawn
from paperpath.telemetry.events import ProcessEnded, ProcessStarted
from paperpath.telemetry.log import Log
from paperpath.wire.supervision import Configure, Drain, FromChild, Listener, Ready, Rejected

_PAUSE_FIRST_S = 0.1
_PAUSE_MOST_S = 10.0
_STEADY_S = 30.0
"""A process that lived this long is started again at once when it ends; one that did not waits longer each time."""

_KILL_AFTER_S = 5.0
"""How long past its grace a process that drains is let live."""


class Child:
    """A process of the plan, alive or about to be."""

    def __init__(self, part: Part, sockets: Mapping[str, socket.socket], log: Log) -> None:
        self.part = part
        self._sockets, self._log = sockets, log
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._answers: list[asyncio.Future[str | None]] = []
        self._pause = _PAUSE_FIRST_S
        self._started = 0.0
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self.start()

    def start(self) -> None:
        """Start the process and tell it its settings."""
        loop = asyncio.get_running_loop()
        self._started = monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                module, arguments = f"paperpath.{self.part.role}", [str(theirs.fileno())]
                self._process = spawn(module, arguments, [theirs.fileno()], self.part.user, {})
            except OSError as error:
                ours.close()
                self._ended_how(0, f"could not be started: {error}")
                return
        self._log.emit(ProcessStarted(role=self.part.name, pid=self._process.pid))
        loop.add_reader(self._process.pidfd, self._ended)
        self._channel = Channel(ours, FromChild, self._answered, lambda _: None)
        self._tell()

    async def configure(self, part: Part) -> str | None:
        """Give it other settings; return None when they are in force, else why not."""
        former, self.part = self.part, part
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._tell()
        reason = await answer
        if reason is not None:
            self.part = former
        return reason

    async def ready(self) -> str | None:
        """Wait until the process has taken its first settings; return None, or why it did not."""
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return await answer

    async def stop(self, grace_s: float) -> None:
        """Let it finish what is under way; end it by force where it takes much longer."""
        self._stopping = True
        if self._again is not None:
            self._again.cancel()
        if self._process is None:
            return
        if self._channel is not None:
            self._channel.send(Drain(grace_s))
        try:
            await asyncio.wait_for(self._gone.wait(), grace_s + _KILL_AFTER_S)
        except TimeoutError:
            self.kill()
            await self._gone.wait()

    def kill(self) -> None:
        """End it now."""
        self._stopping = True
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def _tell(self) -> None:
        if self._channel is None:
            return
        for name in self.part.doors:
            self._channel.send(Listener(name), self._sockets[name].fileno())
        self._channel.send(Configure(self.part.settings))

    def _answered(self, frame: Ready | Rejected, _descriptor: int | None) -> None:
        reason = frame.reason if isinstance(frame, Rejected) else None
        self._resolve(reason)

    def _resolve(self, reason: str | None) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            if not answer.done():
                answer.set_result(reason)

    def _ended(self) -> None:
        process = self._process
        assert process is not None
        asyncio.get_running_loop().remove_reader(process.pidfd)
        status = process.poll()
        self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._stopping:
            self._gone.set()
            return
        self._ended_how(process.pid, _how(status))

    def _ended_how(self, pid: int, how: str) -> None:
        if monotonic() - self._started > _STEADY_S:
            self._pause = _PAUSE_FIRST_S
        self._log.emit(ProcessEnded(role=self.part.name, pid=pid, how=how, restart_s=self._pause))
        self._again = asyncio.get_running_loop().call_later(self._pause, self.start)
        self._pause = min(self._pause * 2, _PAUSE_MOST_S)
        self._resolve(how)


def _how(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit {status}"
    return signal.Signals(-status).name
