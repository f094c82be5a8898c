"""`local`'s end of the conversation with its nursery, which is started when it is needed."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping, Sequence

from paperpath.local.lookup import CannotTell
from paperpath.system.channel import Channel
from paperpath.system.spawn import ROOM_FOR_TITLE, Adopted, Process, how_it_ended, spawn_with_socket
from paperpath.system.users import User
from paperpath.telemetry.events import ProcessEnded
from paperpath.telemetry.log import Log
from paperpath.wire.nursery import FromNursery, Grown, NotReared, Rear, Reared

_MODULE = "paperpath.local.nursery"
_WITHIN_S = 20.0
_FRAME_MOST_BYTES = 64 * 1024


class Nurse:
    """Asks for workers, and hears how they ended."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._nursery: Process | None = None
        self._channel: Channel | None = None
        self._waiting: dict[int, tuple[str, asyncio.Future[Adopted]]] = {}
        """Names and answers by ticket."""
        self._names: dict[int, str] = {}
        self._last_ticket = 0

    async def rear(
        self, name: str, user: User, arguments: Sequence[str], environment: Mapping[str, str], theirs: socket.socket
    ) -> Adopted:
        """Return a worker that has ``theirs`` for its conversation.  Raises CannotTell."""
        channel = self._open_channel()
        self._last_ticket += 1
        ticket = self._last_ticket
        answer: asyncio.Future[Adopted] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = name, answer
        try:
            asked = Rear(ticket, user.uid, user.gid, tuple(arguments), dict(environment))
            channel.send(asked, theirs.fileno())
            return await asyncio.wait_for(answer, _WITHIN_S)
        except TimeoutError:
            self._give_up(channel)
            raise CannotTell("the worker was not started in time") from None
        finally:
            del self._waiting[ticket]

    def _give_up(self, channel: Channel) -> None:
        """Have another nursery next time: one that says nothing for so long may never again."""
        if channel is self._channel and self._nursery is not None:
            self._nursery.send_signal(signal.SIGKILL)
            channel.close()

    def close(self) -> None:
        """End the nursery; its workers are others' to end."""
        if self._channel is not None:
            self._channel.close()

    def _open_channel(self) -> Channel:
        if self._channel is not None:
            return self._channel
        try:
            process, ours = spawn_with_socket(_MODULE, [ROOM_FOR_TITLE], None)
        except OSError as error:
            raise CannotTell(f"the nursery could not be started: {error.strerror or error}") from error
        self._nursery = process
        self._channel = Channel(ours, FromNursery, self._heard, self._closed, frame_most_bytes=_FRAME_MOST_BYTES)
        asyncio.get_running_loop().add_reader(process.pidfd, self._ended, process)
        return self._channel

    def _heard(self, frame: Reared | NotReared | Grown, descriptor: int | None) -> None:
        match frame:
            case Reared(ticket=ticket, pid=pid):
                assert descriptor is not None, "the channel sees to that"
                name, answer = self._waiting.get(ticket, ("", None))
                if answer is None or answer.done():
                    os.close(descriptor)  # it sees that nobody speaks to it, and ends
                else:
                    self._names[pid] = name
                    answer.set_result(Adopted(pid, descriptor))
            case NotReared(ticket=ticket, reason=reason):
                self._refuse(ticket, f"the worker could not be started: {reason}")
            case Grown(pid=pid, status=status):
                name = self._names.pop(pid, "")
                if status:
                    self._tell(f"local worker {name}", pid, status)

    def _closed(self, _reason: str) -> None:
        self._channel = None
        self._names.clear()  # nobody tells of their ends any more
        for ticket in list(self._waiting):
            self._refuse(ticket, "the nursery ended")

    def _refuse(self, ticket: int, reason: str) -> None:
        _, answer = self._waiting.get(ticket, ("", None))
        if answer is not None and not answer.done():
            answer.set_exception(CannotTell(reason))

    def _ended(self, process: Process) -> None:
        asyncio.get_running_loop().remove_reader(process.pidfd)
        status = process.poll()
        if self._nursery is process and self._channel is not None:
            self._channel.close()
        if status:
            self._tell("local nursery", process.pid, status)

    def _tell(self, role: str, pid: int, status: int) -> None:
        self._log.emit(ProcessEnded(role=role, pid=pid, how=how_it_ended(status), restart_s=0.0))
