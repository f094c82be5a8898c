"""A session with everything around it played by a test: transport, queue, directory, clock."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, cast

import msgspec

from paperpath.config.routing import RoutingTable
from paperpath.process.directory import Directory
from paperpath.process.directory import OnAnswer as OnFound
from paperpath.process.guard import Guard, OnVerdict
from paperpath.process.logins import Logins
from paperpath.process.logins import OnAnswer as OnLogin
from paperpath.process.settings import ReceiveSettings, SessionLimits
from paperpath.process.submitter import OnAnswer, Submitter
from paperpath.receive.service import Service
from paperpath.receive.session import Session
from paperpath.receive.sessions import Patience, Sessions
from paperpath.system.clock import now
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Account, Found, NotFound, Unknown
from paperpath.wire.guard import Ban, Offence, Rate
from paperpath.wire.intake import Accepted, NotAccepted, Submit
from paperpath.wire.logins import Challenge, LoggedIn, LoginAnswer, LoginRefused

STRANGER, RELAY = "192.0.2.1", "127.0.0.1"
ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<joe@here.test>\r\n"
MESSAGE = b"Subject: x\r\n\r\nHello.\r\n.\r\n"

SETTINGS = ReceiveSettings(
    hostname="mx.test",
    run="/nowhere",
    log_as_json=True,
    routing=RoutingTable(b"mx.test", frozenset(), frozenset([b"here.test"]), {}, frozenset([b"relayed.test"]), {}),
    relay_networks=("127.0.0.0/8", "::1/128"),
    message_size_bytes=10_000_000,
    recipients_most=1000,
    relay_recipients_most=1000,
    sessions_most=100,
    sessions_per_address=50,
    command_timeout_s=300,
    refused_senders=frozenset([b"bad@client.test"]),
    spool="/nowhere",
    inject_size_bytes=1_000_000,
    trusted_users=frozenset(),
    drop="",
    limits=SessionLimits(greeting_delay_s=0, error_delay_s=0),
    mechanisms=("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"),
)


_UNIX = socket.socketpair()
"""What a Unix socket's other end is asked for: it is this process."""


PATIENCE = Patience(command_s=300, content_s=300, strained_s=20)


class Transport:
    """What a session does with its connection."""

    def __init__(self, peer: object) -> None:
        self._peer = peer
        self.written = b""
        self.closed = self.aborted = False
        self.reading = True

    def get_extra_info(self, name: str) -> object:
        if name == "socket":
            assert not self._peer, "a Unix socket has no peer name"
            return _UNIX[0]
        assert name == "peername"
        return self._peer

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reading = True


class Queue:
    """Takes messages; answers at once, unless it is to wait."""

    def __init__(self) -> None:
        self.taken: list[Submit] = []
        self.files: list[bytes] = []
        """Content that came as a descriptor."""
        self.answer: Callable[[int], Accepted | NotAccepted] = lambda ticket: Accepted(ticket, 77)
        self.waits = False
        self.defect: Exception | None = None
        self.withdrawn: list[int] = []
        self._waiting: list[tuple[int, OnAnswer]] = []

    def next_ticket(self) -> int:
        return len(self.taken) + 1

    def submit(self, message: Submit, descriptor: int | None, on_answer: OnAnswer) -> None:
        if self.defect is not None:
            raise self.defect
        self.taken.append(message)
        if descriptor is not None:
            self.files.append(os.pread(descriptor, message.size + 1, 0))
        self._waiting.append((message.ticket, on_answer))
        if not self.waits:
            self.give_answers()

    def withdraw(self, ticket: int) -> None:
        self.withdrawn.append(ticket)

    def give_answers(self) -> None:
        waiting, self._waiting = self._waiting, []
        for ticket, on_answer in waiting:
            on_answer(self.answer(ticket))


class Accounts:
    """Knows joe; answers at once, unless it is to wait."""

    def __init__(self) -> None:
        self.waits = False
        self.down = False
        self._waiting: list[tuple[bytes, OnFound]] = []

    def find(self, address: bytes, on_answer: OnFound) -> None:
        self._waiting.append((address, on_answer))
        if not self.waits:
            self.give_answers()

    def give_answers(self) -> None:
        waiting, self._waiting = self._waiting, []
        for address, on_answer in waiting:
            if self.down:
                on_answer(Unknown(1, "the database is down"))
            elif address == b"joe@here.test":
                on_answer(Found(1, "user:joe", Account("joe", "/home/joe", b"", b"")))
            else:
                on_answer(NotFound(1))


