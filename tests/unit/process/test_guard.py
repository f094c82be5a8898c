"""One process's view of `guard`: tables that are pushed, counts that are told together, and nobody at the other end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from paperpath.process.guard import Guard
from paperpath.wire import guard as wire
from paperpath.wire.frame import VERSION, Hello
from tests.unit.process.peer import Peer, listening

NEAR = "192.0.2.1"
RATES = (wire.Rate(10, 60),)


@asynccontextmanager
async def talking(tmp_path: Path) -> AsyncIterator[tuple[Guard, Peer]]:
    with listening(tmp_path / "door", wire.FromClient) as peer:
        guard = Guard(peer.path, "receive")
        assert await peer.heard.get() == Hello(VERSION, "receive")
        yield guard, peer
        guard.close()


async def told(guard: Guard, peer: Peer, *frames: object) -> None:
    """Let the other side say something, and wait until it has come."""
    for frame in frames:
        peer.send(frame)  # type: ignore[arg-type]
    arrived = asyncio.Event()
    guard.allow("anything", 1, RATES, lambda *_: arrived.set())
    while not isinstance(question := await peer.heard.get(), wire.Ask):
        pass
    peer.send(wire.Verdict(question.ticket, True, 0))
    await arrived.wait()


def test_without_a_guard_everything_is_allowed() -> None:
    guard = Guard("", "receive")
    guard.report("192.0.2.1", wire.Offence.EARLY_TALK, "x")
    guard.opened(NEAR)
    answers: list[tuple[bool, int]] = []
    guard.allow("joe", 1, RATES, lambda allowed, again_s: answers.append((allowed, again_s)))
    assert answers == [(True, 0)]
    assert guard.banned("192.0.2.1") is None
    assert not guard.is_slowed("192.0.2.1", "messages")
    guard.close()


async def test_what_was_seen_is_told_together(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        for _ in range(3):
            guard.opened(NEAR)
        guard.closed(NEAR)
        guard.took(NEAR, 2)
        guard.turned_away(NEAR)
        assert await peer.heard.get() == wire.Observed((wire.Seen("192.0.2.1", 3, 1, 2, 2, 1),))
        guard.closed(NEAR)
        guard.closed(NEAR)
        assert await peer.heard.get() == wire.Observed((wire.Seen("192.0.2.1", 0, 0, 0, 0, 0),))


async def test_many_networks_take_several_frames(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        for number in range(wire.PAGE_MOST + 1):
            guard.opened(f"n{number}")
        sizes = [len((await peer.heard.get()).seen) for _ in range(2)]
        assert sizes == [wire.PAGE_MOST, 1]


async def test_a_guard_that_reads_nothing_is_told_no_more_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperpath.process.guard._PENDING_MOST_BYTES", 10_000)
    async with talking(tmp_path) as (guard, peer):
        assert guard._link is not None
        for _ in range(1000):  # in one turn of the loop: nothing is read meanwhile
            guard.report("192.0.2.1", wire.Offence.EARLY_TALK, "x" * 100)
        guard._send_seen(wire.Seen(f"192.0.2.{n}", 1, 0, 0, 0, 0) for n in range(250))
        answers: list[tuple[bool, int]] = []
        for _ in range(1000):
            guard.allow("joe@here.test", 1, RATES, lambda *answer: answers.append(answer))
        assert answers == [(True, 0)] * 1000
        assert guard._link.pending_bytes < 10_200
        await peer.heard.get()


async def test_bans_come_and_go(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        bans = (wire.Ban("192.0.2.1", 0, "guessing"), wire.Ban("2001:db8::/32", 0, "by hand"))
        await told(guard, peer, wire.Bans(bans, first=True))
        assert guard.banned("192.0.2.1") == "guessing"
        assert guard.banned("::ffff:192.0.2.1") == "guessing"
        assert guard.banned("2001:db8:ffff::1") == "by hand"
        assert guard.banned("192.0.2.2") is guard.banned("2001:db9::1") is guard.banned("local") is None
        await told(guard, peer, wire.Lifted(("192.0.2.1",)))
        assert guard.banned("192.0.2.1") is None
        await told(guard, peer, wire.Bans((wire.Ban("192.0.2.9", 0, "anew"),), first=True))
        assert guard.banned("192.0.2.9") == "anew"
        assert guard.banned("2001:db8::1") is None


async def test_a_ban_ends_by_itself(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        await told(guard, peer, wire.Bans((wire.Ban("192.0.2.1", 1, "long ago"),), first=True))
        assert guard.banned("192.0.2.1") is None


async def test_who_is_slowed_known_or_held_elsewhere(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        frames = (
            wire.Slowed("192.0.2.1", "messages", 60),
            wire.Slowed("192.0.2.2", "messages", 0),
            wire.Known(("192.0.2.3",)),
            wire.HeldElsewhere("192.0.2.0/24", 40),
        )
        await told(guard, peer, *frames)
        assert guard.is_slowed("192.0.2.1", "messages")
        assert not guard.is_slowed("192.0.2.1", "connections")
        assert not guard.is_slowed("192.0.2.2", "messages")
        assert guard.is_known("192.0.2.3") and not guard.is_known("192.0.2.1")
        assert guard.held_elsewhere("192.0.2.0/24") == 40
        await told(guard, peer, wire.HeldElsewhere("192.0.2.0/24", 0))
        assert guard.held_elsewhere("192.0.2.0/24") == 0


async def test_what_is_held_elsewhere_is_known_of_so_many_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperpath.process.guard._HELD_ELSEWHERE_MOST", 2)
    async with talking(tmp_path) as (guard, peer):
        await told(guard, peer, *(wire.HeldElsewhere(f"192.0.2.{n}", 40) for n in range(3)))
        assert [guard.held_elsewhere(f"192.0.2.{n}") for n in range(3)] == [0, 40, 40]


async def test_rates_are_asked_for(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        answers: asyncio.Queue[tuple[bool, int]] = asyncio.Queue()
        guard.allow("joe@here.test", 7, RATES, lambda *answer: answers.put_nowait(answer))
        question = await peer.heard.get()
        assert question == wire.Ask(question.ticket, "joe@here.test", 7, RATES)
        peer.send(wire.Verdict(question.ticket, False, 30))
        assert await answers.get() == (False, 30)


async def test_a_guard_that_says_nothing_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperpath.process.guard._ANSWER_WITHIN_S", 0.01)
    async with talking(tmp_path) as (guard, peer):
        answers: asyncio.Queue[tuple[bool, int]] = asyncio.Queue()
        guard.allow("joe", 1, RATES, lambda *answer: answers.put_nowait(answer))
        question = await peer.heard.get()
        assert await answers.get() == (True, 0)
        peer.send(wire.Verdict(question.ticket, False, 30))
        await told(guard, peer)
        assert answers.empty(), "once"


async def test_numbers_of_one_version_are_no_addresses_of_the_other(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        await told(guard, peer, wire.Bans((wire.Ban("32.0.0.0/8", 0, "x"),), first=True))
        assert guard.banned("32.1.2.3") == "x"
        assert guard.banned("2001:db8::1") is None


async def test_a_guard_that_dies_allows(tmp_path: Path) -> None:
    async with talking(tmp_path) as (guard, peer):
        await told(guard, peer, wire.Bans((wire.Ban("192.0.2.1", 0, "guessing"),), first=True))
        guard.opened(NEAR)
        await peer.heard.get()
        answers: asyncio.Queue[bool] = asyncio.Queue()
        guard.allow("joe", 1, RATES, lambda allowed, _: answers.put_nowait(allowed))
        await peer.heard.get()
        peer.hang_up()
        assert await answers.get()
        assert guard.banned("192.0.2.1") == "guessing", "what was certain stays so"
        assert await peer.heard.get() == Hello(VERSION, "receive")
        assert await peer.heard.get() == wire.Observed((wire.Seen("192.0.2.1", 0, 0, 0, 1, 0),)), "told anew"


@pytest.mark.parametrize("frame", [wire.Bans((wire.Ban("nonsense", 0, ""),), first=False), wire.Lifted(("x",))])
async def test_nonsense_ends_the_conversation_and_nothing_else(tmp_path: Path, frame: object) -> None:
    async with talking(tmp_path) as (guard, peer):
        peer.send(frame)  # type: ignore[arg-type]
        assert await peer.heard.get() == Hello(VERSION, "receive")
        assert guard.banned("192.0.2.1") is None
