"""`guard` as a process, with those who meet clients and an operator at its doors."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.networks import networks_of, parse_address
from paperpath.guard.main import GuardRole
from paperpath.process.guard import Guard
from paperpath.process.settings import GuardSettings
from paperpath.system.channel import Channel, connect
from paperpath.system.listeners import listen_unix
from paperpath.system.users import own_uid
from paperpath.telemetry.log import Log
from paperpath.wire import guard as wire
from paperpath.wire.frame import VERSION, Hello

BAD = "192.0.2.1"
NEAR = networks_of(parse_address(BAD))


class Scene:
    """The process's folder, its log, and what was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.role = GuardRole(self.log())
        self.users = (own_uid(),)

    def log(self) -> Log:
        return Log("guard", lambda data: self.lines.put_nowait(json.loads(data)), lambda: 0.0, as_json=True)

    def settings(self, **changes: Any) -> GuardSettings:
        given: dict[str, Any] = {
            "hostname": "mx.test",
            "run": str(self.folder),
            "log_as_json": True,
            "folder": str(self.folder),
            "rates": {"connections": 5, "messages": 3, "recipients": 0},
            "sessions_per_address": 8,
            "sessions_per_network": 16,
            "points": 20,
            "window_s": 3600,
            "first_s": 600,
            "most_s": 86400,
            "trusted": ("127.0.0.0/8",),
            "client_users": self.users,
            "operator_users": self.users,
        }
        return GuardSettings(**{**given, **changes})

    async def configure(self, **changes: Any) -> None:
        doors = [(name, listen_unix(str(self.folder / name), 0o600)) for name in ("guard", "bans")]
        await self.role.configure(self.settings(**changes), doors)

    async def line(self, event: str) -> dict[str, Any]:
        while (line := await self.lines.get())["event"] != event:
            pass
        return line

    def client(self) -> Guard:
        return Guard(str(self.folder / "guard"), "receive")

    async def again(self) -> None:
        """A process that was killed is started again: nothing was drained."""
        self.role._doors.close()
        self.role._clients.close()
        self.role = GuardRole(self.log())
        await self.configure()

    async def ask(self, request: Any, *, hello: int = VERSION) -> Any:
        answers: asyncio.Queue[Any] = asyncio.Queue()
        sock = await connect(str(self.folder / "bans"))
        channel = Channel(
            sock,
            wire.FromGuardToOperator,
            lambda frame, _: answers.put_nowait(frame),
            lambda _: answers.put_nowait(None),
        )
        channel.send(Hello(hello, "operator"))
        channel.send(request)
        answer = await answers.get()
        channel.close()
        return answer


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    await scene.configure()
    yield scene
    await scene.role.drain(1)


async def until(condition: Callable[[], object]) -> None:
    """Let everybody have their turn until it is so; the test's own time bounds it."""
    while not condition():
        await asyncio.sleep(0)


async def up(guard: Guard, scene: Scene) -> None:
    """Wait until the conversation is there."""
    answered = asyncio.Event()
    while not answered.is_set():
        await until(lambda: guard._link is not None and guard._link._channel is not None)
        guard.allow("up", 0, (wire.Rate(1, 1),), lambda *_: answered.set())
        await answered.wait()


