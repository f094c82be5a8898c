import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.limits import JOB_MOST_S
from paperpath.process.directory import Answer
from paperpath.queue import agent, local_agents
from paperpath.queue.agent import Running
from paperpath.queue.contents import Contents
from paperpath.queue.jobs import Work
from paperpath.queue.local_agents import LocalAgents
from paperpath.store.contract import ClaimedRecipient
from paperpath.system import clock
from paperpath.wire.accounts import NOBODY, Found, NotFound, Unknown
from paperpath.wire.delivery import Result
from tests.unit.queue.scene import AgentEnd, Local, make_work, turns


def mail_for(name: str, message: int = 1, **changes: Any) -> Work:
    work = make_work("local", name, message=message, **changes)
    return Work(work.consignment, work.key, (ClaimedRecipient(0, f"{name}@here.test".encode(), 0),))


class Scene:
    """The workers, and what became of the work: every one given is counted until it is heard of again, once."""

    def __init__(self, run: Path) -> None:
        self.reported: asyncio.Queue[Work] = asyncio.Queue()
        self.lost: asyncio.Queue[Work] = asyncio.Queue()
        self.without_worker: asyncio.Queue[tuple[Work, Answer]] = asyncio.Queue()
        self.under_way = 0
        self.agents = LocalAgents(str(run), Contents(str(run)), self._reported, self._lost, self._without_worker)

    def deliver(self, *names: str) -> None:
        for name in names:
            self.under_way += 1
            self.agents.deliver(mail_for(name))

    def _reported(self, running: Running, _results: Sequence[Result]) -> None:
        self.under_way -= 1
        self.reported.put_nowait(running.work)

    def _lost(self, _name: str, running: Sequence[Running]) -> None:
        assert running
        for one in running:
            self.under_way -= 1
            self.lost.put_nowait(one.work)

    def _without_worker(self, work: Work, answer: Answer) -> None:
        self.under_way -= 1
        self.without_worker.put_nowait((work, answer))


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    local = Local(tmp_path)
    yield local
    local.close()


@pytest.fixture
async def scene(local: Local, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    await local.ready()
    yield scene
    scene.agents.close()
    await turns()
    assert scene.under_way == 0


@pytest.fixture
def two_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_agents, "WORKERS_MOST", 2)


async def put_off(scene: Scene) -> tuple[str, Unknown]:
    work, answer = await scene.without_worker.get()
    assert isinstance(answer, Unknown)
    return work.key[1], answer


async def test_mail_goes_to_the_worker_of_its_account(scene: Scene, local: Local) -> None:
    scene.deliver("alice")
    ask = await local.asked_to_start()
    assert ask.worker == "alice"
    job = await local.start(ask).deliver()
    assert job.targets[0].account is not None and job.targets[0].account.user == "alice"
    assert (await scene.reported.get()).key == ("local", "alice")


async def test_worker_is_started_once_and_stays(scene: Scene, local: Local) -> None:
    scene.deliver("alice", "alice")
    alice = await local.starts_next()
    for _ in range(2):
        await alice.deliver()
        await scene.reported.get()
    scene.deliver("alice")
    await alice.deliver()
    await scene.reported.get()
    assert local.nobody_asks


async def test_recipient_that_is_gone_or_unknown_reaches_no_worker(scene: Scene, local: Local) -> None:
    scene.deliver("nobody")
    assert isinstance((await scene.without_worker.get())[1], NotFound)
    scene.deliver("unknown")
    name, answer = await put_off(scene)
    assert (name, answer.reason, answer.ours) == ("unknown", "the user database is down", False)
    assert local.nobody_asks


async def test_mail_for_nobody_needs_no_worker(scene: Scene, local: Local) -> None:
    scene.deliver(NOBODY)
    assert isinstance((await scene.without_worker.get())[1], Found)
    assert local.nobody_asks


async def test_worker_that_cannot_start_puts_its_mail_off(scene: Scene, local: Local) -> None:
    scene.deliver("alice", "alice")
    ask = await local.asked_to_start()
    local.answer(Unknown(ask.ticket, "no such shell"))
    for _ in range(2):
        assert await put_off(scene) == ("alice", Unknown(0, "no such shell", ours=True))
    scene.deliver("alice")
    await (await local.starts_next()).deliver()
    await scene.reported.get()


