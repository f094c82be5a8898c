"""A worker: takes jobs from `queue`, delivers them as its one user, reports each when it is durable.

Runs as: the recipient (or the owner of the mailboxes).  Reads and writes: below its folder only.  Believes:
nobody about where to write; a job for another user or a folder outside is deferred and logged.  Whoever takes
it over can do what that user can.

It does one thing at a time: everything that arrived while the last batch was being synced is the next batch,
so batches grow with the load and a single message is not kept waiting for company.  A thread for the disk was
tried: passing the interpreter's lock to and fro at each system call cost more than reading meanwhile gained.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from paperpath.base.ids import show_id
from paperpath.base.outcome import Deferred, Outcome
from paperpath.local.maildir import Delivery
from paperpath.process.child import describe
from paperpath.system.channel import Channel
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import FromQueue, Job, Report, Result, Target
from paperpath.wire.frame import Hello

BATCH_MOST_FILES = 64
BATCH_MOST_BYTES = 4 * 1024 * 1024
"""Of content that lies in memory; a batch holds one message at least."""

Deliver = Callable[[Sequence[Delivery]], Sequence[Outcome | Exception]]

_OUR_FAULT = Deferred("The delivery agent failed on this message.", code="3.0")
_NOT_MINE = Deferred("The delivery agent was given another's mail.", code="3.5")


@dataclass(slots=True)
class _Open:
    """A job that is not reported yet."""

    job: Job
    source: int | None
    results: list[Result] = field(default_factory=list)


_Item = tuple[_Open, Target, Delivery]


class Worker:
    """The conversation with `queue` and the work it gives."""

    def __init__(self, sock: socket.socket, folder: str, user: str, deliver: Deliver, log: Log) -> None:
        self._folder = os.path.normpath(folder)
        self._user = user
        self._deliver = deliver
        self._log = log
        self._waiting: deque[_Item] = deque()
        self._scheduled = False
        self._over = asyncio.Event()
        self._channel = Channel(sock, FromQueue | Hello, self._take, lambda _: self._over.set())

    async def serve(self) -> None:
        """Work until `queue` ends the conversation.

        What only waits then is not begun: with nobody to report to, it would be delivered a second time.
        """
        await self._over.wait()

    def _take(self, frame: Job | Hello, descriptor: int | None) -> None:
        if isinstance(frame, Hello):
            return
        open_job = _Open(frame, descriptor)
        for target in frame.targets:
            account = target.account
            if account is not None and self._is_mine(account):
                self._waiting.append((open_job, target, _delivery(open_job, target.address, account.home)))
            else:
                self._broken(frame, f"not for {self._user} in {self._folder}: {account}")
                self._settle(open_job, target, _NOT_MINE)
        if not frame.targets:
            self._report(open_job)
        self._schedule()

    def _is_mine(self, account: Account) -> bool:
        """Tell whether an account names this worker's user and a folder that is, by its very name, in its
        own."""
        home = account.home
        if account.user != self._user or "\0" in home or os.path.normpath(home) != home:
            return False
        return home == self._folder or home.startswith(self._folder + "/")

    def _schedule(self) -> None:
        """Begin in the next turn of the loop: by then all that has arrived is read."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        self._scheduled = False
        if self._channel.closed:
            return
        batch = self._next_batch()
        for (open_job, target, _), result in zip(batch, self._attempt(batch), strict=True):
            self._settle(open_job, target, result)
        self._schedule()

    def _next_batch(self) -> list[_Item]:
        batch: list[_Item] = []
        room = BATCH_MOST_BYTES
        while self._waiting and len(batch) < BATCH_MOST_FILES:
            room -= len(self._waiting[0][2].content)
            if batch and room < 0:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _attempt(self, batch: list[_Item]) -> Sequence[Outcome | Exception]:
        try:
            return self._deliver([delivery for _, _, delivery in batch])
        except Exception as error:
            return [error] * len(batch)

    def _settle(self, open_job: _Open, target: Target, result: Outcome | Exception) -> None:
        """Note what became of a target.  An exception is a fault of ours: logged, and a reason to try
        again."""
        if isinstance(result, Exception):
            self._broken(open_job.job, describe(result))
            result = _OUR_FAULT
        open_job.results.append(Result(target.number, result))
        if len(open_job.results) == len(open_job.job.targets):
            self._report(open_job)

    def _report(self, open_job: _Open) -> None:
        if open_job.source is not None:
            os.close(open_job.source)
        self._channel.send(Report(open_job.job.job, tuple(open_job.results)))

    def _broken(self, job: Job, error: str) -> None:
        self._log.emit(ProcessBroken(where=f"delivery of {show_id(job.message)}", error=error))


def _delivery(open_job: _Open, recipient: bytes, home: str) -> Delivery:
    job = open_job.job
    return Delivery(home, recipient, job.sender, job.trace, job.content, open_job.source, job.size)
