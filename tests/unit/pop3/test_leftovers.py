"""A session that is over is gone, with its mailbox and what TLS holds, and does not wait for the collector."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from paperpath.pop3.fetching import Fetching
from paperpath.pop3.mailboxes import Box, OnBox
from paperpath.pop3.service import Service
from paperpath.pop3.session import Session
from paperpath.pop3.sessions import Sessions
from paperpath.protocol.pop3 import Pop3Session
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.logins import LoggedIn, LoginRefused
from paperpath.wire.mailbox import (
    Describe,
    Description,
    FromSession,
    MessageOpened,
    Opened,
    OpenMessage,
    Updated,
)
from tests.certificates import Authority, settings
from tests.loops import on_both_loops, run
from tests.tls_client import TlsClient
from tests.unit.pop3.scene import pop3_settings

AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue("mx.box.test")
TRUSTING = AUTHORITY.client_context()


class Attempt:
    def abandon(self) -> None: ...


class Stage:
    """A listening socket, and whoever answers a session's questions: `auth`, `local`, a reader, `guard`."""

    def __init__(self, folder: Path) -> None:
        self.sessions = Sessions()
        self.sessions.most = self.sessions.most_per_network = 10
        self._content = folder / "content"
        self._content.write_bytes(b"A: b\n\nx\n")
        self.guard = SimpleNamespace(
            banned=lambda _: None,
            connected=lambda _: None,
            is_slowed=lambda *_: False,
            report=lambda *_: None,
            turned_away=lambda _: None,
        )
        configured = pop3_settings(folder, tls=settings(CERTIFICATE.pair()), mechanisms=("PLAIN",))
        log = Log("pop3", lambda _: None, lambda: 0.0)
        this: Any = self
        self.service = Service(configured, this, this, this.guard, log)

    # `auth`

    def begin(self, _mechanism: str, initial: bytes, on_answer: Callable[[Any], None], **_: Any) -> Attempt:
        wrong = LoginRefused(1, "wrong", temporary=False)
        answer = LoggedIn(1, "joe@box.test", (), b"", b"") if initial.endswith(b"\0x") else wrong
        asyncio.get_running_loop().call_soon(on_answer, answer)
        return Attempt()

    # `local` and a reader

    def open(self, _account: str, _pass: bytes, on_box: OnBox) -> int:
        ours, theirs = socket.socketpair()
        reader = Channel(theirs, FromSession, lambda frame, _: self._answer(reader, frame), lambda _: None)
        reader.send(Opened(1, 8))
        Box(ours, on_box)
        return 1

    def withdraw(self, _ticket: int) -> None: ...

    def _answer(self, reader: Channel, frame: msgspec.Struct) -> None:
        match frame:
            case Describe():
                reader.send(Description(1, (8,), (b"id",)))
            case OpenMessage(number=number):
                with self._content.open("rb") as content:
                    reader.send(MessageOpened(number), content.fileno())
            case _:
                reader.send(Updated(0, 0, ""))


async def converse(stage: Stage, service: str, say: bytes, *, secure: bool) -> None:
    """Have one session: say something, wait for the server to hang up, or hang up where nothing ends it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(stage.service, service, stage.sessions), "127.0.0.1", 0)
    async with TlsClient(server.sockets[0].getsockname()[1]) as client:
        if service == "pop3":
            await client.receive()
            if secure:
                await client.send(b"STLS\r\n")
                await client.receive()
        if secure:
            await client.secure(TRUSTING, name="mx.box.test")
        await client.send(say)
        while (said := await client.receive()) and b"Still here" not in said:
            pass
    await asyncio.wait_for(stage.sessions.all_ended(), 10)
    server.close()


@on_both_loops
@pytest.mark.parametrize(("service", "secure"), [("pop3", False), ("pop3", True), ("pop3s", True)])
@pytest.mark.parametrize(
    "say",
    [
        b"USER joe\r\nPASS x\r\nLIST\r\nDELE 1\r\nRSET\r\nRETR 1\r\nQUIT\r\n",
        b"USER joe\r\nPASS x\r\nUIDL 1\r\nTOP 1 0\r\nNOOP\r\n",
        b"USER joe\r\nPASS y\r\n" * 3,
        b"AUTH PLAIN\r\n*\r\nNOOP\r\n",
    ],
    ids=["fetched", "gone", "wrong", "cancelled"],
)
def test_nothing_waits_for_the_collector(tmp_path: Path, loop: str, service: str, secure: bool, say: bytes) -> None:
    async def main(known: list[object]) -> None:
        await converse(Stage(tmp_path), service, say, secure=secure)
        await until_gone(known)

    without_collector(loop, main)


@on_both_loops
@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_nor_does_who_is_turned_away(tmp_path: Path, loop: str, service: str) -> None:
    async def main(known: list[object]) -> None:
        stage = Stage(tmp_path)
        stage.sessions.most = 0
        server = await asyncio.get_running_loop().create_server(
            lambda: Session(stage.service, service, stage.sessions), "127.0.0.1", 0
        )
        async with TlsClient(server.sockets[0].getsockname()[1]) as client:
            assert (await client.receive()).startswith(b"-ERR" if service == "pop3" else b"")
        server.close()
        await until_gone(known)

    without_collector(loop, main)


def those_there() -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, Session | Box | Fetching | Pop3Session)]


async def until_gone(known: list[object]) -> None:
    """Wait for the loop to let go, which it does a turn or two later."""
    others = set(map(id, known))
    while not {id(one) for one in those_there()} <= others:
        await asyncio.sleep(0)


def without_collector(loop: str, main: Callable[[list[object]], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` with what other tests have left."""
    gc.collect()
    gc.disable()
    try:
        run(loop, main(those_there()))
    finally:
        gc.enable()
