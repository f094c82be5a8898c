"""What the tests of `queue` share: settings, work, a log to wait for, agents and `local` played by a test."""

import asyncio
import os
import socket
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from paperpath.base.outcome import Delivered, Outcome
from paperpath.config.routing import RoutingTable
from paperpath.process.settings import QueueSettings
from paperpath.queue.jobs import Consignment, Work
from paperpath.store.contract import ClaimedRecipient
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Account, Found, FromAsker, Lookup, NotFound, StartWorker, Unknown, WorkerStarted
from paperpath.wire.delivery import FromQueue, Job, Report, Result
from paperpath.wire.frame import Hello
from tests.unit.process.peer import Peer

NOW = 1_000_000
HOUR = 3600
CONTENT = b"Subject: hello\n\nHello.\n"
ROUTING = RoutingTable(b"mx.test", frozenset({b"here.test"}), frozenset(), {b"v.test": b"bob"}, frozenset(), {})


def queue_settings(folder: Path, **changes: Any) -> QueueSettings:
    values: dict[str, Any] = {
        "hostname": "mx.test",
        "run": str(folder),
        "log_as_json": False,
        "routing": ROUTING,
        "folder": str(folder / "queue"),
        "lifetime_s": 7 * 24 * HOUR,
        "local_concurrency": 10,
        "remote_concurrency": 10,
        "local_destination_concurrency": 10,
        "remote_destination_concurrency": 10,
        "transaction_recipients": 100,
        "bounce_local_part": "MAILER-DAEMON",
        "double_bounce_to": "postmaster@far.test",
        "intake_users": (),
        "remote_users": (),
        "operator_users": (),
    }
    return QueueSettings(**(values | changes))


def consignment(**changes: Any) -> Consignment:
    values: dict[str, Any] = {
        "message": 1,
        "sender": b"sender@far.test",
        "trace": b"",
        "content": CONTENT,
        "size": len(CONTENT),
        "birth": NOW,
        "smtputf8": False,
        "file": "",
    }
    return Consignment(**(values | changes))


def make_work(channel: str = "remote", destination: str = "far.test", count: int = 1, **changes: Any) -> Work:
    domain = destination.encode()
    recipients = tuple(ClaimedRecipient(number, b"r%d@%b" % (number, domain), 0) for number in range(count))
    return Work(consignment(**changes), (channel, destination), recipients)


async def turns(count: int = 50) -> None:
    """Let the loop go round: what is done by callbacks alone is done then."""
    for _ in range(count):
        await asyncio.sleep(0)


class Lines:
    """A log, and its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._came = asyncio.Event()
        self.log = Log("queue", self._write, lambda: 0.0)

    def with_event(self, event: str) -> list[str]:
        return [line for line in self.lines if line.split()[2] == event]

    async def logged(self, event: str, count: int = 1) -> list[str]:
        """Return the lines of an event once there are so many."""
        while len(found := self.with_event(event)) < count:
            self._came.clear()
            await self._came.wait()
        return found

    def _write(self, data: bytes) -> None:
        self.lines.extend(data.decode().splitlines())
        self._came.set()


class AgentEnd:
    """The other end of a conversation with an agent: takes jobs, reports on them when a test says so."""

    def __init__(self, sock: socket.socket) -> None:
        self.jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.descriptors: deque[int] = deque()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.channel = Channel(sock, FromQueue, self._frame, self.ended.set_result)

    def report(self, job: Job, *results: Result) -> None:
        self.channel.send(Report(job.job, results))

    def report_all(self, job: Job, outcome: Outcome) -> None:
        self.report(job, *(Result(target.number, outcome) for target in job.targets))

    async def deliver(self, outcome: Outcome | None = None) -> Job:
        """Take the next job and report the same of all its recipients."""
        job = await self.jobs.get()
        self.report_all(job, outcome or Delivered("ok"))
        return job

    def _frame(self, job: Job, descriptor: int | None) -> None:
        if descriptor is not None:
            self.descriptors.append(descriptor)
        self.jobs.put_nowait(job)

    def close(self) -> None:
        self.channel.close()
        while self.descriptors:
            os.close(self.descriptors.popleft())


def agent_pair() -> tuple[AgentEnd, socket.socket]:
    ours, theirs = socket.socketpair()
    return AgentEnd(ours), theirs


class Local:
    """`local`'s root half: every address has an account by the name of its local part, but for two."""

    def __init__(self, run: Path) -> None:
        self._lookups = Peer(run / "local.lookup", FromAsker)
        self._starts = Peer(run / "local.workers", FromAsker)
        self._answering = asyncio.create_task(self._answer())
        self._workers: list[AgentEnd] = []

    async def ready(self) -> None:
        """Return once both conversations are begun."""
        await self._lookups.channels.get()
        await self._starts.channels.get()
        assert isinstance(await self._starts.heard.get(), Hello)

    async def asked_to_start(self) -> StartWorker:
        while not isinstance(frame := await self._starts.heard.get(), StartWorker):
            pass
        return frame

    @property
    def nobody_asks(self) -> bool:
        """Whether no start is asked for, as far as was heard."""
        return self._starts.heard.empty()

    def start(self, ask: StartWorker) -> AgentEnd:
        worker, theirs = agent_pair()
        self._workers.append(worker)
        self._starts.send(WorkerStarted(ask.ticket), theirs.fileno())
        theirs.close()
        return worker

    async def starts_next(self) -> AgentEnd:
        return self.start(await self.asked_to_start())

    def answer(self, frame: msgspec.Struct) -> None:
        self._starts.send(frame)

    def hang_up(self) -> None:
        self._starts.hang_up()

    def close(self) -> None:
        self._answering.cancel()
        self._lookups.close()
        self._starts.close()
        for worker in self._workers:
            worker.close()

    async def _answer(self) -> None:
        while True:
            frame = await self._lookups.heard.get()
            if isinstance(frame, Lookup):
                self._lookups.send(_known(frame))


def _known(lookup: Lookup) -> Found | NotFound | Unknown:
    name = lookup.address.partition(b"@")[0].decode()
    if name == "nobody":
        return NotFound(lookup.ticket)
    if name == "unknown":
        return Unknown(lookup.ticket, "the user database is down")
    return Found(lookup.ticket, name, Account(name, f"/home/{name}", b"", b""))