class PlayedGuard:
    """Says what a test sets, and notes what it is told."""

    def __init__(self) -> None:
        self.bans: dict[str, Ban] = {}
        self.slowed: set[tuple[str, str]] = set()
        self.known: set[str] = set()
        self.elsewhere: dict[str, int] = {}
        self.exhausted: set[str] = set()
        self.heard: list[tuple[object, ...]] = []

    def ban_of(self, address: str) -> Ban | None:
        return self.bans.get(address)

    def is_slowed(self, network: str, what: str) -> bool:
        return (network, what) in self.slowed

    def is_known(self, network: str) -> bool:
        return network in self.known

    def held_elsewhere(self, network: str) -> int:
        return self.elsewhere.get(network, 0)

    def opened(self, network: str) -> None:
        self.heard.append(("opened", network))

    def closed(self, network: str) -> None:
        self.heard.append(("closed", network))

    def turned_away(self, network: str) -> None:
        self.heard.append(("turned away", network))

    def took(self, network: str, recipients: int) -> None:
        self.heard.append(("took", network, recipients))

    def allow(self, key: str, amount: int, rates: tuple[Rate, ...], on_answer: OnVerdict) -> None:
        self.heard.append(("allow", key, amount, rates))
        on_answer(key not in self.exhausted, 600 if key in self.exhausted else 0)

    def report(self, address: str, offence: Offence, detail: str) -> None:
        self.heard.append((address, offence, detail))


class LoginJudge:
    """Lets joe in with the password ``right``; LOGIN asks twice, and what else happens a test says."""

    def __init__(self) -> None:
        self.says: LoginAnswer | None = None
        self.asked: list[tuple[str, bytes | None, dict[str, Any]]] = []
        self.abandoned = 0
        self.silent = False

    def begin(self, mechanism: str, initial: bytes | None, on_answer: OnLogin, **client: Any) -> "Attempted":
        self.asked.append((mechanism, initial, client))
        return Attempted(self, mechanism, initial, on_answer)


class Attempted:
    """One attempt; it answers in the next turn, as `auth` does, when a test lets it."""

    def __init__(self, judge: LoginJudge, mechanism: str, initial: bytes | None, on_answer: OnLogin) -> None:
        self._judge, self._on_answer, self._heard = judge, on_answer, b""
        self._left = 2 if mechanism == "LOGIN" else 0
        self.respond(initial or b"")

    def respond(self, response: bytes) -> None:
        self._heard += response
        judge = self._judge
        if judge.silent:
            return
        if judge.says is not None:
            self._later(judge.says)
        elif self._left:
            self._left -= 1
            self._later(Challenge(1, b"Name:" if self._left else b"Password:"))
        elif self._heard in (b"\0joe\0right", b"joeright"):
            self._later(LoggedIn(1, "joe@here.test", (b"joe@here.test", b"@client.test", b"@c"), b"", b""))
        else:
            self._later(LoginRefused(1, "wrong name or password", temporary=False))

    def abandon(self) -> None:
        self._judge.abandoned += 1

    def _later(self, answer: LoginAnswer) -> None:
        asyncio.get_running_loop().call_soon(self._on_answer, answer)


class Scene:
    """One process: open any number of sessions."""

    def __init__(self, settings: ReceiveSettings = SETTINGS) -> None:
        self.lines: list[dict[str, Any]] = []
        self.queue, self.accounts = Queue(), Accounts()
        self.log = Log("receive", self._logged, lambda: 0.0, as_json=True)
        submitter, directory = cast(Submitter, self.queue), cast(Directory, self.accounts)
        self.guard, self.logins = PlayedGuard(), LoginJudge()
        guard, logins = cast(Guard, self.guard), cast(Logins, self.logins)
        self.service = Service(settings, submitter, directory, self.log, guard, logins)
        self.sessions = Sessions()
        self.sessions.most = settings.sessions_most
        self.sessions.reserved_percent = settings.limits.reserved_percent
        self.clock_s = 1000.0
        self.sessions.time = lambda: self.clock_s

    def _logged(self, data: bytes) -> None:
        self.lines += map(msgspec.json.decode, data.splitlines())

    def events(self, name: str) -> list[dict[str, Any]]:
        self.sessions.turned_away.log(self.log)
        self.log.flush()
        return [line for line in self.lines if line["event"] == name]

    def open(self, peer: str = RELAY, service: str = "smtp") -> "Client":
        """Open a session; without a peer it comes over a Unix socket, from this process."""
        return Client(self, peer, service)

    def open_authenticated(self) -> "Client":
        """Open a session of a client that has logged in, under TLS."""
        client = self.open(STRANGER)
        client.session._machine.authenticated_at = int(now())
        client.session._machine.secure = True
        return client


class Client:
    """The other end of one session."""

    def __init__(self, scene: Scene, peer: str, service: str) -> None:
        self.scene = scene
        self.transport = Transport((peer, 4242) if peer else "")
        self.session = Session(scene.service, service, scene.sessions)
        self.session.connection_made(self.transport)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.session.data_received(part)

    def leave(self) -> None:
        self.session.connection_lost(None)

    def replies(self) -> list[str]:
        """Return what was said since the last time, as code and status."""
        written, self.transport.written = self.transport.written, b""
        lines = [line for line in written.decode().splitlines() if line[3] == " "]
        return [" ".join(line.split()[:2]) if line[4:5].isdigit() else line[:3] for line in lines]

    @property
    def closed_line(self) -> dict[str, Any]:
        (line,) = self.scene.events("session.closed")
        return line
