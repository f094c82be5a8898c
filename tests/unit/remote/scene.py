"""What the tests of `remote` share: a server that follows a script, and a pool that delivers to it."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from paperpath.config.routing import RoutingTable
from paperpath.dns.answers import Answer, Found, NoSuchName
from paperpath.dns.resolver import Resolver
from paperpath.process.settings import RemoteSettings
from paperpath.remote.delivery import Delivery
from paperpath.remote.memory import AddressMemory
from paperpath.remote.pool import Pool
from paperpath.remote.reach import Reach
from paperpath.telemetry.log import Log
from paperpath.wire.delivery import Job, Report, Target

ROUTING = RoutingTable(b"client.test", frozenset(), frozenset(), {}, frozenset(), {})
SETTINGS = RemoteSettings(
    hostname="client.test",
    run="/nowhere",
    log_as_json=False,
    helo="client.test",
    connect_timeout_s=20,
    resolver="127.0.0.1:1",
    port=25,
    tls="opportunistic",
    connections_most=20,
    routing=ROUTING,
)
CONTENT = b"Subject: story\n\nHello.\n"


class Session:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(line + "\r\n" for line in lines).encode())
        await self.writer.drain()

    async def hear(self) -> str:
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError
        return line.decode().removesuffix("\r\n")

    async def greet(self, *offers: str) -> None:
        await self.say("220 peer.test")
        assert await self.hear() == "EHLO client.test"
        lines = ("peer.test", *offers)
        await self.say(*(f"250{'-' if number < len(lines) else ' '}{line}" for number, line in enumerate(lines, 1)))

    async def envelope(self) -> list[str]:
        """Hear commands up to DATA, agree to all, and ask for the content."""
        heard: list[str] = []
        while not heard or heard[-1] != "DATA":
            heard.append(await self.hear())
            await self.say("354 go" if heard[-1] == "DATA" else "250 ok")
        return heard

    async def content(self) -> bytes:
        return await self.reader.readuntil(b"\r\n.\r\n")

    async def take_mail(self) -> bytes:
        await self.envelope()
        content = await self.content()
        await self.say("250 taken")
        return content


Script = Callable[[Session], Awaitable[None]]


class Server:
    """Plays a script to each connection: the n-th script to the n-th, the last one to all later ones."""

    def __init__(self, *scripts: Script, address: str = "127.0.0.1", port: int = 0) -> None:
        self.scripts = scripts
        self.address = address
        self.port = port
        self.connections = 0
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, self.address, self.port, limit=4_000_000)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        for error in self.errors:
            raise error

    @property
    def route(self) -> str:
        return f"smtp://{self.address}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Session(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            writer.close()
            self._tasks.discard(task)


class Names(Resolver):
    """Addresses from a table."""

    def __init__(self, **addresses: str) -> None:
        super().__init__((), lambda: 0.0)
        self.known = {name.replace("_", "."): value.split() for name, value in addresses.items()}

    async def look_up(self, name: str, kind: str) -> Answer:
        wanted = [one for one in self.known.get(name, ()) if (":" in one) == (kind == "AAAA") and kind != "MX"]
        return Found(tuple(wanted), 60) if wanted else NoSuchName()


class Bench:
    """A pool with settings, and the reports of what it was given."""

    def __init__(self, settings: RemoteSettings = SETTINGS, resolver: Resolver | None = None) -> None:
        self.lines: list[str] = []
        self.log = Log("remote", lambda data: self.lines.append(data.decode()), lambda: 0.0)
        self.memory = AddressMemory()
        self.pool = Pool(self.log)
        reach = Reach(settings, resolver or Names(), self.memory, self.log, self.pool, self.pool.register)
        self.pool.configure(reach.open, settings.connections_most)

    async def __aenter__(self) -> "Bench":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.drain(0)

    def start(self, job: Job, descriptor: int | None = None) -> asyncio.Future[Report]:
        future: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self.pool.take(Delivery(job, descriptor, future.set_result))
        return future

    async def deliver(self, job: Job, descriptor: int | None = None) -> Report:
        return await self.start(job, descriptor)


def job_for(
    route: str, *recipients: bytes, number: int = 1, content: bytes = CONTENT, sender: bytes = b"a@c.test"
) -> Job:
    """Return a job for a fixed next hop, or for a domain."""
    targets = tuple(Target(index * 10, address) for index, address in enumerate(recipients or (b"b@d.test",)))
    is_route = "://" in route
    return Job(
        job=number,
        message=7,
        sender=sender,
        targets=targets,
        trace=b"",
        content=content,
        size=len(content),
        destination="d.test" if is_route else route,
        route=route if is_route else "",
    )


def file_with(content: bytes) -> int:
    """Return a descriptor of a nameless file."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return os.dup(file.fileno())


def is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
