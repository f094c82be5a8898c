import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from paperpath.queue import schedule as schedule_module
from paperpath.queue.jobs import Work
from paperpath.queue.journal import Journal
from paperpath.queue.schedule import Schedule
from paperpath.queue.window import Key, Limits, Window
from paperpath.queue.writer import Writer
from paperpath.store.contract import Claimed, ClaimedRecipient, DestinationDue, StoreFull
from tests.unit.queue.scene import NOW, Lines, turns

ENDLESS = 10**9


class Backlog:
    """A store, as far as a schedule asks it: so many messages due at each destination."""

    def __init__(self, due: dict[str, int], channel: str = "remote") -> None:
        self.due = due
        self.channel = channel
        self.later: int | None = None
        self.claims: list[tuple[str, int, int]] = []
        """Destination, most and recipients a group of each claim."""
        self.looks = 0
        self.trouble: Exception | None = None
        """What a claim ends with."""

    def due_destinations(
        self, now: int, most: int, channels: frozenset[str], skip: frozenset[Key]
    ) -> list[DestinationDue]:
        self.looks += 1
        names = [name for name, count in self.due.items() if count and (self.channel, name) not in skip]
        return [DestinationDue(self.channel, name, NOW) for name in names[:most]] if self.channel in channels else []

    def next_due(self, now: int) -> int | None:
        return self.later

    def claim(self, channel: str, destination: str, now: int, most: int, per_group: int) -> list[Claimed]:
        self.claims.append((destination, most, per_group))
        if self.trouble is not None:
            raise self.trouble
        count = min(most, self.due[destination])
        self.due[destination] -= count
        to = (ClaimedRecipient(0, b"a@far.test", 0),)
        return [Claimed(1, b"", b"", b"", 0, NOW, False, "", channel, destination, to)] * count


