"""The workers of `local`: one a system account, started when there is mail for it, let go when there is none.

`local`'s root half is asked twice: who is this recipient, and start me that worker.  The mail itself goes to the
worker directly, so the only process with root's rights never sees it.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from paperpath.base.limits import WORKERS_MOST
from paperpath.process.directory import Answer, Directory
from paperpath.process.link import Link
from paperpath.queue.agent import Agent, OnReport, OnWorkLost, Running
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work
from paperpath.system.clock import monotonic
from paperpath.wire.accounts import NOBODY, Account, Found, FromLocal, StartWorker, Unknown, WorkerStarted
from paperpath.wire.delivery import Result

_IDLE_S = 60.0
"""How long a worker without mail is kept: starting one costs as much as some hundred deliveries."""

_START_WITHIN_S = 30.0

WithoutWorker = Callable[[Work, Answer], None]
"""Called for work that reached no worker, with why: ``Found`` where there is nothing to do."""


class LocalAgents:
    """Workers by name, and the work that waits for one to start.

    There are ``WORKERS_MOST`` at the most.  Work for one more waits until another is idle, which is then let go.
    """

    def __init__(
        self, run: str, contents: Contents, on_report: OnReport, on_lost: OnWorkLost, without_worker: WithoutWorker
    ) -> None:
        self._directory = Directory(f"{run}/local.lookup", "queue")
        self._link = Link(f"{run}/local.workers", "queue", FromLocal, self._answered, on_down=self._give_up_starting)
        self._contents = contents
        self._on_report, self._on_lost, self._without_worker = on_report, on_lost, without_worker
        self._workers: dict[str, Agent] = {}
        self._waiting: dict[str, list[tuple[Work, Account]]] = {}
        self._starting: dict[int, str] = {}
        self._last_ticket = 0

    def deliver(self, work: Work) -> None:
        """Find out whose it is and hand it to that worker, which may have to start first."""
        self._directory.find(work.recipients[0].address, lambda answer: self._found(work, answer))

    def close(self) -> None:
        """Let all workers go and ask nobody any more."""
        self._directory.close()
        self._link.close()
        for worker in list(self._workers.values()):
            worker.close()

    def close_idle_and_hung(self) -> None:
        """Let go those that have had nothing to do for a while, or one thing for too long."""
        for worker in list(self._workers.values()):
            if worker.jobs:
                worker.close_if_hung()
            elif monotonic() - worker.idle_since > _IDLE_S:
                worker.close()

    def _found(self, work: Work, answer: Answer) -> None:
        if not isinstance(answer, Found) or answer.worker == NOBODY:
            self._without_worker(work, answer)
            return
        worker = self._workers.get(answer.worker)
        if worker is not None:
            self._hand_over(worker, work, answer.account)
        elif answer.worker in self._waiting:
            self._waiting[answer.worker].append((work, answer.account))
        else:
            self._waiting[answer.worker] = [(work, answer.account)]
            self._start_next()

    def _hand_over(self, worker: Agent, work: Work, account: Account) -> None:
        try:
            worker.deliver(work, account=account)
        except OSError as error:
            self._without_worker(work, _our_trouble(f"cannot hand over the message: {error}"))

    # Starting

    def _start_next(self) -> None:
        """Start the workers that are waited for, longest first, as far as there are places or one can be made."""
        while (name := self._next_to_start()) is not None:
            if len(self._workers) + len(self._starting) < WORKERS_MOST:
                self._start(name)
                continue
            idle = [worker for worker in self._workers.values() if not worker.jobs]
            if idle:
                min(idle, key=lambda worker: worker.idle_since).close()  # its end comes back here
            return

    def _next_to_start(self) -> str | None:
        return next((name for name in self._waiting if name not in self._starting.values()), None)

    def _start(self, name: str) -> None:
        self._last_ticket += 1
        ticket = self._last_ticket
        self._starting[ticket] = name
        if self._link.send(StartWorker(ticket, name)):
            late = "the worker did not start in time"
            asyncio.get_running_loop().call_later(_START_WITHIN_S, self._give_up_and_go_on, ticket, late)
        else:
            self._give_up(ticket, "the local process is not there")

    def _answered(self, frame: Answer | WorkerStarted, descriptor: int | None) -> None:
        if not isinstance(frame, WorkerStarted):
            reason = frame.reason if isinstance(frame, Unknown) else "no such worker"
            self._give_up_and_go_on(frame.ticket, reason)
            return
        sock = socket.socket(fileno=descriptor)
        name = self._starting.pop(frame.ticket, None)
        if name is None:  # it was given up in the meantime
            sock.close()
            return
        worker = self._workers[name] = Agent(name, sock, self._contents, self._reported, self._lost)
        for work, account in self._waiting.pop(name, ()):
            self._hand_over(worker, work, account)
        self._start_next()

    def _give_up(self, ticket: int, reason: str) -> None:
        name = self._starting.pop(ticket, None)
        if name is not None:
            for work, _ in self._waiting.pop(name, ()):
                # The name may be one of before: of an account that changed, or of former settings.
                self._forget(work)
                self._without_worker(work, _our_trouble(reason))

    def _give_up_and_go_on(self, ticket: int, reason: str) -> None:
        self._give_up(ticket, reason)
        self._start_next()

    def _give_up_starting(self) -> None:
        for ticket in list(self._starting):
            self._give_up(ticket, "the local process ended")
        self._start_next()  # the places that this leaves are not asked for by anybody else

    def _forget(self, work: Work) -> None:
        for recipient in work.recipients:
            self._directory.forget(recipient.address)

    # Working

    def _reported(self, running: Running, results: Sequence[Result]) -> None:
        self._on_report(running, results)
        if self._waiting:
            self._start_next()

    def _lost(self, worker: Agent, running: Sequence[Running]) -> None:
        del self._workers[worker.name]
        for lost in running:
            self._forget(lost.work)
        if running:
            self._on_lost(worker.name, running)
        self._start_next()


def _our_trouble(reason: str) -> Unknown:
    return Unknown(0, reason, ours=True)
