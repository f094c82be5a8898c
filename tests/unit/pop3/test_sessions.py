"""Time: who is ended when, on a clock that the test turns."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from paperpath.pop3.service import Service
from paperpath.pop3.session import LOGIN_WITHIN_S, Session
from paperpath.pop3.sessions import BEGINNING_S, Sessions
from paperpath.protocol.pop3 import ContentWanted
from paperpath.telemetry.log import Log
from tests.unit.pop3.scene import pop3_settings


class Transport:
    """Takes what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.aborted = self.paused = self.was_paused = False

    def get_extra_info(self, _name: str) -> Any:
        return ("192.0.2.1", 4711)

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = self.was_paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Nobody:
    """In place of `auth`, `local` and `guard`: never answers."""

    def begin(self, *_: Any, **__: Any) -> "Nobody":
        return self

    def abandon(self) -> None: ...

    def withdraw(self, _ticket: int) -> None: ...

    def banned(self, address: str) -> str | None:
        return self.ban

    def report(self, *_: Any) -> None: ...

    def connected(self, network: str) -> None:
        self.came.append(network)

    def is_slowed(self, network: str, what: str) -> bool:
        assert what == "connections"
        return network in self.slowed

    def turned_away(self, network: str) -> None:
        self.turned.append(network)

    def __init__(self) -> None:
        self.ban: str | None = None
        self.turned: list[str] = []
        self.came: list[str] = []
        self.slowed: set[str] = set()


class Stage:
    """Sessions, and the clock."""

    def __init__(self, tmp_path: Any) -> None:
        self.now = 1000.0
        self.lines: list[bytes] = []
        self.sessions = Sessions()
        self.sessions.time = lambda: self.now
        self.sessions.most = self.sessions.most_per_network = 10
        self.nobody = cast(Any, Nobody())
        log = Log("pop3", self.lines.append, lambda: 0.0)
        settings = pop3_settings(tmp_path, plain_in_clear="never", mechanisms=("SCRAM-SHA-256",))
        self.service = Service(settings, self.nobody, self.nobody, self.nobody, log)

    def begin(self) -> tuple[Session, Transport]:
        session, transport = Session(self.service, "pop3", self.sessions), Transport()
        session.connection_made(transport)
        return session, transport

    def sweep(self, later_s: float) -> None:
        self.now += later_s
        self.sessions.end_late()


def logged_in(session: Session) -> None:
    """Put the machine where a login would have."""
    session.data_received(b"AUTH SCRAM-SHA-256\r\n")
    session.go_on(session._machine.opened(1, 2))