class Turns:
    """A writer that answers in the next turn of the loop."""

    def __init__(self, store: Backlog) -> None:
        self._store = store

    def call(self, function: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        def answer() -> None:
            try:
                result = function(self._store)
            except Exception as error:
                result = error
            done(result)

        asyncio.get_running_loop().call_soon(answer)


class Scene:
    """A schedule over a backlog; jobs end when a test says so, or at once."""

    def __init__(self, backlog: Backlog, limits: Limits, *, at_once: bool) -> None:
        self.backlog = backlog
        self.window = Window({"remote": limits, "local": limits})
        self.begun: Counter[str] = Counter()
        self.under_way: list[Work] = []
        self.lines = Lines()
        self._at_once = at_once
        writer = cast(Writer, Turns(backlog))
        self.schedule = Schedule(self.window, writer, Journal(self.lines.log), self._begin, 50)

    def _begin(self, work: Work) -> None:
        self.begun[work.key[1]] += 1
        self.under_way.append(work)
        if self._at_once:
            asyncio.get_running_loop().call_soon(self.end)

    def end(self, which: int = 0) -> None:
        self.window.end(self.under_way.pop(which).key)
        self.schedule.pump()

    async def look(self) -> None:
        self.schedule.look()
        await turns()

    async def end_all(self) -> None:
        """Let all that is under way end, what begins meanwhile as well; no place is left taken."""
        while self.under_way:
            self.end()
            await turns()
        assert self.window.under_way == 0


class Clock:
    """The schedule's clock and its alarm, in a test's hands."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(schedule_module, "now", clock)
    return clock


class Alarms:
    """What the schedule asked the loop to do later."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    @property
    def at(self) -> int | None:
        return self._schedule._wake_at if self._schedule._timer is not None else None

    async def ring(self) -> None:
        timer = self._schedule._timer
        assert timer is not None
        timer.cancel()
        self._schedule._woken()
        await turns()


def names(count: int) -> Sequence[str]:
    return [f"d{number}" for number in range(count)]


async def test_places_that_a_destination_does_not_need_go_to_others_at_once(clock: Clock) -> None:
    scene = Scene(Backlog(dict.fromkeys(names(200), 1)), Limits(400, 20), at_once=False)
    scene.schedule.look()
    await turns(2000)
    assert len(scene.begun) == 200
    assert scene.window.under_way == 200
    await scene.end_all()


async def test_limit_of_one_job_serves_all_destinations(clock: Clock) -> None:
    scene = Scene(Backlog({"a": 2, "b": 6}), Limits(1, 20), at_once=True)
    await scene.look()
    await turns(500)
    assert scene.begun == {"a": 2, "b": 6}
    assert scene.window.under_way == 0


async def test_limits_hold(clock: Clock) -> None:
    scene = Scene(Backlog({"a": 50, "b": 50, "c": 50}), Limits(5, 2), at_once=False)
    await scene.look()
    assert scene.begun == {"a": 2, "b": 2, "c": 1}
    assert scene.window.under_way == 5
    scene.end(4)
    await turns()
    assert sum(scene.begun.values()) == 6
    assert scene.window.under_way == 5
    scene.backlog.due.clear()
    scene.backlog.due.update(a=0, b=0, c=0)
    await scene.end_all()


async def test_endless_destination_starves_none_of_many(clock: Clock) -> None:
    scene = Scene(Backlog({"endless": ENDLESS} | dict.fromkeys(names(450), 1)), Limits(40, 20), at_once=True)
    scene.schedule.look()
    for _ in range(500):
        if len(scene.begun) == 451:
            break
        await turns()
    assert len(scene.begun) == 451
    scene.backlog.due["endless"] = 0
    await turns(500)
    assert scene.window.under_way == 0


@pytest.mark.parametrize(("channel", "per_group"), [("local", 1), ("remote", 50)])
async def test_recipients_a_group(clock: Clock, channel: str, per_group: int) -> None:
    scene = Scene(Backlog({"a": 1}, channel), Limits(10, 3), at_once=True)
    await scene.look()
    assert scene.backlog.claims == [("a", 3, per_group)]
    assert scene.window.under_way == 0


@pytest.mark.parametrize(
    ("trouble", "event"), [(StoreFull("no room"), "storage.full"), (ValueError("oops"), "process.broken")]
)
async def test_claim_that_fails_is_not_repeated_at_once(clock: Clock, trouble: Exception, event: str) -> None:
    scene = Scene(Backlog({"a": 3}), Limits(10, 3), at_once=True)
    scene.backlog.trouble = trouble
    alarms = Alarms(scene.schedule)
    await scene.look()
    assert (len(scene.backlog.claims), scene.backlog.looks) == (1, 1)
    assert len(scene.lines.with_event(event)) == 1
    assert scene.window.under_way == 0
    assert alarms.at == NOW + 5
    scene.schedule.pump()  # as when another job ends meanwhile
    await turns()
    assert len(scene.backlog.claims) == 1
    scene.backlog.trouble = None
    clock.now += 5
    await alarms.ring()
    assert scene.begun == {"a": 3}
    assert scene.window.under_way == 0


async def test_look_that_fails_is_not_repeated_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(Backlog({"a": 1}), Limits(10, 3), at_once=True)
    alarms = Alarms(scene.schedule)
    with monkeypatch.context() as patch:
        patch.setattr(scene.backlog, "next_due", lambda _: 1 // 0)
        await scene.look()
    assert scene.backlog.looks == 1
    assert alarms.at == NOW + 5
    await alarms.ring()
    assert scene.begun == {"a": 1}
    assert scene.window.under_way == 0


async def test_shut_channel_fills_no_line(clock: Clock) -> None:
    scene = Scene(Backlog(dict.fromkeys(names(300), 1)), Limits(400, 20), at_once=True)
    scene.window.shut("remote")
    await scene.look()
    assert scene.window.line == 0
    assert not scene.backlog.claims
    scene.window.unshut("remote")
    scene.schedule.look()
    await turns(2000)
    assert len(scene.begun) == 300
    assert scene.window.under_way == 0


async def test_channel_that_is_shut_during_a_look_gets_nothing(clock: Clock) -> None:
    scene = Scene(Backlog({"a": 1}), Limits(10, 3), at_once=True)
    scene.schedule.look()
    scene.window.shut("remote")
    await turns()
    assert not scene.backlog.claims
    assert scene.window.line == 0


async def test_down_destination_is_left_alone_then_tried(clock: Clock) -> None:
    scene = Scene(Backlog({"a": 1, "b": 1}), Limits(10, 3), at_once=True)
    alarms = Alarms(scene.schedule)
    until = scene.window.mark_down(("remote", "a"), NOW)
    await scene.look()
    assert scene.begun == {"b": 1}
    assert alarms.at == until
    clock.now = until
    await alarms.ring()
    assert scene.begun == {"a": 1, "b": 1}
    assert scene.window.under_way == 0


async def test_what_becomes_due_later_wakes_the_schedule(clock: Clock) -> None:
    scene = Scene(Backlog({"a": 0}), Limits(10, 3), at_once=True)
    alarms = Alarms(scene.schedule)
    scene.backlog.later = NOW + 100
    await scene.look()
    assert alarms.at == NOW + 100
    scene.schedule.wake(NOW + 200)
    assert alarms.at == NOW + 100
    scene.schedule.wake(NOW + 50)
    assert alarms.at == NOW + 50
    scene.backlog.due["a"], scene.backlog.later = 1, None
    await alarms.ring()
    assert scene.begun == {"a": 1}
    assert alarms.at is None


@pytest.mark.parametrize(("at", "waits_s"), [(NOW + 100, 100), (NOW, 0), (NOW - 100, 0)])
async def test_it_is_woken_just_after_the_moment(clock: Clock, at: int, waits_s: int) -> None:
    scene = Scene(Backlog({}), Limits(10, 3), at_once=True)
    before = asyncio.get_running_loop().time()
    scene.schedule.wake(at)
    timer = scene.schedule._timer
    assert timer is not None
    assert waits_s < timer.when() - before < waits_s + 1
    scene.schedule.stop()


async def test_looks_that_are_asked_for_during_one_become_one_more(clock: Clock) -> None:
    scene = Scene(Backlog({}), Limits(10, 3), at_once=True)
    for _ in range(5):
        scene.schedule.look()
    await turns()
    assert scene.backlog.looks == 2


async def test_stopped_schedule_is_not_woken(clock: Clock) -> None:
    scene = Scene(Backlog({}), Limits(10, 3), at_once=True)
    scene.schedule.wake(NOW + 10)
    timer = scene.schedule._timer
    scene.schedule.stop()
    assert timer is not None and timer.cancelled()
