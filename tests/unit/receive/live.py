"""Sessions on real sockets, on either event loop, with TLS and load balancers in front."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec

from paperpath.process.proxied import Behind, ProxyDoor
from paperpath.process.settings import ReceiveSettings
from paperpath.receive.arrival import refuse_balanced
from paperpath.receive.session import Session
from tests.certificates import Authority
from tests.certificates import settings as tls_settings
from tests.tls_client import TlsClient
from tests.unit.receive.scene import SETTINGS, Scene

AUTHORITY = Authority()
MX = AUTHORITY.issue("mx.test")
CLIENT = Authority().issue("client.test")
TRUSTING = AUTHORITY.client_context()
MAIL = b"MAIL FROM:<a@c>\r\nRCPT TO:<joe@here.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
EHLO = b"EHLO c\r\n"
LOGIN = b"AUTH PLAIN AGpvZQByaWdodA==\r\n"
"""Of the one whom the scene lets in."""


def with_tls(**changes: Any) -> ReceiveSettings:
    return msgspec.structs.replace(SETTINGS, tls=tls_settings(MX.pair(), relay=[CLIENT.fingerprint]), **changes)


class Server:
    """One listening socket with the sessions behind it."""

    def __init__(self, scene: Scene, port: int) -> None:
        self.scene, self.port = scene, port
        self.opened: list[Session] = []

    async def closed(self) -> dict[str, Any]:
        """Wait until no session is open; return the line of the only one there was."""
        await asyncio.wait_for(self.scene.sessions.all_ended(), 10)
        (line,) = self.scene.events("session.closed")
        return line


@asynccontextmanager
async def serving(
    service: str = "smtp", configured: ReceiveSettings | None = None, *, proxied: bool = False
) -> AsyncIterator[Server]:
    scene = Scene(with_tls() if configured is None else configured)
    scene.sessions.time = asyncio.get_running_loop().time
    server = Server(scene, 0)

    def session() -> Session:
        server.opened.append(Session(scene.service, service, scene.sessions))
        return server.opened[-1]

    turn_away = partial(refuse_balanced, scene.service, scene.sessions)
    behind = Behind(scene.service.balancers, scene.sessions.spoken_for, session, turn_away)

    def door() -> asyncio.Protocol:
        return ProxyDoor(behind)

    first = door if proxied else session
    listening = await asyncio.get_running_loop().create_server(first, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        scene.sessions.end_all()
        await asyncio.sleep(0)
        assert not scene.events("process.broken")


async def start_tls(client: TlsClient, **how: Any) -> None:
    assert [reply[:3] for reply in await client.replies()] == ["220"]
    await client.send(EHLO)
    assert (await client.replies())[0].startswith("250 STARTTLS")
    await client.send(b"STARTTLS\r\n")
    assert await client.replies() == ["220 2.0.0 Ready to start TLS"]
    await client.secure(TRUSTING, name="mx.test", **how)


def codes(said: Sequence[str]) -> str:
    return " ".join(reply[:3] for reply in said)
