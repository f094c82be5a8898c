"""The worker's side of the conversation with `queue`: batches, reports, hostile jobs, faults, the end."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from paperpath.base.outcome import Deferred, Delivered
from paperpath.delivery.deliver import Later
from paperpath.delivery.errand import Done, Errand
from paperpath.local import worker as worker_module
from paperpath.local.worker import Charge, Worker
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Forward, FromAgent, Report, Result, Target
from tests.unit.local.service import job

ACCOUNT = Account("vmail", "/mail/box.test/joe", b"", b"")
DELIVERED = Delivered("did 1+0+0")
DONE = Done(DELIVERED)
Answer = Done | Later | Exception


MAILBOXES = Charge("vmail", "/mail", instructed=False)


class Queue:
    """The other end, and what the worker delivered and logged."""

    def __init__(self, *answers: Answer) -> None:
        ours, self._theirs = socket.socketpair()
        self.batches: list[list[Errand]] = []
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.log: list[bytes] = []
        self.worker_channel: Channel
        self.answers: Sequence[Answer] = answers
        self.channel = Channel(ours, FromAgent, lambda frame, _: self.reports.put_nowait(frame), lambda _: None)

    def deliver(self, errands: Sequence[Errand]) -> Sequence[Answer]:
        self.batches.append(list(errands))
        return [self.answers[at % len(self.answers)] if self.answers else DONE for at in range(len(errands))]

    def worker(self, deliver: Any = None, charge: Charge = MAILBOXES) -> Worker:
        log = Log("local/vmail", self.log.append, lambda: 0.0)
        return Worker(self._theirs, charge, deliver or self.deliver, log)

    async def reported(self, count: int) -> list[Report]:
        return [await self.reports.get() for _ in range(count)]


@asynccontextmanager
async def serving(queue: Queue, deliver: Any = None) -> AsyncIterator[Queue]:
    task = asyncio.create_task(queue.worker(deliver).serve())
    yield queue
    queue.channel.close()
    await task


async def test_job_is_delivered_and_reported() -> None:
    async with serving(Queue()) as queue:
        queue.channel.send(job(7, ACCOUNT, sender=b"s@x"))
        assert await queue.reported(1) == [Report(7, (Result(0, DELIVERED),))]
    ((errand,),) = queue.batches
    assert (errand.account, errand.message.recipient, errand.message.sender) == (ACCOUNT, b"joe@box.test", b"s@x")


async def test_jobs_that_arrive_together_are_one_batch() -> None:
    async with serving(Queue()) as queue:
        for number in range(20):
            queue.channel.send(job(number, ACCOUNT))
        await queue.reported(20)
    assert [len(batch) for batch in queue.batches] == [20]


async def test_batch_is_bounded_in_files() -> None:
    targets = tuple(Target(number, b"joe@box.test", ACCOUNT) for number in range(150))
    async with serving(Queue()) as queue:
        queue.channel.send(job(1, ACCOUNT, targets=targets))
        (report,) = await queue.reported(1)
    assert [result.number for result in report.results] == list(range(150))
    assert [len(batch) for batch in queue.batches] == [64, 64, 22]


async def test_batch_is_bounded_in_bytes_but_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "BATCH_MOST_BYTES", 100)
    async with serving(Queue()) as queue:
        for number, size in enumerate((40, 60, 1, 500, 500)):
            queue.channel.send(job(number, ACCOUNT, b"x" * size))
        await queue.reported(5)
    assert [[len(one.message.content) for one in batch] for batch in queue.batches] == [[40, 60], [1], [500], [500]]


async def test_each_target_has_its_own_outcome() -> None:
    full = Deferred("full", code="2.2")
    targets = (Target(4, b"a@box.test", ACCOUNT), Target(9, b"b@box.test", ACCOUNT))
    async with serving(Queue(DONE, Done(full))) as queue:
        queue.channel.send(job(1, ACCOUNT, targets=targets))
        assert await queue.reported(1) == [Report(1, (Result(4, DELIVERED), Result(9, full)))]


async def test_job_without_targets_is_reported() -> None:
    async with serving(Queue()) as queue:
        queue.channel.send(job(1, ACCOUNT, targets=()))
        assert await queue.reported(1) == [Report(1, ())]


@pytest.mark.parametrize(
    "account",
    [
        None,
        Account("joe", "/mail/box.test/joe", b"", b""),
        Account("vmail", "/etc", b"", b""),
        Account("vmail", "/mailbox", b"", b""),
        Account("vmail", "/mail/../etc", b"", b""),
        Account("vmail", "/mail/box.test/../../etc", b"", b""),
        Account("vmail", "mail/box.test/joe", b"", b""),
        Account("vmail", "/mail//box.test", b"", b""),
        Account("vmail", "//mail/box.test", b"", b""),
        Account("vmail", "/mail/box.test/", b"", b""),
        Account("vmail", "/mail/a\0b", b"", b""),
        Account("vmail", "", b"", b""),
    ],
)
async def test_hostile_job_is_deferred_and_logged_and_others_go_on(account: Account | None) -> None:
    targets = (Target(0, b"evil@box.test", account), Target(1, b"joe@box.test", ACCOUNT))
    async with serving(Queue()) as queue:
        queue.channel.send(job(1, ACCOUNT, targets=targets))
        (report,) = await queue.reported(1)
    outcomes = {result.number: result.outcome for result in report.results}
    evil = outcomes[0]
    assert isinstance(evil, Deferred) and evil.code == "3.5"
    assert outcomes[1] == DELIVERED
    assert [errand.message.recipient for batch in queue.batches for errand in batch] == [b"joe@box.test"]
    assert b"process.broken" in b"".join(queue.log)


async def test_home_itself_is_inside() -> None:
    async with serving(Queue()) as queue:
        queue.channel.send(job(1, Account("vmail", "/mail", b"", b"")))
        assert await queue.reported(1) == [Report(1, (Result(0, DELIVERED),))]


async def test_fault_of_ours_defers_its_message_alone_and_is_logged() -> None:
    async with serving(Queue(DONE, ValueError("oops"), DONE)) as queue:
        for number in range(3):
            queue.channel.send(job(number, ACCOUNT))
        reports = {report.job: report.results[0].outcome for report in await queue.reported(3)}
    assert isinstance(reports[1], Deferred)
    assert reports[0] == reports[2] == DELIVERED
    assert b"ValueError: oops" in b"".join(queue.log)


async def test_fault_with_a_whole_batch_defers_it_and_the_worker_lives() -> None:
    queue = Queue()

    def broken_once(errands: Sequence[Errand]) -> Sequence[Answer]:
        if not queue.log:
            raise RuntimeError("oops")
        return queue.deliver(errands)

    async with serving(queue, broken_once):
        queue.channel.send(job(1, ACCOUNT))
        (first,) = await queue.reported(1)
        queue.channel.send(job(2, ACCOUNT))
        (second,) = await queue.reported(1)
    assert isinstance(first.results[0].outcome, Deferred)
    assert second.results[0].outcome == DELIVERED


async def test_descriptor_is_handed_on_and_closed_after_the_report() -> None:
    reading, writing = os.pipe()
    async with serving(Queue()) as queue:
        queue.channel.send(job(1, ACCOUNT, b"", size=9, attached=True), writing)
        queue.channel.flush()
        os.close(writing)
        await queue.reported(1)
        assert os.read(reading, 1) == b""  # nobody holds the other end any more
    ((errand,),) = queue.batches
    assert errand.message.source is not None and errand.message.size == 9
    os.close(reading)


async def test_what_waits_when_queue_goes_is_not_begun() -> None:
    queue = Queue()

    def ended_meanwhile(errands: Sequence[Errand]) -> Sequence[Answer]:
        queue.worker_channel.close()
        return queue.deliver(errands)

    worker = queue.worker(ended_meanwhile)
    queue.worker_channel = worker._channel
    queue.channel.send(job(1, ACCOUNT, targets=tuple(Target(n, b"joe@box.test", ACCOUNT) for n in range(100))))
    await worker.serve()
    queue.channel.close()
    assert [len(batch) for batch in queue.batches] == [64]


async def test_bytes_that_are_no_frame_end_the_worker() -> None:
    queue = Queue()
    task = asyncio.create_task(queue.worker().serve())
    await asyncio.sleep(0)
    queue.channel._sock.send(b"\0\0\0\1\xc1")
    await task
    queue.channel.close()
    assert queue.batches == []


async def test_what_has_to_be_waited_for_holds_up_nobody() -> None:
    released = threading.Event()
    forward = Forward(b"s@x", (b"a@x",), b"trace\n")

    def later() -> Done:
        assert released.wait(30)
        return Done(DELIVERED, (forward,))

    async with serving(Queue(later, DONE)) as queue:
        queue.channel.send(job(1, ACCOUNT))
        queue.channel.send(job(2, ACCOUNT))
        assert await queue.reported(1) == [Report(2, (Result(0, DELIVERED),))]
        released.set()
        assert await queue.reported(1) == [Report(1, (Result(0, DELIVERED, (forward,)),))]


async def test_fault_of_what_was_waited_for_defers_it_and_is_logged() -> None:
    def later() -> Done:
        raise ValueError("oops")

    async with serving(Queue(later)) as queue:
        queue.channel.send(job(1, ACCOUNT))
        (report,) = await queue.reported(1)
    assert isinstance(report.results[0].outcome, Deferred)
    assert b"ValueError: oops" in b"".join(queue.log)


async def test_only_so_many_wait_at_once() -> None:
    released, lock, counts = threading.Event(), threading.Lock(), [0, 0]

    def later() -> Done:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        assert released.wait(30)
        with lock:
            counts[0] -= 1
        return DONE

    async with serving(Queue(later)) as queue:
        queue.channel.send(job(1, ACCOUNT, targets=tuple(Target(n, b"joe@box.test", ACCOUNT) for n in range(30))))
        queue.channel.send(job(2, ACCOUNT, targets=()))
        await queue.reported(1)
        released.set()
        await queue.reported(1)
    assert 1 <= counts[1] <= worker_module.SLOW_MOST


async def test_what_waits_for_a_thread_when_queue_goes_is_not_begun() -> None:
    released, begun = threading.Event(), []

    def later() -> Done:
        begun.append(1)
        assert released.wait(30)
        return DONE

    queue = Queue(later)
    worker = queue.worker()
    targets = tuple(Target(n, b"joe@box.test", ACCOUNT) for n in range(30))
    queue.channel.send(job(1, ACCOUNT, targets=targets))
    serving_it = asyncio.create_task(worker.serve())
    while not begun:
        await asyncio.sleep(0)
    queue.channel.close()
    await serving_it
    finishing = asyncio.create_task(asyncio.to_thread(worker.finish))
    assert worker._threads is not None
    while worker._threads._work_queue.qsize() > 1:  # the mark that ends the threads stays in it
        await asyncio.sleep(0)
    released.set()
    await finishing
    assert len(begun) <= worker_module.SLOW_MOST


@pytest.mark.parametrize(
    ("account", "mine"),
    [
        (Account("joe", "/home/joe", b"", b""), True),
        (Account("joe", "/home/joe", b"-", b"a..b/../c"), True),
        (Account("joe", "/home/joe", b"-/", b"a"), True),
        (Account("joe", "/home/joe/below", b"", b""), False),
        (Account("joe", "/home", b"", b""), False),
        (Account("joe", "/home/jim", b"", b""), False),
        (Account("jim", "/home/joe", b"", b""), False),
        (Account("joe", "/home/joe", b"/../../tmp/", b"a"), False),
        (Account("joe", "/home/joe", b"-\0", b"a"), False),
        (Account("joe", "/home/joe", b"-", b"a\0"), False),
    ],
)
def test_whose_instructions_are_obeyed(account: Account, mine: bool) -> None:
    assert Charge("joe", "/home/joe", instructed=True).has(account) == mine


def no_more_threads(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the pool have ``after`` threads, as where a limit of processes is reached."""
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def limited(thread: threading.Thread) -> None:
        if len(begun) >= after:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


async def test_thread_that_cannot_be_had_defers_its_delivery_alone_and_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []

    def later() -> Done:
        begun.append(1)
        return DONE

    async with serving(Queue(later, DONE)) as queue:
        no_more_threads(monkeypatch, after=0)
        queue.channel.send(job(1, ACCOUNT))
        queue.channel.send(job(2, ACCOUNT))
        reports = {report.job: report.results[0].outcome for report in await queue.reported(2)}
        assert isinstance(reports[1], Deferred) and reports[1].ours
        assert reports[2] == DELIVERED
        monkeypatch.undo()
        queue.channel.send(job(3, ACCOUNT))
        assert await queue.reported(1) == [Report(3, (Result(0, DELIVERED),))]
    assert begun == [1]  # the deferred one is not done behind the queue's back
    assert b"can't start new thread" in b"".join(queue.log)
