"""The role between the queue and the world."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.process.settings import RemoteSettings
from paperpath.remote.main import RemoteRole, name_servers
from paperpath.system.channel import Channel, serve_channels
from paperpath.telemetry.log import Log
from paperpath.wire.delivery import FromAgent, Job, Report
from paperpath.wire.frame import VERSION, Hello
from tests.unit.dns.name_server import NameServer
from tests.unit.remote.scene import SETTINGS, Server, Session, file_with, job_for
from tests.unit.remote.test_pool import keep_taking, only


class Queue:
    """The queue's listening socket and what arrived there."""

    def __init__(self, folder: Path) -> None:
        self.frames: asyncio.Queue[msgspec.Struct] = asyncio.Queue()
        self.channel: Channel | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "queue.remote"))
        self._listener.listen()
        self._stop = serve_channels(self._listener, self._connected)

    def _connected(self, sock: socket.socket) -> None:
        self.channel = Channel(sock, FromAgent, lambda frame, _: self.frames.put_nowait(frame), lambda _: None)

    async def greeted(self) -> None:
        assert await self.frames.get() == Hello(VERSION, "remote")

    def give(self, job: Job, descriptor: int | None = None) -> None:
        assert self.channel is not None
        self.channel.send(job, descriptor)

    async def report(self) -> Report:
        frame = await self.frames.get()
        assert isinstance(frame, Report)
        return frame

    def restart(self) -> None:
        """End the conversation as a queue that died would."""
        assert self.channel is not None
        self.channel.close()

    def close(self) -> None:
        self._stop()
        self._listener.close()
        if self.channel is not None:
            self.channel.close()


class Stage:
    """A queue and a role that is connected to it."""

    def __init__(self, folder: Path, settings: RemoteSettings) -> None:
        self.queue = Queue(folder)
        self.settings = msgspec.structs.replace(settings, run=str(folder))
        self.lines: list[str] = []
        self.role = RemoteRole(Log("remote", lambda data: self.lines.append(data.decode()), lambda: 0.0))

    async def __aenter__(self) -> "Stage":
        await self.role.configure(self.settings, [])
        await self.queue.greeted()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.role.drain(0)
        self.queue.close()


async def test_a_job_comes_back_as_a_report(tmp_path: Path) -> None:
    async with Server(keep_taking) as server, Stage(tmp_path, SETTINGS) as stage:
        stage.queue.give(job_for(server.route, number=5))
        report = await stage.queue.report()
        assert report.job == 5 and isinstance(only(report), Delivered)


async def test_content_may_come_as_a_descriptor(tmp_path: Path) -> None:
    content = b"Subject: x\n\n" + b"line\n" * 100_000
    async with Server(keep_taking) as server, Stage(tmp_path, SETTINGS) as stage:
        job = msgspec.structs.replace(job_for(server.route), content=b"", size=len(content), attached=True)
        stage.queue.give(job, file_with(content))
        assert isinstance(only(await stage.queue.report()), Delivered)


