"""The `remote` processes: which are there, and which gets what."""

import socket
import zlib
from collections.abc import Callable, Sequence

from paperpath.config.routing import RoutingTable, next_hop
from paperpath.queue.agent import Agent, OnReport, OnWorkLost, Running
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work


class RemoteAgents:
    """They connect; a destination always goes to the same one while it is there, so that connections are reused.

    ``on_change`` is told whether at least one is there.
    """

    def __init__(
        self, contents: Contents, on_report: OnReport, on_lost: OnWorkLost, on_change: Callable[[bool], None]
    ) -> None:
        self._contents = contents
        self._on_report, self._on_lost, self._on_change = on_report, on_lost, on_change
        self._agents: list[Agent] = []

    def connected(self, sock: socket.socket) -> None:
        """A `remote` process came."""
        self._agents.append(Agent("remote", sock, self._contents, self._on_report, self._lost))
        self._on_change(True)

    def deliver(self, work: Work, table: RoutingTable) -> None:
        """Hand over a job.  Raises OSError where nobody is there to take it, or its content cannot be read."""
        if not self._agents:
            raise ConnectionError("no remote process is connected")
        destination = work.key[1]
        agent = self._agents[zlib.crc32(destination.encode()) % len(self._agents)]
        agent.deliver(work, route=next_hop(table, destination))

    def close_hung(self) -> None:
        """Let go those that have had a job for too long."""
        for agent in list(self._agents):
            agent.close_if_hung()

    def close(self) -> None:
        """Let them go."""
        for agent in list(self._agents):
            agent.close()

    def _lost(self, agent: Agent, running: Sequence[Running]) -> None:
        self._agents.remove(agent)
        if not self._agents:
            self._on_change(False)
        self._on_lost(agent.name, running)
