"""What must travel under TLS (RFC 8689 4.2.1) goes only to servers that prove who they are and promise it."""

import asyncio
import ssl
from collections.abc import Callable

import msgspec
import pytest
import trustme

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.base.terms import MessageTerms
from paperpath.dns.answers import Answer, Found, MxRecord
from paperpath.remote.tls import proving_context
from paperpath.wire.delivery import Job
from tests.unit.remote.scene import SETTINGS, Bench, Names, Script, Server, Session, closed_port, job_for
from tests.unit.remote.test_pool import only

CA = trustme.CA()
PROVING = msgspec.structs.replace(SETTINGS, trusted_certificates=CA.cert_pem.bytes().decode())


def context_of(*names: str, ca: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def server_for(name: str, *offers: str, heard: list[str] | None = None, ca: trustme.CA = CA) -> Script:
    """A server with a certificate for ``name`` that offers this under TLS; ``heard`` gets its MAIL commands."""
    context = context_of(name, ca=ca)

    async def script(session: Session) -> None:
        await session.greet("STARTTLS", "REQUIRETLS")
        if await session.hear() != "STARTTLS":
            return
        await session.say("220 go ahead")
        await session.writer.start_tls(context)
        await session.hear()
        await session.say("250-peer.test", *(f"250-{offer}" for offer in offers), "250 SIZE")
        while True:
            commands = await session.envelope()
            await session.content()
            await session.say("250 taken")
            if heard is not None:
                heard.append(commands[0])

    return script


async def in_clear(session: Session) -> None:
    await session.greet("REQUIRETLS")
    assert await session.hear() == "QUIT"


class Exchangers(Names):
    """A domain's exchangers, and addresses; DNSSEC vouches for them or not."""

    def __init__(self, *names: str, secure: bool, **addresses: str) -> None:
        super().__init__(**addresses)
        self.names, self.secure = names, secure

    async def look_up(self, name: str, kind: str) -> Answer:
        if kind == "MX":
            return Found(tuple(MxRecord(at, one) for at, one in enumerate(self.names)), 60, self.secure)
        return await super().look_up(name, kind)


def demanding(where: str, sender: bytes = b"a@c.test") -> Job:
    return msgspec.structs.replace(job_for(where, sender=sender), terms=MessageTerms(require_tls=True))


async def outcome_of(bench: Bench, job: Job) -> Outcome:
    return only(await bench.deliver(job))


async def test_a_server_that_proves_itself_and_promises_it_gets_the_mail() -> None:
    heard: list[str] = []
    async with (
        Server(server_for("mx.test", "REQUIRETLS", heard=heard)) as server,
        Bench(PROVING, Names(mx_test="127.0.0.1")) as bench,
    ):
        for _ in range(2):
            assert isinstance(await outcome_of(bench, demanding(f"smtp://mx.test:{server.port}")), Delivered)
        assert server.connections == 1
        assert heard == ["MAIL FROM:<a@c.test> SIZE=23 REQUIRETLS"] * 2


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (lambda: server_for("mx.test"), "7.30", "does not promise"),
        (lambda: server_for("other.test", "REQUIRETLS"), "7.10", "does not prove"),
        (lambda: server_for("mx.test", "REQUIRETLS", ca=trustme.CA()), "7.10", "does not prove"),
        (lambda: in_clear, "7.10", "offers none"),
    ],
    ids=["no REQUIRETLS", "another name", "unknown authority", "no STARTTLS"],
)
async def test_any_other_server_does_not(script: Callable[[], Script], code: str, words: str) -> None:
    async with Server(script()) as server, Bench(PROVING, Names(mx_test="127.0.0.1")) as bench:
        outcome = await outcome_of(bench, demanding(f"smtp://mx.test:{server.port}"))
        assert isinstance(outcome, Failed) and outcome.code == code and words in outcome.text
        assert "mx.test (127.0.0.1)" in outcome.host
        assert bench.lines == []  # nothing was tried in clear


async def test_ordinary_mail_shares_no_connection_with_it() -> None:
    """A server without a good certificate takes what does not ask for one, and the other way round."""
    async with (
        Server(server_for("other.test", "REQUIRETLS")) as server,
        Bench(PROVING, Names(mx_test="127.0.0.1")) as bench,
    ):
        where = f"smtp://mx.test:{server.port}"
        assert isinstance(await outcome_of(bench, job_for(where)), Delivered)
        assert isinstance(await outcome_of(bench, demanding(where)), Failed)
        assert isinstance(await outcome_of(bench, job_for(where)), Delivered)
        assert server.connections == 2