def test_who_does_not_log_in(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        session, transport = stage.begin()
        stage.sweep(LOGIN_WITHIN_S - 1)
        session.data_received(b"NOOP\r\n")
        assert not transport.is_closing()
        stage.sweep(2)
        assert transport.closed and transport.written.endswith(b"-ERR You were silent for too long\r\n")
        session.connection_lost(None)
        assert b"result=timeout" in stage.lines[-1] and len(stage.sessions) == 0

    asyncio.run(play())


def test_autologout(tmp_path: Any) -> None:
    """RFC 1939 3: ten minutes from the last command."""

    async def play() -> None:
        stage = Stage(tmp_path)
        session, transport = stage.begin()
        logged_in(session)
        stage.sweep(599)
        session.data_received(b"NOOP\r\n")
        stage.sweep(599)
        assert not transport.is_closing()
        stage.sweep(2)
        assert transport.closed and session._machine.is_closed

    asyncio.run(play())


@pytest.mark.parametrize("choked", [False, True])
def test_a_message_under_way(tmp_path: Any, choked: bool) -> None:
    """While it is our turn nobody is late; a client that does not read is, and is not told in its message."""

    async def play() -> None:
        stage = Stage(tmp_path)
        session, transport = stage.begin()
        logged_in(session)
        session._machine.question = ContentWanted(1)
        session._machine.begin_content(2)
        session.flush()
        before = transport.written
        if choked:
            session.pause_writing()
        stage.sweep(3600)
        assert transport.aborted is choked
        assert transport.written == before

    asyncio.run(play())


def test_the_end_within_a_message(tmp_path: Any) -> None:
    """The last words would be taken for the message's; it is cut, and the client knows that it is not whole."""

    async def play() -> None:
        stage = Stage(tmp_path)
        session, transport = stage.begin()
        logged_in(session)
        session._machine.question = ContentWanted(1)
        session._machine.begin_content(2)
        session.flush()
        before = transport.written
        stage.sessions.end_all()
        assert transport.aborted and transport.written == before

    asyncio.run(play())


def test_who_sends_on_without_reading_is_not_read_from(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        session, transport = stage.begin()
        session.data_received(b"AUTH SCRAM-SHA-256\r\n")
        session.data_received(b"NOOP\r\n" * 10_000)
        assert transport.paused is False
        session.data_received(b"NOOP\r\n" * 1_000)
        assert transport.was_paused
        session.go_on(session._machine.refuse_login("later", failed=False))
        assert not transport.paused
        assert transport.written.count(b"+OK Still here") == 11_000

    asyncio.run(play())


def test_while_sessions_run_short_there_is_less_time_to_log_in(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        first, transport = stage.begin()
        logged_in(first)
        silent = [stage.begin()[1] for _ in range(6)]
        stage.sweep(stage.service.settings.strained_timeout_s + 1)
        assert not any(one.closed for one in silent)
        silent.append(stage.begin()[1])
        stage.sweep(0)
        assert [one.closed for one in silent] == [True] * 6 + [False]
        assert not transport.closed, "who has logged in keeps its time"

    asyncio.run(play())


def test_who_connects_too_often(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        stage.nobody.slowed.add("192.0.2.1")
        _, transport = stage.begin()
        assert transport.closed and transport.written.startswith(b"-ERR [SYS/TEMP]") and len(stage.sessions) == 0
        assert stage.nobody.came == ["192.0.2.1"]
        stage.sessions.log_turned_away(stage.service.log)
        assert b'reason="[limits] connections_per_minute"' in stage.lines[-1]
        trusted = msgspec.structs.replace(stage.service.settings, relay_networks=("192.0.2.0/24",))
        stage.service = Service(trusted, stage.nobody, stage.nobody, stage.nobody, stage.service.log)
        assert stage.begin()[1].written.startswith(b"+OK")

    asyncio.run(play())


def test_at_the_end_who_is_about_to_log_in_may(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        silent = stage.begin()[1]
        stage.now += BEGINNING_S + 0.1
        beginning, transport = stage.begin()
        stage.sessions.draining = True
        stage.sessions.end_idle()
        assert silent.closed and silent.written.endswith(b"-ERR [SYS/TEMP] The service is stopping\r\n")
        beginning.data_received(b"CAPA\r\n")
        stage.sessions.end_idle()
        logged_in(beginning)
        stage.now += 60
        stage.sessions.end_idle()
        assert not transport.closed
        beginning.data_received(b"QUIT\r\n")

    asyncio.run(play())


def test_banned(tmp_path: Any) -> None:
    async def play() -> None:
        stage = Stage(tmp_path)
        stage.nobody.ban = "five failed logins"
        session, transport = stage.begin()
        assert transport.closed and transport.written.startswith(b"-ERR [SYS/PERM]") and len(stage.sessions) == 0
        session.connection_lost(None)
        stage.begin()
        assert not stage.lines, "a flood must not become a flood of lines"
        stage.sessions.log_turned_away(stage.service.log)
        assert b'reason="banned: five failed logins"' in stage.lines[-1] and b"connections=2" in stage.lines[-1]
        assert stage.nobody.turned == ["192.0.2.1", "192.0.2.1"]

    asyncio.run(play())
