"""Delivery to servers that others wrote: Postfix's smtp-sink with its failures, aiosmtpd with STARTTLS; names from
unbound.

On the loop that the real process runs on.
"""

import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.dns.resolver import Resolver
from paperpath.process.child import run_loop
from paperpath.system.clock import monotonic
from paperpath.wire.delivery import Job
from tests.peers import require_peer
from tests.unit.remote.scene import SETTINGS, Bench, closed_port, file_with, job_for

pytestmark = pytest.mark.interop


@contextlib.contextmanager
def sink(*options: str) -> Iterator[str]:
    """Run smtp-sink; yield it as a next hop."""
    program = require_peer("smtp-sink")
    port = closed_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([str(program), *user, *options, f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield f"smtp://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when the port is open: ask again and again, for it cannot be waited for."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise AssertionError("the program has ended")


def outcomes(*jobs: Job, times: int = 1) -> list[Outcome]:
    """Deliver jobs one after the other; return the outcomes of all targets."""

    async def run() -> list[Outcome]:
        async with Bench() as bench:
            reports = [await bench.deliver(job) for _ in range(times) for job in jobs]
            assert bench.lines == []
        return [result.outcome for report in reports for result in report.results]

    return run_loop(run())


BOTH_STYLES = pytest.mark.parametrize("style", [(), ("-p",), ("-e",)], ids=["pipelining", "one by one", "HELO"])


@BOTH_STYLES
def test_everything_is_taken(style: tuple[str, ...]) -> None:
    with sink(*style) as route:
        taken = outcomes(job_for(route, b"b@d.test", b"c@d.test"), times=3)
        assert [type(outcome) for outcome in taken] == [Delivered] * 6


@BOTH_STYLES
@pytest.mark.parametrize("command", ["mail", "rcpt", "data", "."])
@pytest.mark.parametrize(("option", "kind"), [("-r", Deferred), ("-f", Failed)])
def test_refusals(style: tuple[str, ...], command: str, option: str, kind: type[Outcome]) -> None:
    with sink(*style, option, command) as route:
        refused = outcomes(job_for(route, b"b@d.test", b"c@d.test"), times=2)
        assert [type(outcome) for outcome in refused] == [kind] * 4
        assert not any(getattr(outcome, "destination_down", False) for outcome in refused)


@BOTH_STYLES
@pytest.mark.parametrize("command", ["mail", "rcpt", "data", "."])
def test_connections_cut(style: tuple[str, ...], command: str) -> None:
    with sink(*style, "-q", command) as route:
        (lost,) = outcomes(job_for(route))
        assert isinstance(lost, Deferred) and lost.code == "4.2"
        assert ("possible duplicate" in lost.text) == (command == ".")


@pytest.mark.parametrize("options", [("-q", "connect"), ("-r", "connect"), ("-f", "connect"), ("-r", "ehlo,helo")])
def test_servers_that_take_no_mail(options: tuple[str, ...]) -> None:
    with sink(*options) as route:
        (refused,) = outcomes(job_for(route))
        assert isinstance(refused, Deferred) and refused.destination_down


def test_a_server_that_knows_only_helo() -> None:
    with sink("-f", "ehlo") as route:
        (outcome,) = outcomes(job_for(route))
        assert isinstance(outcome, Delivered)


def test_many_recipients_and_large_content() -> None:
    content = b"Subject: large\n\n" + b"." * 70 + b"\n" * 30_000
    with sink() as route:
        addresses = [b"u%d@d.test" % number for number in range(100)]
        small = job_for(route, *addresses)
        large = msgspec.structs.replace(small, content=b"", size=len(content), attached=True)

        async def run() -> list[Outcome]:
            async with Bench() as bench:
                reports = [await bench.deliver(small), await bench.deliver(large, file_with(content))]
            return [result.outcome for report in reports for result in report.results]

        assert {type(outcome) for outcome in run_loop(run())} == {Delivered}


class Keeper:
    """What aiosmtpd took."""

    def __init__(self) -> None:
        self.content: list[bytes] = []
        self.encrypted: list[bool] = []
        self.options: list[list[str]] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.content.append(envelope.content)
        self.encrypted.append(session.ssl is not None)
        self.options.append(envelope.mail_options)
        return "250 kept"


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mx.test").configure_cert(context)
    return context


@contextlib.contextmanager
def keeper(**options: Any) -> Iterator[tuple[Keeper, str]]:
    handler = Keeper()
    controller = Controller(handler, hostname="127.0.0.1", port=closed_port(), **options)
    controller.start()
    try:
        yield handler, f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def test_mail_goes_over_tls_and_arrives_as_it_was(context: ssl.SSLContext) -> None:
    content = b"Subject: \xc3\xa9\n\n.dot\n..\nlone\rCR\nno end"
    with keeper(tls_context=context, require_starttls=True, enable_SMTPUTF8=True) as (kept, route):
        job = msgspec.structs.replace(job_for(route, "jürgen@d.test".encode(), content=content), smtputf8=True)
        assert [type(outcome) for outcome in outcomes(job, times=2)] == [Delivered, Delivered]
    assert kept.content == [b"Subject: \xc3\xa9\r\n\r\n.dot\r\n..\r\nlone\r\nCR\r\nno end\r\n"] * 2
    assert kept.encrypted == [True, True]
    assert all("BODY=8BITMIME" in options and "SMTPUTF8" in options for options in kept.options)


def test_a_peer_with_too_old_tls_gets_clear_text(context: ssl.SSLContext) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mx.test").configure_cert(old)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.deprecated_call():
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with keeper(tls_context=old) as (kept, route):

        async def run() -> tuple[Outcome, list[str]]:
            async with Bench() as bench:
                (result,) = (await bench.deliver(job_for(route))).results
                return result.outcome, bench.lines

        outcome, lines = run_loop(run())
        assert isinstance(outcome, Delivered)
        assert kept.encrypted == [False] and "remote.tls-failed" in lines[0]


@contextlib.asynccontextmanager
async def unbound(folder: Path) -> AsyncIterator[int]:
    """Run unbound with a few local zones; yield its port."""
    program = require_peer("unbound")
    port = closed_port()
    many = "".join(f'local-data: "many.test. IN MX {number} mx{number}.many.test."\n' for number in range(80))
    configuration = folder / "unbound.conf"
    configuration.write_text(
        f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  local-zone: "test." static
  local-data: "d.test. IN MX 10 mx1.d.test."
  local-data: "d.test. IN MX 20 mx2.d.test."
  local-data: "mx1.d.test. IN AAAA ::1"
  local-data: "mx2.d.test. IN A 127.0.0.1"
  local-data: "null.test. IN MX 0 ."
  local-data: "mx79.many.test. IN A 127.0.0.1"
  local-data: "mx3.many.test. IN A 127.0.0.1"
{many}
remote-control:
  control-enable: no
"""
    )
    process = subprocess.Popen([str(program), "-c", str(configuration)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        while b"start of service" not in (line := process.stderr.readline()):
            assert line, "unbound has ended"
        yield port
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def test_names_from_unbound(tmp_path: Path) -> None:
    async def run(route: str) -> dict[str, Outcome]:
        async with unbound(tmp_path) as port:
            resolver = Resolver([("127.0.0.1", port)], monotonic)
            settings = msgspec.structs.replace(SETTINGS, port=int(route.rpartition(":")[2]))
            async with Bench(settings, resolver) as bench:
                found: dict[str, Outcome] = {}
                for domain in ("d.test", "null.test", "nowhere.test", "many.test"):
                    (result,) = (await bench.deliver(job_for(domain))).results
                    found[domain] = result.outcome
                return found

    with sink() as route:
        found = run_loop(run(route))
    assert found["d.test"].host == "mx2.d.test (127.0.0.1)"
    assert found["many.test"].host == "mx3.many.test (127.0.0.1)"  # too large for UDP: it came by TCP
    assert [found[name].status for name in ("null.test", "nowhere.test")] == ["5.1.10", "5.1.2"]


def test_a_connection_to_a_real_server_is_used_again() -> None:
    with sink("-n", "2") as route:  # ends itself after two sessions

        async def run() -> None:
            async with Bench() as bench:
                for _ in range(200):
                    (result,) = (await bench.deliver(job_for(route))).results
                    assert isinstance(result.outcome, Delivered)

        run_loop(run())
