"""A worker: takes jobs from `queue`, delivers them as its one user, reports each when it is durable.

Runs as: the recipient (or the owner of the mailboxes).  Reads and writes: below the folder of the mailboxes
only; for a recipient, what that user's dot-qmail files say.  Believes: nobody about whose files to obey and
where to write; a job for another user or folder is deferred and logged.  Whoever takes it over can do what that
user can.

Maildirs and forwards are done one batch at a time: everything that arrived while the last batch was being
synced is the next batch, so batches grow with the load and a single message is not kept waiting for company.  A
thread for the disk was tried: passing the interpreter's lock to and fro at each system call cost more than
reading meanwhile gained.  Programs and locks are waited for in threads, so that they hold up nobody.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from paperpath.base.ids import show_id
from paperpath.base.outcome import Deferred
from paperpath.base.text import describe
from paperpath.delivery.deliver import Later
from paperpath.delivery.errand import Done, Errand, Message
from paperpath.system.channel import Channel
from paperpath.system.threads import in_thread
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import FromQueue, Job, Report, Result, Target
from paperpath.wire.frame import Hello

BATCH_MOST_FILES = 64
BATCH_MOST_BYTES = 4 * 1024 * 1024
"""Of content that lies in memory; a batch holds one message at least."""

SLOW_MOST = 10
"""Deliveries at once that wait for programs or locks, a thread each: qmail's own number for a whole host."""

Deliver = Callable[[Sequence[Errand]], Sequence[Done | Later | Exception]]

_OUR_FAULT = Done(Deferred("The delivery agent failed on this message.", code="3.0", ours=True))
_NOT_MINE = Done(Deferred("The delivery agent was given another's mail.", code="3.5", ours=True))


@dataclass(frozen=True, slots=True)
class Charge:
    """Whose mail a worker delivers, and where.  Whatever else a job asks for is refused, whoever sent it."""

    user: str
    folder: str
    """A home, or the folder of all mailboxes; absolute and normal."""
    instructed: bool
    """A home, whose dot-qmail files are obeyed: it is the folder itself and nothing below it, since somebody
    else's words might have got there."""

    def __str__(self) -> str:
        return f"{self.user} in {self.folder}"

    def has(self, account: Account) -> bool:
        """Tell whether an account names this user and a folder that is, by its very name, in this one."""
        home = account.home
        if account.user != self.user or "\0" in home or os.path.normpath(home) != home:
            return False
        if self.instructed:
            # Names of files are made of both; but dots of an extension are replaced, so only a dash leads out.
            safe = b".." not in account.dash and b"\0" not in account.dash + account.extension
            return safe and home == self.folder
        return home == self.folder or home.startswith(self.folder + "/")


@dataclass(slots=True)
class _Open:
    """A job that is not reported yet."""

    job: Job
    source: int | None
    results: list[Result] = field(default_factory=list)


_Item = tuple[_Open, Target, Errand]


class Worker:
    """The conversation with `queue` and the work it gives."""

    def __init__(self, sock: socket.socket, charge: Charge, deliver: Deliver, log: Log) -> None:
        self._charge = charge
        self._deliver = deliver
        self._threads: ThreadPoolExecutor | None = None
        self._log = log
        self._waiting: deque[_Item] = deque()
        self._scheduled = False
        self._over = asyncio.Event()
        self._channel = Channel(sock, FromQueue | Hello, self._take, lambda _: self._over.set())

    async def serve(self) -> None:
        """Work until `queue` ends the conversation.

        What only waits then is not begun: with nobody to report to, it would be delivered a second time.
        Returns at once; slow deliveries may still be under way, and `finish` waits for them.
        """
        await self._over.wait()

    def finish(self) -> None:
        """Block until the slow deliveries under way have ended, and begin no other."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def _take(self, frame: Job | Hello, descriptor: int | None) -> None:
        if isinstance(frame, Hello):
            return
        open_job = _Open(frame, descriptor)
        for target in frame.targets:
            account = target.account
            if account is not None and self._charge.has(account):
                self._waiting.append((open_job, target, _errand(open_job, target.address, account)))
            else:
                self._broken(frame, f"not for {self._charge}: {account}")
                self._settle(open_job, target, _NOT_MINE)
        if not frame.targets:
            self._report(open_job)
        self._schedule()

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
            if isinstance(result, Done | Exception):
                self._settle(open_job, target, result)
            else:
                self._do_later(open_job, target, result)
        self._schedule()

    def _do_later(self, open_job: _Open, target: Target, work: Later) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(SLOW_MOST)
        in_thread(self._threads, work, partial(self._done_later, open_job, target))

    def _done_later(self, open_job: _Open, target: Target, result: Done | Exception) -> None:
        if not self._channel.closed:
            self._settle(open_job, target, result)

    def _next_batch(self) -> list[_Item]:
        batch: list[_Item] = []
        room = BATCH_MOST_BYTES
        while self._waiting and len(batch) < BATCH_MOST_FILES:
            room -= len(self._waiting[0][2].message.content)
            if batch and room < 0:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _attempt(self, batch: list[_Item]) -> Sequence[Done | Later | Exception]:
        try:
            return self._deliver([errand for _, _, errand in batch])
        except Exception as error:
            return [error] * len(batch)

    def _settle(self, open_job: _Open, target: Target, result: Done | Exception) -> None:
        """Note what became of a target.  An exception is a fault of ours: logged, and a reason to try
        again."""
        if isinstance(result, Exception):
            self._broken(open_job.job, describe(result))
            result = _OUR_FAULT
        open_job.results.append(Result(target.number, result.outcome, result.forwards))
        if len(open_job.results) == len(open_job.job.targets):
            self._report(open_job)

    def _report(self, open_job: _Open) -> None:
        if open_job.source is not None:
            os.close(open_job.source)
        self._channel.send(Report(open_job.job.job, tuple(open_job.results)))

    def _broken(self, job: Job, error: str) -> None:
        self._log.emit(ProcessBroken(where=f"delivery of {show_id(job.message)}", error=error))


def _errand(open_job: _Open, recipient: bytes, account: Account) -> Errand:
    job = open_job.job
    return Errand(account, Message(recipient, job.sender, job.trace, job.content, open_job.source, job.size))