async def test_worker_that_cannot_start_is_asked_about_again(
    scene: Scene, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.deliver("alice")
    ask = await local.asked_to_start()
    forgotten: list[bytes] = []
    monkeypatch.setattr(scene.agents._directory, "forget", forgotten.append)
    local.answer(Unknown(ask.ticket, "no worker has this name"))
    await put_off(scene)
    assert forgotten == [b"alice@here.test"]


async def test_no_answer_to_a_start_ever_bounces(scene: Scene, local: Local) -> None:
    scene.deliver("alice")
    local.answer(NotFound((await local.asked_to_start()).ticket))
    assert (await put_off(scene))[1].ours


async def test_worker_that_comes_too_late_is_let_go(scene: Scene, local: Local) -> None:
    scene.deliver("alice")
    ask = await local.asked_to_start()
    scene.agents._give_up_and_go_on(ask.ticket, "too late")
    assert (await put_off(scene))[1] == Unknown(0, "too late", ours=True)
    await local.start(ask).ended
    assert not scene.agents._workers


async def test_local_that_ends_puts_off_what_waited_for_it(scene: Scene, local: Local, two_places: None) -> None:
    names = {"alice", "bob", "carol", "dave"}
    scene.deliver(*sorted(names))
    for _ in range(2):
        await local.asked_to_start()
    while len(scene.agents._waiting) < 4:
        await asyncio.sleep(0)
    local.hang_up()
    answers = [await put_off(scene) for _ in names]
    assert {name for name, _ in answers} == names
    assert all(answer.ours for _, answer in answers)


async def test_local_that_is_not_there_puts_mail_off(scene: Scene, local: Local) -> None:
    local.hang_up()
    while scene.agents._link._channel is not None:
        await asyncio.sleep(0)
    scene.deliver("alice")
    name, answer = await put_off(scene)
    assert (name, answer.ours) == ("alice", True)


async def test_worker_that_dies_loses_its_jobs_and_is_started_again(scene: Scene, local: Local) -> None:
    scene.deliver("alice", "alice")
    alice = await local.starts_next()
    for _ in range(2):
        await alice.jobs.get()
    alice.close()
    for _ in range(2):
        assert (await scene.lost.get()).key == ("local", "alice")
    scene.deliver("alice")
    await (await local.starts_next()).deliver()
    await scene.reported.get()


async def test_content_that_is_gone_puts_mail_off(scene: Scene, local: Local) -> None:
    scene.under_way += 1
    scene.agents.deliver(mail_for("alice", file="gone", content=b""))
    await local.starts_next()
    _, answer = await put_off(scene)
    assert answer.ours and "cannot hand over" in answer.reason


async def test_workers_are_bounded_and_busy_ones_stay(scene: Scene, local: Local, two_places: None) -> None:
    scene.deliver("alice", "bob", "carol", "dave")
    alice, bob = await local.starts_next(), await local.starts_next()
    jobs = await alice.jobs.get(), await bob.jobs.get()
    await turns()
    assert local.nobody_asks
    alice.report(jobs[0])
    ask = await local.asked_to_start()
    assert ask.worker == "carol"
    await alice.ended
    assert not bob.ended.done()
    await local.start(ask).deliver()
    assert (await local.asked_to_start()).worker == "dave"
    bob.report(jobs[1])
    for _ in range(3):
        await scene.reported.get()


async def test_the_worker_that_is_idle_longest_makes_room(
    scene: Scene, local: Local, two_places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: dict[str, AgentEnd] = {}
    for moment, name in enumerate(["alice", "bob", "alice"]):
        monkeypatch.setattr(agent, "monotonic", lambda moment=moment: float(moment))
        scene.deliver(name)
        if name not in ends:
            ends[name] = await local.starts_next()
        await ends[name].deliver()
        await scene.reported.get()
    scene.deliver("carol")
    await ends["bob"].ended
    await (await local.starts_next()).deliver()
    await scene.reported.get()
    assert not ends["alice"].ended.done()


async def test_idle_worker_is_let_go_after_a_while(scene: Scene, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whole seconds: of others, the sum less one part is not always the other part.
    monkeypatch.setattr(agent, "monotonic", lambda: 1000.0)
    scene.deliver("alice", "bob")
    alice, bob = await local.starts_next(), await local.starts_next()
    await alice.deliver()
    await scene.reported.get()
    await bob.jobs.get()
    monkeypatch.setattr(local_agents, "monotonic", lambda: 1060.0)
    scene.agents.close_idle_and_hung()
    assert set(scene.agents._workers) == {"alice", "bob"}
    monkeypatch.setattr(local_agents, "monotonic", lambda: 1061.0)
    scene.agents.close_idle_and_hung()
    assert set(scene.agents._workers) == {"bob"}
    assert scene.lost.empty()


async def test_worker_that_hangs_is_let_go(scene: Scene, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.deliver("alice")
    alice = await local.starts_next()
    await alice.jobs.get()
    scene.agents.close_idle_and_hung()
    assert scene.lost.empty()
    began = clock.monotonic()
    monkeypatch.setattr(agent, "monotonic", lambda: began + JOB_MOST_S + 1)
    scene.agents.close_idle_and_hung()
    assert (await scene.lost.get()).key == ("local", "alice")
    await alice.ended
