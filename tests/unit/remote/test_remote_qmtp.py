"""QMTP as a next hop, over a real socket."""

import msgspec

from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.base.terms import MessageTerms
from tests.qmtp_client import package, string
from tests.unit.remote.scene import CONTENT, Bench, Server, Session, file_with, job_for

SENDER = b"a@c.test"


async def read_package(session: Session, content: bytes, recipients: list[bytes]) -> None:
    expected = package(b"\n" + content, SENDER, recipients)
    assert await session.reader.readexactly(len(expected)) == expected


async def test_jobs_share_a_connection_and_recipients_have_their_outcomes() -> None:
    async def script(session: Session) -> None:
        await read_package(session, CONTENT, [b"b@d.test", b"c@d.test", b"d@d.test"])
        session.writer.write(string(b"Kok") + string(b"Znow (#4.2.2)") + string(b"Dno (#5.1.1)"))
        await read_package(session, CONTENT, [b"b@d.test"])
        session.writer.write(string(b"Kok"))
        assert await session.reader.read() == b""

    async with Server(script) as server, Bench() as bench:
        route = server.route.replace("smtp:", "qmtp:")
        report = await bench.deliver(job_for(route, b"b@d.test", b"c@d.test", b"d@d.test"))
        host = "[127.0.0.1]"
        assert [result.outcome for result in report.results] == [
            Delivered("ok", host), Deferred("now (#4.2.2)", host, "2.2"), Failed("no (#5.1.1)", host, "1.1"),
        ]  # fmt: skip
        report = await bench.deliver(job_for(route, number=2))
        assert isinstance(report.results[0].outcome, Delivered)


async def test_large_content_is_streamed() -> None:
    content = b"Subject: x\n\n" + b"0123456789\n" * 40_000

    async def script(session: Session) -> None:
        await read_package(session, content, [b"b@d.test"])
        session.writer.write(string(b"Kok"))

    async with Server(script) as server, Bench() as bench:
        job = job_for(server.route.replace("smtp:", "qmtp:"), content=content)
        report = await bench.deliver(job, file_with(content))
        assert isinstance(report.results[0].outcome, Delivered)


async def test_a_server_that_goes_without_an_answer() -> None:
    async def script(session: Session) -> None:
        await read_package(session, CONTENT, [b"b@d.test"])

    async with Server(script) as server, Bench() as bench:
        report = await bench.deliver(job_for(server.route.replace("smtp:", "qmtp:")))
        outcome = report.results[0].outcome
        assert isinstance(outcome, Deferred) and "possible duplicate" in outcome.text


async def test_what_demands_tls_is_never_sent() -> None:
    async def script(session: Session) -> None:
        assert await session.reader.read() == b""

    async with Server(script) as server, Bench() as bench:
        job = msgspec.structs.replace(
            job_for(server.route.replace("smtp:", "qmtp:")), terms=MessageTerms(require_tls=True)
        )
        report = await bench.deliver(job)
        outcome = report.results[0].outcome
        assert isinstance(outcome, Failed) and outcome.code == "7.10"
