"""STARTTLS: used where offered, never a reason not to deliver, never a way in for bytes sent in clear."""

import asyncio
import ssl

import msgspec
import pytest
import trustme

from paperpath.base.outcome import Deferred, Delivered
from paperpath.remote.tls import server_name
from tests.unit.remote.scene import SETTINGS, Bench, Names, Script, Server, Session, job_for
from tests.unit.remote.test_pool import only


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("somebody.else.test").configure_cert(context)
    return context


def upgrading(seen: list[str]) -> Script:
    """A server that upgrades and then takes mail; ``seen`` gets the name asked for and what came over TLS."""
    context = server_context()

    def asked_for(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        seen.append(f"name {name}")

    context.sni_callback = asked_for

    async def script(session: Session) -> None:
        await session.greet("STARTTLS", "PIPELINING")
        assert await session.hear() == "STARTTLS"
        await session.say("220 go ahead")
        await session.writer.start_tls(context)
        seen.append(await session.hear())
        await session.say("250-peer.test", "250 PIPELINING")
        while True:
            await session.take_mail()
            seen.append("mail")

    return script


async def in_clear(session: Session) -> None:
    await session.greet("STARTTLS", "PIPELINING")
    command = await session.hear()
    assert command.startswith("MAIL")
    await session.hear()
    await session.hear()
    await session.say("250 ok", "250 ok", "354 go")
    await session.content()
    await session.say("250 taken")
    await session.hear()


async def refusing_handshake(session: Session) -> None:
    await session.greet("STARTTLS")
    assert await session.hear() == "STARTTLS"
    await session.say("220 go ahead")
    await session.reader.read(1)
    await session.say("this is not TLS")
    await session.reader.read()


async def test_tls_where_offered_whoever_the_peer_is() -> None:
    seen: list[str] = []
    async with Server(upgrading(seen)) as server, Bench(resolver=Names(mx_test="127.0.0.1")) as bench:
        for _ in range(2):
            outcome = only(await bench.deliver(job_for(f"smtp://mx.test:{server.port}")))
            assert isinstance(outcome, Delivered)
        assert seen == ["name mx.test", "EHLO client.test", "mail", "mail"]
        assert bench.lines == []


async def test_never_means_never() -> None:
    settings = msgspec.structs.replace(SETTINGS, tls="never")
    async with Server(in_clear) as server, Bench(settings) as bench:
        assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)


async def test_a_handshake_that_fails_means_clear_text_and_is_remembered() -> None:
    async with Server(refusing_handshake, in_clear) as server, Bench() as bench:
        assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)
        await bench.pool.drain(0)
        assert [line.split()[2] for line in bench.lines] == ["remote.tls-failed"]
        bench.pool._draining = False
        assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)
        assert server.connections == 3 and len(bench.lines) == 1


@pytest.mark.parametrize("together", [True, False])
async def test_replies_in_clear_behind_the_go_ahead_are_not_believed(together: bool) -> None:
    """The injected reply must not be taken for one that came over TLS, however it is cut."""
    context = server_context()

    async def inject(session: Session) -> None:
        await session.greet("STARTTLS")
        assert await session.hear() == "STARTTLS"
        if together:
            await session.say("220 go ahead", "250-injected", "250 SIZE 1")
        else:
            await session.say("220 go ahead")
            await session.reader.read(1)  # the handshake has begun
            await session.say("250-injected", "250 SIZE 1")
        await session.writer.start_tls(context)

    async def deliver() -> Deferred | Delivered:
        async with Server(inject, in_clear) as server, Bench() as bench:
            outcome = only(await bench.deliver(job_for(server.route)))
            assert isinstance(outcome, Deferred | Delivered)
            return outcome

    outcome = await deliver()
    if together:
        assert isinstance(outcome, Deferred) and outcome.code == "5.0"
    else:
        # Taken for a broken handshake, so the mail went in clear, as to a server without TLS.
        assert isinstance(outcome, Delivered) and "SIZE" not in outcome.text


async def test_a_silent_handshake_ends_at_the_deadline_and_clear_text_follows() -> None:
    reached = asyncio.Event()

    async def silent(session: Session) -> None:
        await session.greet("STARTTLS")
        await session.hear()
        await session.say("220 go ahead")
        await session.reader.read(1)
        reached.set()
        await session.reader.read()

    async with Server(silent, in_clear) as server, Bench() as bench:
        report = bench.start(job_for(server.route))
        await reached.wait()
        (connection,) = bench.pool._watched
        connection.expire()
        assert isinstance(only(await report), Delivered)
        assert "timed out" in bench.lines[0]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mx.d.test", "mx.d.test"),
        ("mx.d.test.", "mx.d.test"),
        ("_x.d.test", "_x.d.test"),
        ("single", "single"),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("", None),
        (".", None),
        ("a..b", None),
        (".a", None),
        ("x" * 64 + ".test", None),
        ("ü.test", None),
    ],
)
def test_names_to_ask_for(host: str, name: str | None) -> None:
    assert server_name(host) == name
