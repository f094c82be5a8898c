"""One child process: started, told its settings, watched, started again, drained."""

import asyncio
import signal
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from paperpath.base.text import describe
from paperpath.supervise.plan import Part
from paperpath.system.channel import Channel
from paperpath.system.clock import monotonic
from paperpath.system.spawn import Process, how_it_ended, spawn_with_socket
from paperpath.telemetry.events import ProcessEnded, ProcessStarted, SettingsRejected
from paperpath.telemetry.log import Log
from paperpath.wire.supervision import Configure, Drain, FromChild, Listener, Ready, Rejected

_PAUSE_FIRST_S = 0.1
_PAUSE_MOST_S = 10.0
_STEADY_S = 30.0
"""A process that lived this long is started again at once when it ends; one that did not waits longer each time."""

_ANSWER_MOST_S = 15.0
"""How long a process may take to put settings in force, its start included."""

_KILL_AFTER_S = 5.0
"""How long past its grace a process that drains is let live."""

Note = Callable[[str, str], None]
"""Whom to tell which process ended before it worked, and how; or that it works, with an empty how."""

Answer = asyncio.Future[str | None]
"""To settings: None where they are in force, else why not."""


class Child:
    """A process of the plan, alive or about to be."""

    def __init__(self, part: Part, sockets: Mapping[str, socket.socket], log: Log, note: Note) -> None:
        self.part = part
        self._sockets, self._log, self._note = sockets, log, note
        self._refused = ""
        """Why it did not take its first settings, where it said so."""
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._questions: deque[Answer] = deque()
        """What each ``Configure`` that is not answered yet will be answered."""
        self._first = _answer()
        """What the first of the process that runs, or else of the next, is answered."""
        self._pause = _PAUSE_FIRST_S
        self._started = 0.0
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self.start()

    def start(self) -> None:
        """Start the process and tell it its settings; where that fails, for whatever reason, it is tried again."""
        self._started = monotonic()
        try:
            self._start()
        except Exception as error:
            self._give_up(f"could not be started: {error if isinstance(error, OSError) else describe(error)}")

    async def ready(self) -> str | None:
        """Wait until the process has taken its first settings; return None, or why it did not."""
        return await asyncio.shield(self._first)

    async def ready_soon(self) -> str | None:
        """As ``ready``, for as long as a process may take."""
        return await _in_time(self.ready())

    async def configure(self, part: Part) -> str | None:
        """Give it other settings; return None when they are in force, else why not: then it has those before."""
        former, self.part = self.part, part
        reason = await _in_time(self._go_over())
        if reason is not None:
            self.part = former
            if self._questions:  # it may take them yet; what it is told last holds
                self._ask()
        return reason

    async def go_back(self, part: Part) -> None:
        """Give it the settings it had before; one that does not take them is ended, and started again with them."""
        self.part = part
        if self._channel is None:
            return
        reason = await _in_time(self._ask())
        if reason is not None and not self._questions:
            self._kill()

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
        """End it now, for good."""
        self._stopping = True
        self._kill()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._process, ours = spawn_with_socket(f"paperpath.{self.part.role}", (), self.part.user)
        self._channel = Channel(ours, FromChild, self._answered, lambda _: None)
        self._log.emit(ProcessStarted(role=self.part.name, pid=self._process.pid))
        self._tell()
        self._questions.append(self._first)
        loop.add_reader(self._process.pidfd, self._ended)

    def _give_up(self, how: str) -> None:
        """Do away with a process that could not be started in full."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(_KILL_AFTER_S)  # blocks, but only for as long as the kernel needs
        self._ended_how(0 if process is None else process.pid, how)

    async def _go_over(self) -> str | None:
        if self._channel is None:
            return await self.ready()
        was_up = self._first.done()
        reason = await self._ask()
        if reason is None or was_up or self._first.done():
            return reason
        return await self.ready()  # it had just begun with the settings before, and ended over them

    def _ask(self) -> Answer:
        """Tell the process its part; return what will be its answer.  One that cannot be told all of it is ended."""
        answer = _answer()
        try:
            self._tell()
        except Exception as error:
            self._kill()
            answer.set_result(f"could not be told: {describe(error)}")
        else:
            self._questions.append(answer)
        return answer

    def _tell(self) -> None:
        assert self._channel is not None
        for name in self.part.doors:
            self._channel.send(Listener(name), self._sockets[name].fileno())
        self._channel.send(Configure(self.part.settings))

    def _answered(self, frame: Ready | Rejected, _descriptor: int | None) -> None:
        if not self._questions:
            raise ValueError("an answer to nothing")
        question = self._questions.popleft()
        reason = frame.reason if isinstance(frame, Rejected) else None
        if question is self._first and reason is not None:
            self._log.emit(SettingsRejected(role=self.part.name, reason=reason))
            self._refused = reason
            self._first = _answer()
        elif question is self._first:
            self._note(self.part.name, "")
        _resolve(question, reason)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        process = self._process
        assert process is not None
        asyncio.get_running_loop().remove_reader(process.pidfd)
        status = process.poll()
        self._process = None
        self._ended_how(process.pid, how_it_ended(status))

    def _ended_how(self, pid: int, how: str) -> None:
        """Leave the conversation of the process that ended, and have it started again unless it was to end."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        questions = [*self._questions, self._first]
        self._questions.clear()
        had_worked = self._first.done()
        self._first = _answer()
        if self._stopping:
            self._gone.set()
        else:
            self._start_again(pid, how, had_worked)
        for question in questions:
            _resolve(question, how)

    def _start_again(self, pid: int, how: str, had_worked: bool) -> None:
        if monotonic() - self._started > _STEADY_S:
            self._pause = _PAUSE_FIRST_S
        self._log.emit(ProcessEnded(role=self.part.name, pid=pid, how=how, restart_s=self._pause))
        if not had_worked:  # one that did is back in a moment, and whoever asks it should wait for that
            self._note(self.part.name, f"{how}: {self._refused}" if self._refused else how)
        self._refused = ""
        self._again = asyncio.get_running_loop().call_later(self._pause, self.start)
        self._pause = min(self._pause * 2, _PAUSE_MOST_S)


def _answer() -> Answer:
    return asyncio.get_running_loop().create_future()


def _resolve(question: Answer, reason: str | None) -> None:
    if not question.done():
        question.set_result(reason)


async def _in_time(answer: Awaitable[str | None]) -> str | None:
    try:
        # Not wait_for: in Python 3.11 that forgets a cancellation where the answer has just come.
        async with asyncio.timeout(_ANSWER_MOST_S):
            return await answer
    except TimeoutError:
        return f"no answer within {_ANSWER_MOST_S:g} s"
