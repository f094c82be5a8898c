"""The workers of `local`: one a system account, started when there is mail for it, let go when there is none.

`local`'s root half is asked twice: who is this recipient, and start me that worker.  The mail itself goes to the
worker directly, so the only process with root's rights never sees it.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from paperpath.process.directory import Answer, Directory
from paperpath.process.link import Link
from paperpath.queue.agent import Agent, OnReport, Running
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work
from paperpath.system.clock import monotonic
from paperpath.wire.accounts import Account, Found, FromLocal, StartWorker, Unknown, WorkerStarted

_IDLE_S = 60.0
"""How long a worker without mail is kept: starting one costs as much as some hundred deliveries."""

_START_WITHIN_S = 30.0

LoseAll = Callable[[str, Sequence[Running]], None]
Undeliverable = Callable[[Work, Answer], None]
"""Called for work that reached no worker, with the `NotFound` or `Unknown` that says why."""


class LocalAgents:
    """Workers by name, and the work that waits for one to start."""

    def __init__(
        self, run: str, contents: Contents, on_report: OnReport, on_lost: LoseAll, undeliverable: Undeliverable
    ) -> None:
        self._directory = Directory(f"{run}/local.lookup", "queue")
        self._link = Link(f"{run}/local.workers", "queue", FromLocal, self._answered, on_down=self._give_up_starting)
        self._contents = contents
        self._on_report, self._on_lost, self._undeliverable = on_report, on_lost, undeliverable
        self._workers: dict[str, Agent] = {}
        self._waiting: dict[str, list[tuple[Work, Account]]] = {}
        self._tickets: dict[int, str] = {}
        self._last_ticket = 0
        self._sweep = asyncio.get_running_loop().call_later(_IDLE_S, self._let_idle_go)

    def deliver(self, work: Work) -> None:
        """Find out whose it is and hand it to that worker, which may have to start first."""
        self._directory.find(work.recipients[0].address, lambda answer: self._found(work, answer))

    def close(self) -> None:
        """Let all workers go and ask nobody any more."""
        self._sweep.cancel()
        self._directory.close()
        self._link.close()
        for worker in list(self._workers.values()):
            worker.close()

    def _found(self, work: Work, answer: Answer) -> None:
        if not isinstance(answer, Found):
            self._undeliverable(work, answer)
            return
        worker = self._workers.get(answer.worker)
        if worker is not None:
            self._hand_over(worker, work, answer.account)
            return
        waiting = self._waiting.setdefault(answer.worker, [])
        waiting.append((work, answer.account))
        if len(waiting) == 1:
            self._start(answer.worker)

    def _hand_over(self, worker: Agent, work: Work, account: Account) -> None:
        try:
            worker.deliver(work, account=account)
        except OSError as error:
            self._undeliverable(work, Unknown(0, f"cannot read the message: {error.strerror}"))

    def _start(self, name: str) -> None:
        self._last_ticket += 1
        ticket = self._last_ticket
        self._tickets[ticket] = name
        if not self._link.send(StartWorker(ticket, name)):
            self._give_up(ticket, "the local process is not there")
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(_START_WITHIN_S, self._give_up, ticket, "the worker did not start in time")

    def _answered(self, frame: Answer | WorkerStarted, descriptor: int | None) -> None:
        if not isinstance(frame, WorkerStarted):
            self._give_up(frame.ticket, frame.reason if isinstance(frame, Unknown) else "no such worker")
            return
        sock = socket.socket(fileno=descriptor)
        name = self._tickets.pop(frame.ticket, None)
        if name is None:  # it was given up in the meantime
            sock.close()
            return
        worker = Agent(name, sock, self._contents, self._on_report, self._lost)
        self._workers[name] = worker
        for work, account in self._waiting.pop(name, ()):
            self._hand_over(worker, work, account)

    def _give_up(self, ticket: int, reason: str) -> None:
        name = self._tickets.pop(ticket, None)
        if name is not None:
            for work, _ in self._waiting.pop(name, ()):
                self._undeliverable(work, Unknown(0, reason))

    def _give_up_starting(self) -> None:
        for ticket in list(self._tickets):
            self._give_up(ticket, "the local process ended")

    def _lost(self, worker: Agent, running: Sequence[Running]) -> None:
        del self._workers[worker.name]
        for lost in running:
            for recipient in lost.work.recipients:
                self._directory.forget(recipient.address)
        if running:
            self._on_lost(worker.name, running)

    def _let_idle_go(self) -> None:
        for worker in list(self._workers.values()):
            if not worker.jobs and monotonic() - worker.idle_since > _IDLE_S:
                worker.close()
        self._sweep = asyncio.get_running_loop().call_later(_IDLE_S / 4, self._let_idle_go)
