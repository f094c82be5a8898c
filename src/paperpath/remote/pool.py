"""Which connection carries which job.

A job takes an idle connection to its destination or waits for one that is being opened; for every job that waits one
is, as far as the limit on connections allows.  A connection that has finished takes the next job that waits, whichever
came first.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from paperpath.base.outcome import Deferred, Failed, Outcome
from paperpath.base.text import describe
from paperpath.protocol.smtp_client_events import Finished
from paperpath.remote.connection import Connection
from paperpath.remote.delivery import Delivery
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log

Open = Callable[[str], Awaitable[Connection | Deferred | Failed]]

_SWEEP_S = 1.0
"""How exact deadlines are; the shortest is five seconds."""
_GOODBYE_S = 1.0
_OUR_TROUBLE = Deferred("trouble at this host", code="3.0", ours=True)
_GONE_AT_ONCE = Deferred("the server closed the connection at once", code="4.2")


class _Destination:
    """Jobs and connections of one destination."""

    __slots__ = ("connections", "idle", "opening", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Delivery] = deque()
        self.idle: list[Connection] = []
        self.opening = 0
        self.connections = 0

    @property
    def forgettable(self) -> bool:
        return not (self.waiting or self.opening or self.connections)


class Pool:
    """All connections of the process.  ``configure`` comes first."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open: Open | None = None
        self._most = 0
        self._destinations: dict[str, _Destination] = {}
        self._watched: set[Connection] = set()
        self._carrying: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._starved: dict[str, None] = {}
        self._sweeping = False
        self._draining = False
        self._changed = asyncio.Event()
        self._busy = 0

    def configure(self, open_connection: Open, connections_most: int) -> None:
        """Open connections this way from now on."""
        self._open = open_connection
        self._most = connections_most

    def register(self, connection: Connection) -> None:
        """Watch over a new connection's deadlines."""
        self._watched.add(connection)
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def take(self, delivery: Delivery) -> None:
        """Deliver, now or as soon as there is a connection."""
        self._busy += 1
        key = delivery.key
        destination = self._destinations.get(key)
        if destination is None:
            destination = self._destinations[key] = _Destination()
        while destination.idle:
            connection = destination.idle.pop()
            if connection.usable:
                connection.deliver(delivery)
                return
        destination.waiting.append(delivery)
        self._open_more(key, destination)

    def drop_waiting(self) -> None:
        """Forget the jobs that no transaction has begun for: whoever gave them out will give them out again."""
        for key, destination in list(self._destinations.items()):
            while destination.waiting:
                destination.waiting.popleft().drop()
                self._busy -= 1
            self._forget(key, destination)
        self._starved.clear()
        self._changed.set()

    async def drain(self, grace_s: float) -> None:
        """Finish what is under way within the time, then say goodbye everywhere."""
        self._draining = True
        for destination in self._destinations.values():
            while destination.idle:
                destination.idle.pop().quit()
        await self._wait(lambda: not self._busy, grace_s)
        for task in self._opening:
            task.cancel()
        for connection in tuple(self._watched):
            if not connection.leaving:
                connection.abort("this host is going down")
        await self._wait(lambda: not self._watched, _GOODBYE_S)
        for connection in tuple(self._watched):
            connection.abort("this host is going down")

    # What connections tell.

    def finished(self, connection: Connection, delivery: Delivery, event: Finished) -> None:
        """Report a job, and give its connection the next."""
        key = connection.key
        destination = self._destinations[key]
        if event.untouched and connection.transactions > 1:
            destination.waiting.appendleft(delivery)
        else:
            self._finish(delivery, event.outcomes)
        self._employ(connection, destination)
        self._open_more(key, destination)

    def closed(self, connection: Connection) -> None:
        """A connection is over."""
        self._watched.discard(connection)
        self._changed.set()
        if connection not in self._carrying:
            return
        self._carrying.discard(connection)
        destination = self._destinations[connection.key]
        destination.connections -= 1
        if connection in destination.idle:
            destination.idle.remove(connection)
        self._forget(connection.key, destination)
        while self._starved and len(self._carrying) + len(self._opening) < self._most:
            key = next(iter(self._starved))
            del self._starved[key]
            self._open_more(key, self._destinations[key])

    def broken(self, delivery: Delivery | None, error: Exception) -> None:
        """A defect of ours ended a connection, with this job under way on it."""
        self._log.emit(ProcessBroken(where="remote connection", error=describe(error)))
        if delivery is not None:
            self._finish(delivery, (_OUR_TROUBLE,) * len(delivery.job.targets))

    def _finish(self, delivery: Delivery, outcomes: tuple[Outcome, ...]) -> None:
        self._busy -= 1
        if not self._busy:
            self._changed.set()
        delivery.finish(outcomes)

    def _employ(self, connection: Connection, destination: _Destination) -> None:
        """Let a connection do what is wanted most: the next mail here, or making room for who got no connection."""
        others_starve = len(self._starved) > (connection.key in self._starved)
        if not connection.usable:
            connection.quit()
        elif destination.waiting and not (others_starve and connection.transactions):
            connection.deliver(destination.waiting.popleft())
        elif others_starve or self._draining:
            connection.quit()
        else:
            destination.idle.append(connection)

    def _open_more(self, key: str, destination: _Destination) -> None:
        while destination.opening < len(destination.waiting):
            if len(self._carrying) + len(self._opening) >= self._most:
                self._starved[key] = None
                self._make_room()
                return
            destination.opening += 1
            task = asyncio.create_task(self._connect(key, destination))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _make_room(self) -> None:
        """Part with an idle connection; when it is closed, the starved get their turn."""
        for destination in self._destinations.values():
            if destination.idle:
                destination.idle.pop(0).quit()
                return

    async def _connect(self, key: str, destination: _Destination) -> None:
        assert self._open is not None
        result: Connection | Deferred | Failed = _OUR_TROUBLE
        try:
            result = await self._open(key)
        except Exception as error:
            self._log.emit(ProcessBroken(where=f"remote connecting to {key}", error=describe(error)))
        destination.opening -= 1
        if isinstance(result, Connection) and result.usable:
            self._carrying.add(result)
            destination.connections += 1
            self._employ(result, destination)
        elif destination.waiting:
            delivery = destination.waiting.popleft()
            outcome = _GONE_AT_ONCE if isinstance(result, Connection) else result
            self._finish(delivery, (outcome,) * len(delivery.job.targets))
        self._open_more(key, destination)
        self._forget(key, destination)

    def _forget(self, key: str, destination: _Destination) -> None:
        if destination.forgettable and self._destinations.get(key) is destination:
            del self._destinations[key]
            self._starved.pop(key, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._watched):
            if connection.deadline < now:
                connection.expire()
        self._sweeping = bool(self._watched)
        if self._sweeping:
            loop.call_later(_SWEEP_S, self._sweep)

    async def _wait(self, done: Callable[[], bool], most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
