"""The drop folder: messages that programs left while the service was stopped.

Any user may add files to the folder; this process owns it, reads them, and takes each away once the queue has it.  Who
left a message says the kernel: the file's owner.  What is no message (a link, a pipe, half a file) is moved aside.
"""

import asyncio
from collections import deque
from collections.abc import Iterator

from paperpath.base.text import describe
from paperpath.receive.parcel import Answer, Parcel, program
from paperpath.receive.service import Service
from paperpath.system import dropped
from paperpath.system.injection import DROP_VERSION
from paperpath.telemetry.events import DropRefused, ProcessBroken

_SCAN_EVERY_S = 60.0
_PARTS_A_TURN = 16
"""How much of a message is read before others have their turn."""


class Drops:
    """Takes the messages of one folder, one after the other."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._service: Service | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None
        self._stopping = False
        self._settled: set[str] = set()
        """Names that could not be taken away: what lies there must not be taken twice, nor refused every minute."""

    def serve(self, service: Service) -> None:
        """Take what is there, now and every minute, with these settings."""
        self._service = service
        if self._work is None and self._timer is None:
            self._scan()

    async def stop(self) -> None:
        """Finish the message that is under way, and take no other."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            await self._work

    def _scan(self) -> None:
        self._timer = None
        self._work = asyncio.get_running_loop().create_task(self._take_all())
        self._work.add_done_callback(self._scanned)

    def _scanned(self, _task: "asyncio.Task[None]") -> None:
        self._work = None
        if not self._stopping:
            self._timer = asyncio.get_running_loop().call_later(_SCAN_EVERY_S, self._scan)

    async def _take_all(self) -> None:
        service = self._service
        assert service is not None
        try:
            listed = await asyncio.to_thread(dropped.list_dropped, self._folder)
            self._settled.intersection_update(listed)
            names = deque(name for name in listed if name not in self._settled)
        except Exception as error:  # the files stay; the next scan tries again
            service.log.emit(ProcessBroken(where="drop folder", error=describe(error)))
            return
        while names and not self._stopping:
            await self._take_or_leave(service, names.popleft())

    async def _take_or_leave(self, service: Service, name: str) -> None:
        """Take one message; what goes wrong with it leaves it for the next scan, and holds up no other."""
        try:
            await self._take(service, name)
        except Exception as error:
            service.log.emit(ProcessBroken(where="drop folder", error=f"{name}: {describe(error)}"))

    async def _take(self, service: Service, name: str) -> None:
        try:
            with dropped.open_dropped(self._folder, name) as file:
                answer = await self._read(service, file)
        except dropped.NotAMessage as error:
            answer = Answer("", str(error))
        except FileNotFoundError:
            return
        if answer.letter == "K":
            self._settled.add(name)
            dropped.remove_dropped(self._folder, name)
            self._settled.discard(name)
        elif answer.letter != "Z":
            self._set_aside(service, name, answer.text)

    async def _read(self, service: Service, file: dropped.Dropped) -> Answer:
        """Return what became of a file's message; it is durable in the queue where the letter is K."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        parcel = Parcel(service, program(service, file.uid), future.set_result)
        try:
            for number, part in enumerate(_without_version(file)):
                if future.done() or parcel.ended:
                    raise dropped.NotAMessage("more than one message")
                parcel.receive(part)
                if number % _PARTS_A_TURN == 0:
                    await asyncio.sleep(0)
            if not parcel.ended:
                raise dropped.NotAMessage("it is not complete")
            return await future
        finally:
            parcel.drop()

    def _set_aside(self, service: Service, name: str, reason: str) -> None:
        try:
            place = dropped.set_aside(self._folder, name)
        except OSError as error:
            self._settled.add(name)
            place = f"where it was: {error.strerror}"
        service.log.emit(DropRefused(file=name, place=place, reason=reason))


def _without_version(file: dropped.Dropped) -> Iterator[bytes]:
    first = True
    for part in file.parts():
        if first and not part.startswith(DROP_VERSION):
            raise dropped.NotAMessage("it does not begin with a version that is known")
        yield part[len(DROP_VERSION) :] if first else part
        first = False
