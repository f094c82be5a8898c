import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from paperpath.base.limits import JOB_MOST_S
from paperpath.base.outcome import Delivered
from paperpath.queue import agent as agent_module
from paperpath.queue.agent import Agent, Running
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Report, Result, Target
from paperpath.wire.frame import VERSION, Hello
from tests.unit.queue.scene import CONTENT, agent_pair, make_work, turns

OK = Delivered("ok")


class Scene:
    """An agent, its other end, and what became of its jobs."""

    def __init__(self, folder: Path) -> None:
        self.end, sock = agent_pair()
        self.reports: list[tuple[Work, Sequence[Result]]] = []
        self.lost: list[list[Work]] = []
        self.agent = Agent("remote", sock, Contents(str(folder)), self._reported, self._lost)

    def _reported(self, running: Running, results: Sequence[Result]) -> None:
        self.reports.append((running.work, results))

    def _lost(self, agent: Agent, running: Sequence[Running]) -> None:
        assert agent is self.agent
        self.lost.append([one.work for one in running])


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.agent.close()
    scene.end.close()
    assert scene.agent.jobs == 0
    assert len(scene.lost) == 1


async def test_job_says_all_that_an_agent_needs(scene: Scene) -> None:
    account = Account("alice", "/home/alice", b"-", b"x")
    work = make_work(count=2, sender=b"", trace=b"Received: x\n", smtputf8=True)
    scene.agent.deliver(work, route="smtp://relay.test", account=account)
    job = await scene.end.jobs.get()
    assert job.targets == (Target(0, b"r0@far.test", account), Target(1, b"r1@far.test", account))
    assert (job.message, job.sender, job.destination, job.route) == (1, b"", "far.test", "smtp://relay.test")
    assert (job.trace, job.content, job.size) == (b"Received: x\n", CONTENT, len(CONTENT))
    assert (job.smtputf8, job.attached) == (True, False)


async def test_verp_sender_is_expanded(scene: Scene) -> None:
    scene.agent.deliver(make_work(sender=b"list-@here.test-@[]"))
    assert (await scene.end.jobs.get()).sender == b"list-r0=far.test@here.test"


async def test_large_content_travels_as_a_descriptor_that_is_not_kept(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"large")
    before = len(os.listdir("/proc/self/fd"))
    scene.agent.deliver(make_work(file="big", content=b"", size=5))
    job = await scene.end.jobs.get()
    assert (job.attached, job.content, job.size) == (True, b"", 5)
    assert os.pread(scene.end.descriptors[0], 99, 0) == b"large"
    assert len(os.listdir("/proc/self/fd")) == before + 1


async def test_content_that_cannot_be_read_is_no_job(scene: Scene) -> None:
    with pytest.raises(FileNotFoundError):
        scene.agent.deliver(make_work(file="gone", content=b""))
    assert scene.agent.jobs == 0
    scene.agent.deliver(make_work())
    assert (await scene.end.jobs.get()).job == 1


async def test_reports_come_in_any_order_and_belong_to_their_job(scene: Scene) -> None:
    works = [make_work(message=message) for message in (1, 2, 3)]
    for work in works:
        scene.agent.deliver(work)
    jobs = [await scene.end.jobs.get() for _ in works]
    for number in (2, 0, 1):
        scene.end.report_all(jobs[number], Delivered(str(number)))
    await turns()
    assert [work.consignment.message for work, _ in scene.reports] == [3, 1, 2]
    assert [results for _, results in scene.reports] == [(Result(0, Delivered(str(n))),) for n in (2, 0, 1)]
    assert scene.agent.jobs == 0


@pytest.mark.parametrize("job", [2, 0, -1])
async def test_report_on_a_job_that_it_does_not_have_ends_the_conversation(scene: Scene, job: int) -> None:
    work = make_work()
    scene.agent.deliver(work)
    await scene.end.jobs.get()
    scene.end.channel.send(Report(job, (Result(0, OK),)))
    await scene.end.ended
    assert not scene.reports
    assert scene.lost == [[work]]


async def test_second_report_on_a_job_ends_the_conversation(scene: Scene) -> None:
    scene.agent.deliver(make_work())
    job = await scene.end.jobs.get()
    scene.end.report_all(job, OK)
    scene.end.report_all(job, OK)
    await scene.end.ended
    assert len(scene.reports) == 1
    assert scene.lost == [[]]


async def test_greeting_is_passed_over(scene: Scene) -> None:
    scene.end.channel.send(Hello(VERSION, "remote"))
    scene.agent.deliver(make_work())
    await scene.end.deliver()
    await turns()
    assert len(scene.reports) == 1


async def test_jobs_of_an_agent_that_goes_are_lost_once(scene: Scene) -> None:
    works = [make_work(message=message) for message in (1, 2)]
    for work in works:
        scene.agent.deliver(work)
    for _ in works:
        await scene.end.jobs.get()
    scene.end.close()
    await turns()
    assert scene.lost == [works]
    with pytest.raises(ConnectionError):
        scene.agent.deliver(make_work())
    assert scene.agent.jobs == 0


async def test_agent_hangs_that_has_its_oldest_job_for_too_long(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    monkeypatch.setattr(agent_module, "monotonic", lambda: moment)
    assert scene.agent.oldest_s == 0.0
    scene.agent.deliver(make_work(message=1))
    moment = 10.0
    scene.agent.deliver(make_work(message=2))
    moment = float(JOB_MOST_S)
    scene.agent.close_if_hung()
    assert not scene.lost
    await scene.end.deliver()
    await turns()
    moment = JOB_MOST_S + 10.0
    assert scene.agent.oldest_s == JOB_MOST_S
    scene.agent.close_if_hung()
    assert not scene.lost
    moment += 1
    scene.agent.close_if_hung()
    assert [[work.consignment.message for work in lost] for lost in scene.lost] == [[2]]


async def test_idle_time_begins_with_the_last_report(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for message in (1, 2):
        scene.agent.deliver(make_work(message=message))
    monkeypatch.setattr(agent_module, "monotonic", lambda: 5e9)
    await scene.end.deliver()
    await turns()
    assert scene.agent.idle_since < 5e9
    await scene.end.deliver()
    await turns()
    assert scene.agent.idle_since == 5e9
