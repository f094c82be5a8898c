"""The role: jobs in from the queue, outcomes back.

When the queue ends, it has deferred what it gave out: what only waits here is dropped, since it will come again.  Work
under way is still finished, because mail that is half sent is best sent in full, but nobody is told.
"""

import asyncio

from paperpath.config.endpoints import parse_server
from paperpath.dns.resolver import Resolver, Server, system_servers
from paperpath.process.child import Listeners
from paperpath.process.link import Link
from paperpath.process.settings import RemoteSettings
from paperpath.remote.delivery import Delivery
from paperpath.remote.memory import AddressMemory
from paperpath.remote.pool import Pool
from paperpath.remote.reach import Reach
from paperpath.system.clock import monotonic
from paperpath.telemetry.log import Log
from paperpath.wire.delivery import FromQueue, Job, Report

_DNS_PORT = 53


class RemoteRole:
    """What `run_role` drives."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._pool = Pool(log)
        self._memory = AddressMemory()
        self._link: Link | None = None
        self._conversation = 0
        """Counts the conversations with the queue: a report belongs to the one that its job came in."""
        self._draining = False

    async def configure(self, settings: RemoteSettings, listeners: Listeners) -> None:
        """Use these settings for every connection from now on.  Raises ValueError."""
        if listeners:
            raise ValueError("remote listens nowhere")
        resolver = Resolver(name_servers(settings.resolver), monotonic)
        reach = Reach(settings, resolver, self._memory, self._log, self._pool, self._pool.register)
        self._pool.configure(reach.open, settings.connections_most)
        if self._link is None:
            path = f"{settings.run}/queue.remote"
            self._link = Link(path, "remote", FromQueue, self._take, on_down=self._queue_gone)

    async def drain(self, grace_s: float) -> None:
        """Finish what is under way, part with the peers, then with the queue."""
        self._draining = True
        await self._pool.drain(grace_s)
        if self._link is not None:
            await asyncio.sleep(0)  # the last reports leave at the end of the turn they were made in
            self._link.close()

    def _take(self, job: Job, descriptor: int | None) -> None:
        conversation = self._conversation

        def report(frame: Report) -> None:
            if conversation == self._conversation and self._link is not None:
                self._link.send(frame)

        delivery = Delivery(job, descriptor, report)
        if self._draining or not job.targets:
            delivery.drop()
        else:
            self._pool.take(delivery)

    def _queue_gone(self) -> None:
        self._conversation += 1
        self._pool.drop_waiting()


def name_servers(setting: str) -> tuple[Server, ...]:
    """Return the name servers to ask: the one that the setting names, or the system's.  Raises ValueError."""
    if setting:
        server = parse_server(setting, _DNS_PORT)
        return ((server.host, server.port),)
    return system_servers()