async def test_offences_bring_a_ban_on_that_all_know_and_that_is_logged(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    await up(one, scene)
    await up(other, scene)
    for number in range(20):
        one.report(BAD, wire.Offence.LOGIN_FAILED, f"user{number}\n")
    line = await scene.line("ban.began")
    assert (line["network"], line["reason"], line["by"], line["for_s"], line["times"]) == (
        BAD,
        "failed logins",
        "guard",
        600,
        1,
    )
    assert line["evidence"] == "login-failed user19; login-failed user18; login-failed user17"
    await until(lambda: one.banned(BAD) and other.banned(BAD))
    one.turned_away(NEAR.near)
    view = wire.BanView("", 0, 0, "", "", 0, 0, ())
    while not view.turned_away:
        view = await scene.ask(wire.ExplainBan(BAD))
    assert view.turned_away == 1
    for _ in range(20):
        other.report("203.0.113.1", wire.Offence.LOGIN_FAILED, "x")
    await until(lambda: one.banned("203.0.113.1") and other.banned("203.0.113.1"))
    assert one.banned(BAD) and other.banned(BAD)
    one.close()
    other.close()


async def test_other_settings_hold_at_once(scene: Scene) -> None:
    guard = scene.client()
    await up(guard, scene)
    await scene.configure(points=4)
    for _ in range(4):
        guard.report(BAD, wire.Offence.LOGIN_FAILED, "x")
    assert (await scene.line("ban.began"))["network"] == BAD
    await until(lambda: guard.banned(BAD))
    await scene.configure(trusted=("192.0.2.0/24",))
    assert (await scene.line("ban.ended"))["how"] == "trusted now"
    await until(lambda: not guard.banned(BAD))
    guard.close()


async def test_a_file_that_may_not_be_opened_is_reported_and_nothing_is_banned(scene: Scene) -> None:
    (scene.folder / "bans.kept").symlink_to("elsewhere")
    await scene.again()
    assert (await scene.line("ban.not-kept"))["error"]
    assert (await scene.ask(wire.ListBans())).bans == ()


async def test_a_ban_outlives_the_process(scene: Scene) -> None:
    guard = scene.client()
    await up(guard, scene)
    for _ in range(4):
        guard.report(BAD, wire.Offence.TOO_MANY_ERRORS, "x")
    await scene.line("ban.began")
    await scene.again()
    newcomer = scene.client()
    await until(lambda: newcomer.banned(BAD))
    assert newcomer.banned("192.0.2.2") is None
    (ban,) = (await scene.ask(wire.ListBans())).bans
    assert (ban.network, ban.reason, len(ban.evidence)) == (BAD, "too many errors", 4)
    guard.close()
    newcomer.close()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x92\x01\x91\x98\xa3bad\x00\x00\xa0\xa0\x00\x00\x90"])
async def test_a_file_that_is_none_is_reported_and_nothing_is_banned(scene: Scene, content: bytes) -> None:
    (scene.folder / "bans.kept").write_bytes(content)
    await scene.again()
    assert (await scene.line("ban.not-kept"))["error"]
    assert (await scene.ask(wire.ListBans())).bans == ()


async def test_rates_hold_over_all_processes(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    await up(one, scene)
    await up(other, scene)
    for guard in (one, other, one):
        guard.opened(NEAR.near)
        guard.opened(NEAR.near)
    line = await scene.line("rate.exceeded")
    assert (line["network"], line["what"]) == (BAD, "connections")
    assert 55 <= line["for_s"] <= 66
    await until(lambda: one.is_slowed(BAD, "connections") and other.is_slowed(BAD, "connections"))
    assert not one.is_slowed(BAD, "messages")
    one.close()
    other.close()


async def test_who_brought_mail_is_known_to_all_and_to_those_who_come_later(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    await up(one, scene)
    await up(other, scene)
    one.took(NEAR.near, 1)
    await until(lambda: other.is_known(BAD))
    later = scene.client()
    await until(lambda: later.is_known(BAD))
    for guard in (one, other, later):
        guard.close()


async def test_sessions_of_others_are_told_near_the_limit_and_forgotten_with_their_process(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    await up(one, scene)
    await up(other, scene)
    one.opened(NEAR.near)
    one.opened(NEAR.near)
    await until(lambda: other.held_elsewhere(BAD) == 2)
    assert one.held_elsewhere(BAD) == 0
    assert other.held_elsewhere(NEAR.wide) == 0, "below a quarter of that limit"
    one.opened(NEAR.near)
    one.opened(NEAR.near)
    await until(lambda: (other.held_elsewhere(BAD), other.held_elsewhere(NEAR.wide)) == (4, 4))
    one.closed(NEAR.near)
    await until(lambda: (other.held_elsewhere(BAD), other.held_elsewhere(NEAR.wide)) == (3, 0))
    one.close()
    await until(lambda: other.held_elsewhere(BAD) == 0)
    other.close()


async def test_accounts_have_their_rates(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    await up(one, scene)
    await up(other, scene)
    answers: list[tuple[bool, int]] = []
    rates = (wire.Rate(3, 3600), wire.Rate(10, 86400))
    one.allow("joe@here.test", 2, rates, lambda *answer: answers.append(answer))
    await until(lambda: answers)
    other.allow("joe@here.test", 2, rates, lambda *answer: answers.append(answer))
    await until(lambda: len(answers) == 2)
    assert answers[0] == (True, 0)
    allowed, again_s = answers[1]
    assert not allowed and 3500 < again_s <= 3901
    one.close()
    other.close()


async def may_send_two(scene: Scene) -> bool:
    answers: list[bool] = []
    guard = scene.client()
    await up(guard, scene)
    guard.allow("joe@here.test", 2, (wire.Rate(3, 86400),), lambda allowed, _: answers.append(allowed))
    await until(lambda: answers)
    guard.close()
    return answers[0]


async def test_what_an_account_sent_is_not_forgotten_over_a_restart(scene: Scene) -> None:
    assert await may_send_two(scene)
    await scene.role.drain(1)
    await scene.again()
    assert not await may_send_two(scene)


async def test_an_operator_bans_looks_and_lifts(scene: Scene) -> None:
    guard = scene.client()
    await up(guard, scene)
    view = await scene.ask(wire.AddBan("203.0.113.7/24", 60, "spam\x1b", "root"))
    assert (view.network, view.until - view.since, view.reason, view.by) == ("203.0.113.0/24", 60, "spam\\x1b", "root")
    await until(lambda: guard.banned("203.0.113.9"))
    assert [ban.network for ban in (await scene.ask(wire.ListBans())).bans] == ["203.0.113.0/24"]
    assert (await scene.ask(wire.ExplainBan("203.0.113.9"))).network == "203.0.113.0/24"
    assert await scene.ask(wire.RemoveBan("203.0.113.9", "root")) == wire.NoBan("203.0.113.9")
    assert (await scene.ask(wire.RemoveBan("203.0.113.0/24", "ann"))).network == "203.0.113.0/24"
    line = await scene.line("ban.ended")
    assert (line["network"], line["how"]) == ("203.0.113.0/24", "removed by ann")
    await until(lambda: guard.banned("203.0.113.9") is None)
    guard.close()


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (wire.AddBan("127.0.0.1", 0, "", "root"), "never banned"),
        (wire.AddBan("nonsense", 0, "", "root"), "nonsense"),
        (wire.AddBan("192.0.2.1", -1, "", "root"), "end before it begins"),
        (wire.ExplainBan("1.2.3"), "1.2.3"),
        (wire.RemoveBan("", ""), "''"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(scene: Scene, request_: Any, told: str) -> None:
    answer = await scene.ask(request_)
    assert isinstance(answer, wire.BanRefused)
    assert told in answer.reason


async def test_long_lists_come_in_pages(scene: Scene) -> None:
    for number in range(wire.PAGE_MOST + 3):
        scene.role._book.ban(f"10.{number // 200}.{number % 200}.1", 0, "", "root", 1)  # type: ignore[union-attr]
    page = await scene.ask(wire.ListBans())
    rest = await scene.ask(wire.ListBans(page.bans[-1].network))
    assert (len(page.bans), page.more, len(rest.bans), rest.more) == (wire.PAGE_MOST, True, 3, False)
    newcomer = scene.client()
    await until(lambda: newcomer.banned("10.1.2.1") and newcomer.banned("10.0.0.1"))
    newcomer.close()


@pytest.mark.parametrize(
    "frame",
    [
        wire.Observed((wire.Seen("192.0.2.0/24", 1, 0, 0, 0, 0),)),
        wire.Observed((wire.Seen("nonsense", 1, 0, 0, 0, 0),)),
        wire.Observed((wire.Seen("192.0.2.1", -1, 0, 0, 0, 0),)),
        wire.Offended("nonsense", wire.Offence.EARLY_TALK, ""),
        wire.Ask(1, "joe", -1, ()),
        wire.Ask(1, "joe", 1, (wire.Rate(1, 0),)),
        Hello(VERSION + 1, "receive"),
    ],
)
async def test_nonsense_ends_that_conversation_and_nothing_else(scene: Scene, frame: Any) -> None:
    other = scene.client()
    await up(other, scene)
    ended = asyncio.Event()
    sock = await connect(str(scene.folder / "guard"))
    channel = Channel(sock, wire.FromGuard, lambda *_: None, lambda _: ended.set())
    channel.send(frame)
    await ended.wait()
    await up(other, scene)
    other.close()


async def test_sessions_with_more_networks_than_can_be_end_that_conversation(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperpath.guard.clients._HELD_MOST", 20)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sock = await connect(str(scene.folder / "guard"))
    channel = Channel(sock, wire.FromGuard, lambda *_: None, ended.set_result)
    channel.send(wire.Observed(tuple(wire.Seen(f"192.0.{n}.1", 0, 0, 0, 1, 0) for n in range(20))))
    await ended
    await until(lambda: not scene.role._clients._held)


async def test_strangers_of_this_host_are_not_listened_to(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.users = (own_uid() + 1,)
    await scene.configure()
    for door in ("guard", "bans"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / door))
            assert await asyncio.get_running_loop().run_in_executor(None, sock.recv, 1) == b""
    await scene.role.drain(1)


async def test_what_cannot_be_written_is_told_and_holds_all_the_same(scene: Scene) -> None:
    guard = scene.client()
    await up(guard, scene)
    scene.role._keeping._path = str(scene.folder / "missing" / "bans")  # type: ignore[union-attr]
    for _ in range(4):
        guard.report(BAD, wire.Offence.EARLY_TALK, "x")
    assert "missing" in (await scene.line("ban.not-kept"))["error"]
    await until(lambda: guard.banned(BAD))
    guard.close()


async def test_an_operator_is_answered_when_the_ban_is_written(scene: Scene) -> None:
    for number in range(3):  # faster than bans that offences bring on would be written
        await scene.ask(wire.AddBan(f"192.0.2.{number}", 0, "by hand", "root"))
        assert f"192.0.2.{number}".encode() in (scene.folder / "bans.kept").read_bytes()


async def test_a_ban_that_is_over_is_told_and_logged(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = scene.client()
    await up(guard, scene)
    view = await scene.ask(wire.AddBan(BAD, 60, "by hand", "root"))
    await until(lambda: guard.banned(BAD))
    monkeypatch.setattr("paperpath.guard.main.now", lambda: float(view.until))
    scene.role._expire()
    line = await scene.line("ban.ended")
    assert (line["network"], line["how"]) == (BAD, "expired")
    await until(lambda: not guard._bans)
    guard.close()


async def test_who_does_not_read_what_it_is_told_is_hung_up_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperpath.guard.clients._PENDING_MOST_BYTES", 100_000)
    sock = await connect(str(scene.folder / "guard"))
    await until(lambda: scene.role._clients._clients)
    while scene.role._clients._clients:
        scene.role._clients.tell(wire.Known(tuple(f"192.0.2.{n}" for n in range(200))))
        await asyncio.sleep(0)
    sock.close()


async def test_who_does_not_read_of_others_sessions_is_hung_up_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperpath.guard.clients._PENDING_MOST_BYTES", 1000)
    silent = await connect(str(scene.folder / "guard"))
    busy = Channel(await connect(str(scene.folder / "guard")), wire.FromGuard, lambda *_: None, lambda _: None)
    await until(lambda: len(scene.role._clients._clients) == 2)
    while len(scene.role._clients._clients) == 2:
        for held in (8, 0):
            busy.send(wire.Observed((wire.Seen(NEAR.near, 0, 0, 0, held, 0),)))
        await asyncio.sleep(0)
    assert not busy.closed
    busy.close()
    silent.close()


async def test_who_is_hung_up_on_over_what_it_tells_is_no_defect(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperpath.guard.clients._PENDING_MOST_BYTES", 1000)
    defects: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    client = Channel(await connect(str(scene.folder / "guard")), wire.FromGuard, lambda *_: None, ended.set_result)
    client.send(wire.Observed(tuple(wire.Seen(f"192.0.2.{n}", 0, 1, 0, 1, 0) for n in range(200))))
    assert await ended == "ended by the other side"
    assert not defects
