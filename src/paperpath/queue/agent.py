"""One delivery agent as the queue sees it: a `remote` process, or a worker of `local`.

The conversation carries jobs one way and reports the other.  A report is believed once, and for a job of this agent
only.  When the conversation ends, whatever was under way is lost: its outcome will never be known.
"""

import os
import socket
from collections.abc import Callable, Sequence

import msgspec

from paperpath.base.limits import JOB_MOST_S
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work
from paperpath.system.channel import Channel
from paperpath.system.clock import monotonic, now
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import FromAgent, Job, Report, Result, Target
from paperpath.wire.frame import Hello


class Running(msgspec.Struct, frozen=True):
    """A job that an agent has."""

    work: Work
    began: int
    began_monotonic: float


OnReport = Callable[[Running, Sequence[Result]], None]
OnLost = Callable[["Agent", Sequence[Running]], None]
OnWorkLost = Callable[[str, Sequence[Running]], None]
"""The same, for those who know agents by their names."""


class Agent:
    """One agent and the jobs it has."""

    def __init__(
        self, name: str, sock: socket.socket, contents: Contents, on_report: OnReport, on_lost: OnLost
    ) -> None:
        self.name = name
        self._contents = contents
        self.idle_since = monotonic()
        self._on_report, self._on_lost = on_report, on_lost
        self._running: dict[int, Running] = {}
        self._last_job = 0
        self._channel = Channel(sock, FromAgent, self._frame, self._closed)

    @property
    def jobs(self) -> int:
        """How many jobs it has."""
        return len(self._running)

    @property
    def oldest_s(self) -> float:
        """For how long it has had its oldest job; 0 where it has none."""
        return next((monotonic() - running.began_monotonic for running in self._running.values()), 0.0)

    def deliver(self, work: Work, *, route: str = "", account: Account | None = None) -> None:
        """Give it a job.  Raises OSError where the content cannot be read, or the agent is gone."""
        if self._channel.closed:
            raise ConnectionError(f"the {self.name} process is gone")
        consignment = work.consignment
        content = self._contents.open(consignment.file) if consignment.file else None
        job = Job(
            job=self._last_job + 1,
            message=consignment.message,
            sender=work.sender,
            targets=tuple(Target(r.number, r.address, account, r.terms) for r in work.recipients),
            trace=consignment.trace,
            content=consignment.content,
            size=consignment.size,
            destination=work.key[1],
            route=route,
            smtputf8=consignment.smtputf8,
            attached=content is not None,
            terms=consignment.terms,
        )
        try:
            self._channel.send(job, content)
        finally:
            if content is not None:
                os.close(content)
        self._last_job += 1
        self._running[self._last_job] = Running(work, int(now()), monotonic())

    def close_if_hung(self) -> None:
        """Let it go where it has had a job for too long."""
        if self.oldest_s > JOB_MOST_S:
            self._channel.close()

    def close(self) -> None:
        """End the conversation; jobs it still has are lost."""
        self._channel.close()

    def _frame(self, frame: Hello | Report, _descriptor: int | None) -> None:
        if isinstance(frame, Hello):
            return
        running = self._running.pop(frame.job, None)
        if running is None:
            raise ValueError("a report on a job that this agent does not have")
        if not self._running:
            self.idle_since = monotonic()
        self._on_report(running, frame.results)

    def _closed(self, _reason: str) -> None:
        lost, self._running = list(self._running.values()), {}
        self._on_lost(self, lost)