async def test_a_queue_that_restarts_gets_no_report_of_old_jobs(tmp_path: Path) -> None:
    offered, proceed = asyncio.Event(), asyncio.Event()
    taken: list[bytes] = []

    async def slow(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        offered.set()
        await proceed.wait()
        taken.append(await session.content())
        await session.say("250 taken")
        taken.append(await session.take_mail())

    async with Server(slow) as server, Stage(tmp_path, SETTINGS) as stage:
        stage.queue.give(job_for(server.route, number=1))
        await offered.wait()
        stage.queue.restart()
        await stage.queue.greeted()
        stage.queue.give(job_for(server.route, number=2))
        proceed.set()
        assert (await stage.queue.report()).job == 2
        assert stage.queue.frames.empty()


async def test_exchangers_are_looked_up(tmp_path: Path) -> None:
    zone = {
        ("d.test", "MX"): ["10 mx1.d.test.", "20 mx2.d.test."],
        ("mx1.d.test", "A"): ["127.0.0.2"],
        ("mx2.d.test", "CNAME"): ["real.d.test."],
        ("real.d.test", "A"): ["127.0.0.1"],
        ("null.test", "MX"): ["0 ."],
        ("empty.test", "TXT"): ["nothing"],
        ("xn--bcher-kva.test", "A"): ["127.0.0.1"],
        ("pointless.test", "MX"): ["0 nowhere.test."],
        ("ours.test", "MX"): ["0 client.test."],
    }
    async with NameServer(zone, failing={"down.test"}) as names, Server(keep_taking) as server:
        settings = msgspec.structs.replace(SETTINGS, resolver=f"127.0.0.1:{names.port}", port=server.port)
        async with Stage(tmp_path, settings) as stage:

            async def outcome_for(domain: str) -> Delivered | Deferred | Failed:
                stage.queue.give(job_for(domain))
                return only(await stage.queue.report())

            assert (await outcome_for("d.test")).host == "mx2.d.test (127.0.0.1)"
            for domain in ("bücher.test", "[127.0.0.1]", "[ipv6:::ffff:127.0.0.1]"):
                assert isinstance(await outcome_for(domain), Delivered)
            expected = {
                "null.test": "5.1.10",
                "empty.test": "5.1.2",
                "nowhere.test": "5.1.2",
                "pointless.test": "5.4.4",
                "ours.test": "5.4.6",
                "down.test": "4.4.3",
                "[nonsense]": "5.1.2",
                "x..test": "5.1.2",
                "\u2028.test": "5.1.2",
            }
            assert {domain: (await outcome_for(domain)).status for domain in expected} == expected
            down = await outcome_for("down.test")
            assert isinstance(down, Deferred) and down.destination_down
            assert stage.lines == []


async def test_a_fixed_next_hop_without_an_address_never_fails_mail(tmp_path: Path) -> None:
    zone = {("empty.test", "TXT"): ["nothing"]}
    async with NameServer(zone, failing={"down.test"}) as names:
        settings = msgspec.structs.replace(SETTINGS, resolver=f"127.0.0.1:{names.port}")
        async with Stage(tmp_path, settings) as stage:
            for hop, status in (("nowhere.test", "4.3.5"), ("empty.test", "4.3.5"), ("down.test", "4.4.3")):
                stage.queue.give(job_for(f"smtp://{hop}:25"))
                outcome = only(await stage.queue.report())
                assert isinstance(outcome, Deferred) and outcome.destination_down
                assert outcome.status == status


async def test_jobs_that_wait_when_the_queue_ends_are_not_delivered(tmp_path: Path) -> None:
    offered, proceed = asyncio.Event(), asyncio.Event()
    envelopes: list[list[str]] = []

    async def slow(session: Session) -> None:
        await session.greet("PIPELINING")
        while True:
            envelopes.append(await session.envelope())
            offered.set()
            await proceed.wait()
            await session.content()
            await session.say("250 taken")

    async with Server(slow) as server:
        async with Stage(tmp_path, msgspec.structs.replace(SETTINGS, connections_most=1)) as stage:
            stage.queue.give(job_for(server.route, b"first@d.test", number=1))
            await offered.wait()
            stage.queue.give(job_for(server.route, b"second@d.test", number=2))
            while stage.role._pool._busy < 2:
                await asyncio.sleep(0)
            stage.queue.restart()
            await stage.queue.greeted()
            stage.queue.give(job_for(server.route, b"third@d.test", number=3))
            proceed.set()
            assert (await stage.queue.report()).job == 3
        assert [envelope[1] for envelope in envelopes] == ["RCPT TO:<first@d.test>", "RCPT TO:<third@d.test>"]


async def test_new_settings_hold_for_new_connections(tmp_path: Path) -> None:
    helos: list[str] = []

    async def script(session: Session) -> None:
        await session.say("220 hello")
        helos.append(await session.hear())
        await session.say("250 ok")
        await session.take_mail()

    async with Server(script) as server, Stage(tmp_path, SETTINGS) as stage:
        for helo in ("client.test", "new.test"):
            await stage.role.configure(msgspec.structs.replace(stage.settings, helo=helo), [])
            stage.queue.give(job_for(server.route))
            assert isinstance(only(await stage.queue.report()), Delivered)
    assert helos == ["EHLO client.test", "EHLO new.test"]


async def test_bad_settings_are_refused(tmp_path: Path) -> None:
    async with Stage(tmp_path, SETTINGS) as stage:
        with pytest.raises(ValueError, match="port"):
            await stage.role.configure(msgspec.structs.replace(stage.settings, resolver="127.0.0.1:x"), [])
        with socket.socket() as sock, pytest.raises(ValueError, match="listens"):
            await stage.role.configure(stage.settings, [("smtp", sock)])


def test_name_servers() -> None:
    assert name_servers("192.0.2.1") == (("192.0.2.1", 53),)
    assert name_servers("[2001:db8::1]:5353") == (("2001:db8::1", 5353),)
    assert name_servers("")