async def test_a_report_goes_all_the_same() -> None:
    """RFC 8689 5: it would be lost otherwise."""
    heard: list[str] = []
    async with (
        Server(server_for("other.test", heard=heard)) as server,
        Bench(PROVING, Names(mx_test="127.0.0.1")) as bench,
    ):
        report = demanding(f"smtp://mx.test:{server.port}", sender=b"")
        assert isinstance(await outcome_of(bench, report), Delivered)
        assert heard == ["MAIL FROM:<> SIZE=23"]


async def test_exchangers_are_believed_where_dnssec_vouches_for_them() -> None:
    async with Server(server_for("mx.d.test", "REQUIRETLS")) as server:
        settings = msgspec.structs.replace(PROVING, port=server.port)
        for secure in (True, False):
            names = Exchangers("mx.d.test", secure=secure, mx_d_test="127.0.0.1")
            async with Bench(settings, names) as bench:
                outcome = await outcome_of(bench, demanding("d.test"))
                if secure:
                    assert isinstance(outcome, Delivered)
                else:
                    assert isinstance(outcome, Failed) and outcome.code == "7.10"
                    assert "nothing proves which its mail hosts are" in outcome.text
        assert server.connections == 1


async def test_a_domain_is_its_own_exchanger_without_anybody_vouching() -> None:
    async with Server(server_for("d.test", "REQUIRETLS")) as server:
        settings = msgspec.structs.replace(PROVING, port=server.port)
        names = Exchangers("D.test", secure=False, D_test="127.0.0.1")
        async with Bench(settings, names) as bench:
            assert isinstance(await outcome_of(bench, demanding("d.test")), Delivered)


async def test_the_next_exchanger_is_tried() -> None:
    async with (
        Server(server_for("mx1.d.test"), address="127.0.0.1") as first,
        Server(server_for("mx2.d.test", "REQUIRETLS"), address="127.0.0.2", port=first.port) as second,
    ):
        settings = msgspec.structs.replace(PROVING, port=first.port)
        names = Exchangers("mx1.d.test", "mx2.d.test", secure=True, mx1_d_test="127.0.0.1", mx2_d_test="127.0.0.2")
        async with Bench(settings, names) as bench:
            assert isinstance(await outcome_of(bench, demanding("d.test")), Delivered)
        assert (first.connections, second.connections) == (1, 1)


async def test_a_server_that_cannot_be_reached_now_is_waited_for() -> None:
    async with Server(server_for("mx1.d.test"), address="127.0.0.1") as first:
        settings = msgspec.structs.replace(PROVING, port=first.port)
        names = Exchangers("mx1.d.test", "mx2.d.test", secure=True, mx1_d_test="127.0.0.1", mx2_d_test="127.0.0.3")
        async with Bench(settings, names) as bench:
            outcome = await outcome_of(bench, demanding("d.test"))
            assert isinstance(outcome, Deferred) and not outcome.destination_down
    async with Bench(PROVING, Names(mx_test="127.0.0.1")) as bench:
        assert isinstance(await outcome_of(bench, demanding(f"smtp://mx.test:{closed_port()}")), Deferred)


async def test_a_handshake_that_breaks_proves_nothing_and_is_tried_again_later() -> None:
    async def breaking(session: Session) -> None:
        await session.greet("STARTTLS")
        await session.hear()
        await session.say("220 go ahead")
        await session.reader.read(1)
        await session.say("this is not TLS")

    async with Server(breaking) as server, Bench(PROVING, Names(mx_test="127.0.0.1")) as bench:
        outcome = await outcome_of(bench, demanding(f"smtp://mx.test:{server.port}"))
        assert isinstance(outcome, Deferred) and "TLS handshake failed" in outcome.text
        assert server.connections == 1


async def test_never_is_never() -> None:
    settings = msgspec.structs.replace(PROVING, tls="never")
    async with Bench(settings, Names(mx_test="127.0.0.1")) as bench:
        outcome = await asyncio.wait_for(outcome_of(bench, demanding("smtp://mx.test:1")), 30)
        assert isinstance(outcome, Failed) and outcome.code == "7.10"


def test_who_vouches() -> None:
    assert proving_context("").verify_mode is ssl.CERT_REQUIRED
    context = proving_context(CA.cert_pem.bytes().decode())
    assert context.check_hostname and len(context.get_ca_certs()) == 1
    with pytest.raises(ValueError, match="trusted certificates"):
        proving_context("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
